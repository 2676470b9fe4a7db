"""Qwen2.5-VL: Qwen2-VL with windows of attention and a gated MLP in its vision tower."""

from __future__ import annotations

from lit_vlr.models.qwen2_vl import Qwen2VL


class Qwen25VL(Qwen2VL):
    """A Qwen2.5-VL checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Reference:
        Bai et al., Qwen2.5-VL Technical Report, arXiv 2502.13923, section 2.1.
    """

    title = "Qwen2.5-VL"
    model_types = ("qwen2_5_vl",)
    vision_targets = r".*visual\.blocks\..*\.(qkv|proj|gate_proj|up_proj|down_proj)"
