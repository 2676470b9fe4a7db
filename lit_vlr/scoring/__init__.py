"""Answers of any model against annotations: read, scored by their words, and by how well their confidence ranks them."""
