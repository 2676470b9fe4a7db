"""The fast gradient sign method."""

from __future__ import annotations

from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.perturbations.base import Perturbation


class FGSM(PGD):
    """One signed step: FGSM from the identity, FGSM-RS from a random start.

    Args:
        perturbation: what may happen to the picture.
        step_size: fraction of half the range; None means 1 (FGSM) or 1.25 (FGSM-RS).
        random_start: False is FGSM, True is FGSM-RS.
        keep_best: return the worse of start and step, at the cost of one more forward pass. False by default: the
            method is a single gradient.
        success_loss: a sample counts as broken when its loss exceeds this.

    Reference:
        Goodfellow et al., arXiv 1412.6572, section 4; random start: Wong et al., arXiv 2001.03994, algorithm 3.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        step_size: float | None = None,
        random_start: bool = False,
        keep_best: bool = False,
        success_loss: float | None = None,
    ) -> None:
        super().__init__(
            perturbation,
            steps=1,
            step_size=step_size,
            random_start=random_start,
            keep_best=keep_best,
            success_loss=success_loss,
        )
