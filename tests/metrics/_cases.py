"""Every shell over (confidence, correctness), with the function that it is a shell of."""

from functools import partial

import torch

from lit_vlr import functional as F
from lit_vlr import metrics as M

N_CELLS = 12
# Cells of about two of the confidences of `rows`.
CUTS = [0.05, 0.2, 0.3, 0.45, 0.6, 0.7, 0.85]


def tied(function, cuts):
    """The function on confidences rounded down to the cut below: what a histogram over these cuts stands for."""
    edges = torch.cat([torch.tensor([-torch.inf], dtype=torch.float64), torch.as_tensor(cuts, dtype=torch.float64)])

    def on_tied(confidence, correctness, **kwargs):
        confidence = torch.as_tensor(confidence, dtype=torch.float64)
        return function(edges[(confidence[:, None] >= edges).sum(1) - 1], correctness, **kwargs)

    return on_tied


def tied_at_the_mean(function, cuts):
    """The same for calibration, where cells stand for their mean confidence."""

    def on_tied(confidence, correctness, weight=None, abstained=None):
        confidence = torch.as_tensor(confidence, dtype=torch.float64)
        weights = torch.ones_like(confidence) if weight is None else torch.as_tensor(weight, dtype=torch.float64)
        if abstained is not None:
            weights = weights * (1 - torch.as_tensor(abstained, dtype=torch.float64))
        cell = (confidence[:, None] >= torch.as_tensor(cuts, dtype=torch.float64)).sum(1)
        means = [torch.where(cell == c, confidence * weights, 0.0).sum() / weights[cell == c].sum() for c in cell]
        # An empty cell has no mean; its rows are declined and their confidence ignored.
        return function(torch.stack(means).nan_to_num(), correctness, weight=weight, abstained=abstained)

    return on_tied


RANKING = {
    "AURC": (M.AURC, F.aurc),
    "AURC-trapezoid": (partial(M.AURC, convention="trapezoid"), partial(F.aurc, convention="trapezoid")),
    "AURC-geifman": (partial(M.AURC, convention="geifman"), partial(F.aurc, convention="geifman")),
    "ExcessAURC": (M.ExcessAURC, F.excess_aurc),
    "ExcessAURC-trapezoid": (
        partial(M.ExcessAURC, convention="trapezoid"),
        partial(F.excess_aurc, convention="trapezoid"),
    ),
    "AUGRC": (M.AUGRC, F.augrc),
    "ExcessAUGRC": (M.ExcessAUGRC, F.excess_augrc),
    "PredictionRejectionRatio": (M.PredictionRejectionRatio, F.prediction_rejection_ratio),
    "AUROC": (M.AUROC, F.auroc),
    "CoverageAtRisk": (partial(M.CoverageAtRisk, max_risk=0.4), partial(F.coverage_at_risk, max_risk=0.4)),
    "RiskAtCoverage": (partial(M.RiskAtCoverage, coverage=0.5), partial(F.risk_at_coverage, coverage=0.5)),
}
CURVE = {"RiskCoverageCurve": (M.RiskCoverageCurve, F.risk_coverage_curve)}
ADAPTIVE = {
    "AdaptiveCalibrationError": (
        partial(M.AdaptiveCalibrationError, n_bins=4),
        partial(F.adaptive_calibration_error, n_bins=4),
    )
}
# Columns are kept whole: one order of summation whatever the batches, equal to the last bit.
COLUMNS = RANKING | CURVE | ADAPTIVE
# Sums are taken batch by batch: equal up to rounding.
SUMS = {
    "EffectiveReliability": (
        partial(M.EffectiveReliability, cost=1.0, threshold=0.4),
        partial(F.effective_reliability, cost=1.0, threshold=0.4),
    ),
    "ExpectedCalibrationError": (
        partial(M.ExpectedCalibrationError, n_bins=4),
        partial(F.expected_calibration_error, n_bins=4),
    ),
    "BrierScore": (M.BrierScore, F.brier_score),
}
BINNED = {
    f"{name}-{kind}": (partial(shell, thresholds=thresholds), as_tied(function, cuts))
    for cases, as_tied in ((RANKING | CURVE, tied), (ADAPTIVE, tied_at_the_mean))
    for name, (shell, function) in cases.items()
    for kind, thresholds, cuts in (("cells", N_CELLS, F.threshold_grid(N_CELLS)), ("cuts", CUTS, CUTS))
}
SHELLS = COLUMNS | SUMS | BINNED
TOLERANCE = dict.fromkeys(COLUMNS, 0.0) | dict.fromkeys(SUMS | BINNED, 1e-12)


def rows(n=40):
    """Confidence with ties, soft accuracies that follow it, whole weights."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.randint(0, 15, (n,), generator=generator) / 15
    correctness = ((confidence + torch.rand(n, generator=generator)) / 2 * 10).floor() / 10
    return confidence, correctness, torch.randint(1, 4, (n,), generator=generator)


def declined(n=40):
    """Rows that the model declined in words, about one in five."""
    return torch.rand(n, generator=torch.Generator().manual_seed(1)) < 0.2


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
