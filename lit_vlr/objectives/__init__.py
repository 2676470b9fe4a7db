"""Training objectives: (VLMOutput, Batch) to one loss a sample."""

from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.sft import SFT

__all__ = ["SFT", "Objective"]
