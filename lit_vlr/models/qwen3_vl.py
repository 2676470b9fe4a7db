"""Qwen3-VL: features of several depths of its vision tower, added behind early layers of the language model."""

from __future__ import annotations

from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.qwen2_vl import Qwen2VL


class Qwen3VL(Qwen2VL):
    """A Qwen3-VL checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Reference:
        Qwen3-VL Technical Report, arXiv 2511.21631, section 2.
    """

    title = "Qwen3-VL"
    model_types = ("qwen3_vl",)
    plain_prompt = (
        "<|im_start|>user\n<image>{question}\nAnswer the question using a single word or phrase.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    default_mean = (0.5, 0.5, 0.5)
    default_std = (0.5, 0.5, 0.5)
    vision_targets = r".*visual\.blocks\..*\.(qkv|proj|linear_fc1|linear_fc2)"

    @property
    def towers(self) -> Towers:
        """There is a merger for each depth."""
        depths = range(len(self.config.vision_config.deepstack_visual_indexes))
        mergers = ("model.visual.merger", *(f"model.visual.deepstack_merger_list.{i}" for i in depths))
        return Towers(("model.visual",), mergers, ("model.language_model",))
