"""Scores that say how sure a model is of a generated answer."""

from lit_vlr.confidence.sequence_probability import sequence_probability
from lit_vlr.confidence.token_log_probs import TokenLogProbs

__all__ = ["TokenLogProbs", "sequence_probability"]
