"""Answers of any model against annotations: scored by their words, and by how well their confidence ranks them."""
