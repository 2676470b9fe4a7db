"""From confidence to expected accuracy: temperature, Platt and isotonic, fitted on a calibration split.

Calibration changes what a confidence *says*, not which of two answers is the surer one; selective metrics, which only
look at the order, stay as they are but for ties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lit_vlr.calibration.base import Calibrator, DegenerateCalibrationError
from lit_vlr.calibration.isotonic import IsotonicCalibration
from lit_vlr.calibration.platt import PlattScaling
from lit_vlr.calibration.temperature import TemperatureScaling

__all__ = [
    "KINDS",
    "Calibrator",
    "DegenerateCalibrationError",
    "IsotonicCalibration",
    "PlattScaling",
    "TemperatureScaling",
    "calibrator_from_dict",
]

KINDS: dict[str, type[Calibrator]] = {c.kind: c for c in (TemperatureScaling, PlattScaling, IsotonicCalibration)}
"""Calibrators by name."""


def calibrator_from_dict(values: Mapping[str, Any]) -> Calibrator:
    """A calibrator from what its ``to_dict`` gave, through JSON or not; nothing in it is executed.

    Raises:
        ValueError: for an unknown ``kind``, a missing or malformed entry.

    Example:
        >>> calibrator_from_dict({"kind": "platt", "slope": 2.0, "intercept": 0.0})([0.0])
        tensor([0.5000], dtype=torch.float64)
    """
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"Expected `kind` to be one of {sorted(KINDS)} but got {kind!r}; is it a calibrator?")
    try:
        return KINDS[kind].from_dict(values)
    except (KeyError, TypeError) as error:
        raise ValueError(f"Expected the entries of a {kind} calibrator but {error} is missing or malformed") from error
