"""torchmetrics shells over :mod:`lit_vlr.functional`: state and synchronisation, no formulas."""

from lit_vlr.metrics._base import Bounds, ColumnMetric, SelectiveMetric, SelectiveScalar, SumMetric
from lit_vlr.metrics.abstention import AbstentionRate, SelectiveAccuracy
from lit_vlr.metrics.answers import ANLS, ExactMatch, RelaxedAccuracy
from lit_vlr.metrics.boxes import BoxIoUAccuracy
from lit_vlr.metrics.calibration import AdaptiveCalibrationError, BrierScore, ExpectedCalibrationError
from lit_vlr.metrics.cider import CIDEr
from lit_vlr.metrics.groups import ByGroup
from lit_vlr.metrics.operating_point import CoverageAtRisk, EffectiveReliability, RiskAtCoverage
from lit_vlr.metrics.pope import POPEScores
from lit_vlr.metrics.ranking import AUROC, ExcessAUGRC, ExcessAURC, PredictionRejectionRatio
from lit_vlr.metrics.risk_coverage import AUGRC, AURC, RiskCoverageCurve
from lit_vlr.metrics.vqa_accuracy import VQAAccuracy

__all__ = [
    "ANLS",
    "AUGRC",
    "AURC",
    "AUROC",
    "AbstentionRate",
    "AdaptiveCalibrationError",
    "Bounds",
    "BoxIoUAccuracy",
    "BrierScore",
    "ByGroup",
    "CIDEr",
    "ColumnMetric",
    "CoverageAtRisk",
    "EffectiveReliability",
    "ExactMatch",
    "ExcessAUGRC",
    "ExcessAURC",
    "ExpectedCalibrationError",
    "POPEScores",
    "PredictionRejectionRatio",
    "RelaxedAccuracy",
    "RiskAtCoverage",
    "RiskCoverageCurve",
    "SelectiveAccuracy",
    "SelectiveMetric",
    "SelectiveScalar",
    "SumMetric",
    "VQAAccuracy",
]
