"""Errors that are the user's to mend: the command line prints them as one line and leaves with status 2."""

from __future__ import annotations


class UserError(ValueError):
    """Something given to lit_vlr cannot be used; the message names it and the remedy."""


class ConfigError(Exception):
    """A configuration that does not parse. No ValueError: jsonargparse swallows those while it tries alternatives."""


class ImageError(UserError):
    """A picture that is missing, damaged, of a refused kind, or out of range."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or of another model."""


class AuditError(UserError):
    """A model, a batch or a machine that a fit would have failed on, or learned nothing from, without a word."""
