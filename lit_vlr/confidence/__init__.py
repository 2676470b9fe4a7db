"""Scores that say how sure a model is of a generated answer."""

from lit_vlr.confidence.answer_set_probability import AnswerSetProbability, answer_set_probability
from lit_vlr.confidence.augmentation_consistency import AugmentationConsistency
from lit_vlr.confidence.base import Confidence, OnePassConfidence
from lit_vlr.confidence.explicit_abstention import ExplicitAbstention
from lit_vlr.confidence.first_token_margin import FirstTokenMargin, first_token_margin
from lit_vlr.confidence.min_token_probability import MinTokenProbability, min_token_probability
from lit_vlr.confidence.negative_entropy import NegativeEntropy, negative_entropy
from lit_vlr.confidence.normalized_probability import NormalizedProbability, normalized_probability
from lit_vlr.confidence.p_true import PTrue
from lit_vlr.confidence.reservation import Reservation
from lit_vlr.confidence.selector import Selector
from lit_vlr.confidence.self_consistency import SelfConsistency, agreement
from lit_vlr.confidence.sequence_probability import SequenceProbability, sequence_probability

__all__ = [
    "AnswerSetProbability",
    "AugmentationConsistency",
    "Confidence",
    "ExplicitAbstention",
    "FirstTokenMargin",
    "MinTokenProbability",
    "NegativeEntropy",
    "NormalizedProbability",
    "OnePassConfidence",
    "PTrue",
    "Reservation",
    "Selector",
    "SelfConsistency",
    "SequenceProbability",
    "agreement",
    "answer_set_probability",
    "first_token_margin",
    "min_token_probability",
    "negative_entropy",
    "normalized_probability",
    "sequence_probability",
]
