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
