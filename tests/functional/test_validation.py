import math

import numpy as np
import pytest
import torch

import lit_vlr.functional
from lit_vlr.functional import augrc, aurc

GOOD = [0.9, 0.5], [1.0, 0.0]


@pytest.mark.parametrize(
    ("confidence", "correctness", "message"),
    [
        ([0.9, math.nan, math.nan], [1, 0, 0], r"`confidence` without NaN but got 2 of 3, the first at index 1; give"),
        ([0.9, 0.5], [1.0, 1.5], r"`correctness` in \[0, 1\] but got 1\.5 at index 1; pass soft accuracy"),
        ([0.9, 0.5], [-0.1, 1.0], r"`correctness` in \[0, 1\] but got -0\.1 at index 0"),
        ([0.9, 0.5], [1.0, math.nan], r"`correctness` in \[0, 1\] but got nan at index 1"),
        ([], [], r"`confidence` with at least one sample but got none"),
        ([0.9, 0.5], [1.0], r"`confidence` and `correctness` of one length but got 2 and 1"),
        (torch.rand(2, 1), torch.rand(2), r"`confidence` of shape \(N,\) but got \(2, 1\); .*flatten"),
        (0.5, 1.0, r"`confidence` of shape \(N,\) but got \(\)"),
    ],
)
def test_wrong_columns_are_refused(confidence, correctness, message):
    with pytest.raises(ValueError, match=message):
        aurc(confidence, correctness)


@pytest.mark.parametrize(
    "confidence", [["sure", "unsure"], torch.tensor([1j, 2j]), [None, None]], ids=["strings", "complex", "none"]
)
def test_what_is_no_number_is_refused(confidence):
    with pytest.raises(TypeError, match="`confidence` to hold real numbers"):
        aurc(confidence, [1.0, 0.0])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ([1.0], r"`weight` and `confidence or correctness` of one length but got 1 and 2"),
        ([1.0, -1.0], r"`weight` finite and not negative but got -1 at index 1"),
        ([math.inf, 1.0], r"`weight` finite and not negative but got inf at index 0"),
        ([0.0, 0.0], r"`weight` with at least one positive value but got only zeros"),
    ],
)
def test_wrong_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        augrc(*GOOD, weight)


@pytest.mark.parametrize("container", [list, tuple, np.array, torch.tensor])
def test_columns_may_be_lists_arrays_or_tensors(container):
    assert aurc(container(GOOD[0]), container(GOOD[1])).item() == pytest.approx(0.25)


def test_infinite_confidence_is_legal():
    assert aurc([math.inf, -math.inf], [1.0, 0.0]).item() == pytest.approx(0.25)


def test_inputs_are_left_as_they_were():
    confidence = torch.tensor([0.2, math.inf, 0.5], dtype=torch.float64)
    before = confidence.clone()
    aurc(confidence, torch.ones(3, dtype=torch.float64))
    assert torch.equal(confidence, before)


def test_public_names():
    assert sorted(lit_vlr.functional.__all__) == [
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
    assert all(hasattr(lit_vlr.functional, name) for name in lit_vlr.functional.__all__)
