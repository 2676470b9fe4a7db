"""Inputs shared by the tests of selective metrics."""

import json
import math
from functools import partial
from pathlib import Path

from hypothesis import strategies as st

from lit_vlr.functional import (
    adaptive_calibration_error,
    augrc,
    aurc,
    auroc,
    brier_score,
    coverage_at_risk,
    effective_reliability,
    excess_augrc,
    excess_aurc,
    expected_calibration_error,
    prediction_rejection_ratio,
    risk_at_coverage,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "selective_metrics.json").read_text(encoding="utf-8"))

# Few distinct values, so that ties are the rule; both infinities are legal scores.
CONFIDENCES = st.sampled_from([-math.inf, -2.0, 0.1, 0.5, 0.5000001, 0.9, math.inf])
ACCURACIES = st.sampled_from([0.0, 0.3, 0.6, 0.9, 1.0])
# Six rows: the oracles run through all 720 orders where everything is tied.
ROWS = st.lists(st.tuples(CONFIDENCES, ACCURACIES), min_size=1, max_size=6)


def columns(rows):
    return [row[0] for row in rows], [row[1] for row in rows]


# Probabilities, with both ends and bin edges; the other columns as above.
PROBABILITIES = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 0.75, 0.9, 1.0])
PROBABLE_ROWS = st.lists(st.tuples(PROBABILITIES, ACCURACIES), min_size=1, max_size=6)

# Every metric of (confidence, correctness) that is one number, so that invariants are stated once. None of these
# depends on more than the order of the confidences.
RANKING = {
    "aurc-mean": aurc,
    "aurc-trapezoid": partial(aurc, convention="trapezoid"),
    "aurc-geifman": partial(aurc, convention="geifman"),
    "excess-mean": excess_aurc,
    "excess-trapezoid": partial(excess_aurc, convention="trapezoid"),
    "augrc": augrc,
    "excess-augrc": excess_augrc,
    "prr": prediction_rejection_ratio,
    "auroc": auroc,
    "coverage-at-risk": partial(coverage_at_risk, max_risk=0.4),
    "risk-at-coverage": partial(risk_at_coverage, coverage=0.5),
}
# These read confidence as a probability (calibration) or compare it with a number (a threshold).
CALIBRATION = {
    "ece": partial(expected_calibration_error, n_bins=4),
    "ace": partial(adaptive_calibration_error, n_bins=4),
    "brier": brier_score,
}
EVERY = RANKING | CALIBRATION | {"phi": partial(effective_reliability, cost=1.0, threshold=0.5)}
# Means are summed row by row: equal up to rounding. All others sum in one order, or exactly: equal to the last bit.
SUMS = {"ece", "brier", "phi"}
# These depend on the number of rows, so that weights must be whole numbers.
WHOLE = {"aurc-mean", "aurc-trapezoid", "excess-mean", "excess-trapezoid", "prr"}
