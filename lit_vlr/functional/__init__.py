"""Pure functions: what is measured, free of models, data sets and training."""

from lit_vlr.functional._histogram import threshold_grid
from lit_vlr.functional.abstention import abstention_rate, selective_accuracy
from lit_vlr.functional.bootstrap import Interval, PairedDifference, group_bootstrap, paired_difference
from lit_vlr.functional.calibration import adaptive_calibration_error, brier_score, expected_calibration_error
from lit_vlr.functional.groups import GroupValues, by_group
from lit_vlr.functional.operating_point import (
    best_threshold,
    coverage_at_risk,
    effective_reliability,
    risk_at_coverage,
)
from lit_vlr.functional.rank_losses import augrc_loss, aurc_loss
from lit_vlr.functional.ranking import auroc, excess_augrc, excess_aurc, prediction_rejection_ratio
from lit_vlr.functional.risk_coverage import RiskCoverage, augrc, aurc, risk_coverage_curve
from lit_vlr.functional.vqa_accuracy import normalize_vqa_answer, vqa_accuracy

__all__ = [
    "GroupValues",
    "Interval",
    "PairedDifference",
    "RiskCoverage",
    "abstention_rate",
    "adaptive_calibration_error",
    "augrc",
    "augrc_loss",
    "aurc",
    "aurc_loss",
    "auroc",
    "best_threshold",
    "brier_score",
    "by_group",
    "coverage_at_risk",
    "effective_reliability",
    "excess_augrc",
    "excess_aurc",
    "expected_calibration_error",
    "group_bootstrap",
    "normalize_vqa_answer",
    "paired_difference",
    "prediction_rejection_ratio",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy",
    "threshold_grid",
    "vqa_accuracy",
]
