"""PaliGemma and PaliGemma 2: SigLIP, a linear projector, Gemma that sees picture and question in both directions."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.square import SquareFamily


class PaliGemma(SquareFamily):
    """A PaliGemma checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    It is no chat model: the prompt is a task, and ends in a newline.

    Reference:
        Beyer et al., PaliGemma, arXiv 2407.07726, section 3.1.
    """

    title = "PaliGemma"
    model_types = ("paligemma",)
    plain_prompt = "<image>answer en {question}\n"
    begins = False  # the begin token stands behind the picture
    packs = False
    joined = True
    default_mean = (0.5, 0.5, 0.5)
    default_std = (0.5, 0.5, 0.5)

    def image_text(self, height: int, width: int) -> str:
        """One placeholder a patch, and the begin token."""
        return self.placeholder * self.patches + str(self.tokenizer.bos_token)

    def text_inputs(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None) -> dict[str, Tensor]:
        """Which tokens see each other in both directions (0) and which are causal (1)."""
        return {"token_type_ids": torch.zeros_like(ids) if is_answer is None else is_answer.to(ids.dtype)}

    def head(self, hidden: Tensor) -> Tensor:
        """Logits, softly capped as transformers' own forward does it (PaliGemma 2)."""
        logits = super().head(hidden)
        cap = getattr(self.config.get_text_config(), "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap
