"""Every shell over (confidence, correctness), with the function that it is a shell of."""

from functools import partial

import torch

from lit_vlr import functional as F
from lit_vlr import metrics as M

SHELLS = {
    "AURC": (M.AURC, F.aurc),
    "AURC-trapezoid": (partial(M.AURC, convention="trapezoid"), partial(F.aurc, convention="trapezoid")),
    "AURC-geifman": (partial(M.AURC, convention="geifman"), partial(F.aurc, convention="geifman")),
    "ExcessAURC": (M.ExcessAURC, F.excess_aurc),
    "AUGRC": (M.AUGRC, F.augrc),
    "PredictionRejectionRatio": (M.PredictionRejectionRatio, F.prediction_rejection_ratio),
    "CoverageAtRisk": (partial(M.CoverageAtRisk, max_risk=0.4), partial(F.coverage_at_risk, max_risk=0.4)),
    "RiskAtCoverage": (partial(M.RiskAtCoverage, coverage=0.5), partial(F.risk_at_coverage, coverage=0.5)),
    "EffectiveReliability": (
        partial(M.EffectiveReliability, cost=1.0, threshold=0.4),
        partial(F.effective_reliability, cost=1.0, threshold=0.4),
    ),
    "RiskCoverageCurve": (M.RiskCoverageCurve, F.risk_coverage_curve),
}


def rows(n=40):
    """Confidence with ties, soft accuracies that follow it, whole weights."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.randint(0, 15, (n,), generator=generator) / 15
    correctness = ((confidence + torch.rand(n, generator=generator)) / 2 * 10).floor() / 10
    return confidence, correctness, torch.randint(1, 4, (n,), generator=generator)


def _mean(function):
    """A function of one row as the mean of its rows."""
    return lambda *columns: sum(function(*row) for row in zip(*columns, strict=True)) / len(columns[0])


ANSWERS = (
    ["Jon Smith", "two", "95", "unanswerable", "The dog", "B", "12%"],
    [["John Smith"], ["2"] * 2, ["100", "7"], ["unanswerable"] * 3, ["dog", "the dog"], ["B"] * 2, ["0.12"]],
)
BOXES = (
    [[0, 0, 2, 2], [0, 0, 2, 2], [0, 0, 0, 0], [3, 3, 1, 1], [1, 1, 5, 4]],
    [[0, 0, 2, 4], [0, 0, 2, 5], [0, 0, 2, 2], [1, 1, 3, 3], [1, 1, 5, 5]],
)
ANSWER_SHELLS = {
    "ANLS": (M.ANLS, _mean(F.anls), ANSWERS),
    "RelaxedAccuracy": (M.RelaxedAccuracy, _mean(F.relaxed_accuracy), ANSWERS),
    "ExactMatch": (M.ExactMatch, _mean(F.exact_match), ANSWERS),
    "ExactMatch-vqa": (
        partial(M.ExactMatch, normalization="vqa"),
        _mean(partial(F.exact_match, normalization="vqa")),
        ANSWERS,
    ),
    "BoxIoUAccuracy": (M.BoxIoUAccuracy, lambda *columns: F.box_iou_accuracy(*columns).item(), BOXES),
}
"""Shell, the mean of its function, and rows."""

OUTCOMES = (
    ["yes", "Yes, it is", "no", "No.", "yes", "", "maybe", "no"],
    ["yes", "no", "no", "yes", "yes", "yes", "no", "no"],
)
CAPTION_ROWS = (
    ["a red kite", "two dogs on a beach", "unanswerable"],
    [["a red kite in the sky", "a kite"], ["two dogs run on a beach"], ["a man in a shirt"]],
    ["1", "2", "3"],
)
