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
from lit_vlr.functional.thresholds import (
    ThresholdChoice,
    ThresholdMethod,
    binomial_upper_bound,
    conformal_threshold,
    cost_threshold,
    coverage_threshold,
    empirical_threshold,
    hoeffding_bentkus_p_value,
    learn_then_test_threshold,
    minimum_without_error,
    sgr_threshold,
)
from lit_vlr.functional.vqa_accuracy import normalize_vqa_answer, vqa_accuracy

__all__ = [
    "Interval",
    "PairedDifference",
    "RiskCoverage",
    "ThresholdChoice",
    "ThresholdMethod",
    "abstention_rate",
    "augrc",
    "aurc",
    "best_threshold",
    "binomial_upper_bound",
    "conformal_threshold",
    "cost_threshold",
    "coverage_at_risk",
    "coverage_threshold",
    "effective_reliability",
    "empirical_threshold",
    "excess_aurc",
    "group_bootstrap",
    "hoeffding_bentkus_p_value",
    "learn_then_test_threshold",
    "minimum_without_error",
    "normalize_vqa_answer",
    "paired_difference",
    "prediction_rejection_ratio",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy",
    "sgr_threshold",
    "vqa_accuracy",
]
