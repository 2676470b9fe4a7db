"""Whether the answer survives small changes of the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence
from lit_vlr.confidence.self_consistency import agreement
from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.sampling import row_seed
from lit_vlr.types import Batch
from lit_vlr_callbacks.perturbations import Perturbation


class AugmentationConsistency(Confidence):
    """Share of K randomly changed copies of the picture that get the same greedy answer, in [0, 1]; K more passes.

    Convention: parameters are drawn uniformly from the perturbation's range, each sample's by its uid.

    Args:
        perturbation: what may happen to the picture; its answer should not depend on it.
        copies: changed copies a picture, K.
        seed: of the changes; 0 or more.
        dialect: of the normalisation that answers are compared under.

    Raises:
        UserError: if ``copies`` or ``seed`` is out of range.
        ValueError: for an unknown dialect.

    Reference:
        Wang et al., Aleatoric Uncertainty Estimation with Test-Time Augmentation, arXiv 1807.07356, with
        agreement of answers in the place of the entropy of predictions.
    """

    def __init__(
        self, perturbation: Perturbation, copies: int = 4, seed: int = 0, dialect: VQADialect = "no_skip"
    ) -> None:
        super().__init__()
        if copies < 1:
            raise UserError(f"Expected `copies` of at least 1 but got {copies}; it is changed pictures a question")
        if seed < 0:
            raise UserError(f"Expected `seed` of at least 0 but got {seed}")
        check_choice("dialect", dialect, VQADialect)
        self.perturbation = perturbation
        self.copies = copies
        self.seed = seed
        self.dialect: VQADialect = dialect

    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        passes = [family.generate(self.changed(batch, copy), max_new_tokens).texts for copy in range(self.copies)]
        return agreement(generated.texts, list(zip(*passes, strict=True)), self.dialect)

    def changed(self, batch: Batch, copy: int) -> Batch:
        """The batch with every picture changed in its own way; picture by picture, since sizes may differ."""
        images = []
        for image, sample in zip(batch.images, batch.samples, strict=True):
            generator = torch.Generator().manual_seed(row_seed(self.seed, sample.uid, copy))
            params = self.perturbation.sample(1, generator, image_shape=tuple(image.shape))
            on_device = {name: value.to(image.device) for name, value in params.items()}
            images.append(self.perturbation.apply(image[None], on_device)[0])
        return batch.with_images(torch.stack(images) if isinstance(batch.images, Tensor) else images)
