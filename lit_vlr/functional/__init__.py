"""Pure functions: what is measured, free of models, data sets and training."""

from lit_vlr.functional.abstention import abstention_rate, selective_accuracy
from lit_vlr.functional.bootstrap import Interval, PairedDifference, group_bootstrap, paired_difference
from lit_vlr.functional.operating_point import (
    best_threshold,
    coverage_at_risk,
    effective_reliability,
    risk_at_coverage,
)
from lit_vlr.functional.risk_coverage import (
    RiskCoverage,
    augrc,
    aurc,
    excess_aurc,
    prediction_rejection_ratio,
    risk_coverage_curve,
)
from lit_vlr.functional.vqa_accuracy import normalize_vqa_answer, vqa_accuracy

__all__ = [
    "Interval",
    "PairedDifference",
    "RiskCoverage",
    "abstention_rate",
    "augrc",
    "aurc",
    "best_threshold",
    "coverage_at_risk",
    "effective_reliability",
    "excess_aurc",
    "group_bootstrap",
    "normalize_vqa_answer",
    "paired_difference",
    "prediction_rejection_ratio",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy",
    "vqa_accuracy",
]
