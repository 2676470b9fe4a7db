"""Pure functions: what is measured, free of models, data sets and training."""

from lit_vlr.functional._histogram import threshold_grid
from lit_vlr.functional.abstain_losses import (
    deep_gamblers_loss,
    selector_loss,
    self_adaptive_loss,
    self_adaptive_target,
)
from lit_vlr.functional.abstention import abstention_rate, selective_accuracy
from lit_vlr.functional.anls import anls
from lit_vlr.functional.bootstrap import Interval, PairedDifference, group_bootstrap, paired_difference
from lit_vlr.functional.boxes import box_iou, box_iou_accuracy
from lit_vlr.functional.calibration import adaptive_calibration_error, brier_score, expected_calibration_error
from lit_vlr.functional.cider import CaptionScores, cider, tokenize_caption
from lit_vlr.functional.declining import ABSTENTION_PHRASES, is_abstention
from lit_vlr.functional.exact_match import exact_match, option_letter
from lit_vlr.functional.groups import GroupValues, by_group
from lit_vlr.functional.operating_point import (
    best_threshold,
    coverage_at_risk,
    effective_reliability,
    risk_at_coverage,
)
from lit_vlr.functional.pairing import pair_by_id
from lit_vlr.functional.pope import YesNoScores, parse_yes_no, pope_scores
from lit_vlr.functional.rank_losses import augrc_loss, aurc_loss
from lit_vlr.functional.ranking import auroc, excess_augrc, excess_aurc, prediction_rejection_ratio
from lit_vlr.functional.relaxed_accuracy import relaxed_accuracy
from lit_vlr.functional.risk_coverage import RiskCoverage, augrc, aurc, risk_coverage_curve
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
    "ABSTENTION_PHRASES",
    "CaptionScores",
    "GroupValues",
    "Interval",
    "PairedDifference",
    "RiskCoverage",
    "ThresholdChoice",
    "ThresholdMethod",
    "YesNoScores",
    "abstention_rate",
    "adaptive_calibration_error",
    "anls",
    "augrc",
    "augrc_loss",
    "aurc",
    "aurc_loss",
    "auroc",
    "best_threshold",
    "binomial_upper_bound",
    "box_iou",
    "box_iou_accuracy",
    "brier_score",
    "by_group",
    "cider",
    "conformal_threshold",
    "cost_threshold",
    "coverage_at_risk",
    "coverage_threshold",
    "deep_gamblers_loss",
    "effective_reliability",
    "empirical_threshold",
    "exact_match",
    "excess_augrc",
    "excess_aurc",
    "expected_calibration_error",
    "group_bootstrap",
    "hoeffding_bentkus_p_value",
    "is_abstention",
    "learn_then_test_threshold",
    "minimum_without_error",
    "normalize_vqa_answer",
    "option_letter",
    "pair_by_id",
    "paired_difference",
    "parse_yes_no",
    "pope_scores",
    "prediction_rejection_ratio",
    "relaxed_accuracy",
    "risk_at_coverage",
    "risk_coverage_curve",
    "selective_accuracy",
    "selector_loss",
    "self_adaptive_loss",
    "self_adaptive_target",
    "sgr_threshold",
    "threshold_grid",
    "tokenize_caption",
    "vqa_accuracy",
]
