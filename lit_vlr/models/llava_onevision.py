"""LLaVA-OneVision: SigLIP, Qwen2, and many grids of tiles whose features are pooled where they are too many."""

from __future__ import annotations

import math

from lit_vlr.models.hf.anyres import AnyResolutionFamily


class LlavaOnevision(AnyResolutionFamily):
    """A LLaVA-OneVision checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Reference:
        Li et al., LLaVA-OneVision, arXiv 2408.03326, section 3.2.
    """

    title = "LLaVA-OneVision"
    model_types = ("llava_onevision",)
    default_mean = (0.5, 0.5, 0.5)
    default_std = (0.5, 0.5, 0.5)

    def shrunk(self, rows: int, columns: int, side: int) -> tuple[int, int]:
        """At most about as many as ``anyres_max_9`` says, 9 tiles' worth."""
        most = int(self.config.vision_aspect_ratio.removeprefix("anyres_max_"))
        ratio = math.sqrt(rows * columns / (most * side * side))
        return (int(rows // ratio), int(columns // ratio)) if ratio > 1.1 else (rows, columns)
