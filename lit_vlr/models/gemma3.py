"""Gemma 3: SigLIP, pooled to few features, and Gemma whose picture tokens see each other in both directions."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.square import SquareFamily


class Gemma3(SquareFamily):
    """A Gemma 3 checkpoint that sees; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Without the pan-and-scan crops, which its processor has switched off, too.

    Reference:
        Gemma 3 Technical Report, arXiv 2503.19786, section 2.1.
    """

    title = "Gemma 3"
    model_types = ("gemma3",)
    plain_prompt = (
        "<start_of_turn>user\n<image>{question}\nAnswer the question using a single word or phrase."
        "<end_of_turn>\n<start_of_turn>model\n"
    )
    marker = "<start_of_image>"
    end_tokens = ("<end_of_turn>",)
    packs = False
    joined = True
    default_mean = (0.5, 0.5, 0.5)
    default_std = (0.5, 0.5, 0.5)
    default_resample = 2

    def check_config(self, config: Any) -> None:  # noqa: ANN401
        """Crops are not made."""
        super().check_config(config)
        if self.preprocessing.get("do_pan_and_scan"):
            raise UserError("Expected `do_pan_and_scan` off but it is on; set processor: {do_pan_and_scan: false}")

    def image_text(self, height: int, width: int) -> str:
        """Placeholders between a begin and an end token, on lines of their own."""
        begin, end = self.tokenizer.convert_ids_to_tokens([self.config.boi_token_index, self.config.eoi_token_index])
        return f"\n\n{begin}{self.placeholder * self.config.mm_tokens_per_image}{end}\n\n"

    def text_inputs(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None) -> dict[str, Tensor]:
        """Which tokens are of the picture (1)."""
        return {"token_type_ids": (ids == self.config.image_token_id).to(ids.dtype)}
