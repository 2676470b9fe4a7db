"""Readers, pictures and the embedded data set."""
