"""Verbs of the command line that need neither a model nor a Trainer."""
