"""torchmetrics shells over :mod:`lit_vlr.functional`: state and synchronisation, no formulas."""

from lit_vlr.metrics._base import Bounds, ColumnMetric, SelectiveMetric, SelectiveScalar, SumMetric
from lit_vlr.metrics.abstention import AbstentionRate, SelectiveAccuracy
from lit_vlr.metrics.calibration import AdaptiveCalibrationError, BrierScore, ExpectedCalibrationError
from lit_vlr.metrics.groups import ByGroup
from lit_vlr.metrics.operating_point import CoverageAtRisk, EffectiveReliability, RiskAtCoverage
from lit_vlr.metrics.ranking import AUROC, ExcessAUGRC, ExcessAURC, PredictionRejectionRatio
from lit_vlr.metrics.risk_coverage import AUGRC, AURC, RiskCoverageCurve
from lit_vlr.metrics.vqa_accuracy import VQAAccuracy

__all__ = [
    "AUGRC",
    "AURC",
    "AUROC",
    "AbstentionRate",
    "AdaptiveCalibrationError",
    "Bounds",
    "BrierScore",
    "ByGroup",
    "ColumnMetric",
    "CoverageAtRisk",
    "EffectiveReliability",
    "ExcessAUGRC",
    "ExcessAURC",
    "ExpectedCalibrationError",
    "PredictionRejectionRatio",
    "RiskAtCoverage",
    "RiskCoverageCurve",
    "SelectiveAccuracy",
    "SelectiveMetric",
    "SelectiveScalar",
    "SumMetric",
    "VQAAccuracy",
]
