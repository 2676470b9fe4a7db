"""Thresholds chosen on a calibration split: with a guarantee (`ltt`, `sgr`, `crc`) or without."""

from lit_vlr.functional.thresholds.bounds import (
    binomial_upper_bound,
    hoeffding_bentkus_p_value,
    minimum_without_error,
)
from lit_vlr.functional.thresholds.choice import ThresholdChoice, ThresholdMethod
from lit_vlr.functional.thresholds.conformal import conformal_threshold
from lit_vlr.functional.thresholds.learn_then_test import learn_then_test_threshold
from lit_vlr.functional.thresholds.plain import cost_threshold, coverage_threshold, empirical_threshold
from lit_vlr.functional.thresholds.sgr import sgr_threshold

__all__ = [
    "ThresholdChoice",
    "ThresholdMethod",
    "binomial_upper_bound",
    "conformal_threshold",
    "cost_threshold",
    "coverage_threshold",
    "empirical_threshold",
    "hoeffding_bentkus_p_value",
    "learn_then_test_threshold",
    "minimum_without_error",
    "sgr_threshold",
]
