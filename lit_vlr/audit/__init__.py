"""A look at model, batch and machine before a fit's first step: what would fail without a word fails loudly."""

from lit_vlr.audit.callback import FitAudit

__all__ = ["FitAudit"]
