"""Measurements behind the figures of the documentation; results are committed in ``benchmarks/results``."""
