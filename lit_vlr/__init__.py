"""Lightning Vision-Language Reliability."""

__version__ = "0.1.0"
