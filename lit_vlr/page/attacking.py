"""One question asked twice: on the picture as it is, and on the picture under attack."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_choice
from lit_vlr.functional.operating_point import check_threshold
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictor import Picture, SelectivePredictor, sample_of
from lit_vlr.types import Batch
from lit_vlr_callbacks import attack_batch
from lit_vlr_callbacks.attacks import PGD, AbstentionObjective, ForceAbstention, WrongAndConfident
from lit_vlr_callbacks.perturbations import Linf

Aim: TypeAlias = Literal["answer", "confident", "abstain"]
"""What the attack is after: another answer, another answer that is *given*, or that the answer is withheld."""
_OBJECTIVES: dict[Aim, Callable[[float], AbstentionObjective] | None] = {
    "answer": None,  # raises cross-entropy, and knows of no threshold
    "confident": WrongAndConfident,
    "abstain": ForceAbstention,
}


@dataclass(frozen=True)
class Said:
    """What the model says to one picture, whatever the threshold.

    Attributes:
        pixels: the picture as the model is given it, (H, W, 3) float32 in [0, 1].
        text: the answer, given or not.
        confidence: how sure it is.
        accuracy: soft VQA accuracy of the answer, in [0, 1]; None where no true answer is known.
        declined: whether the text itself abstains, for a confidence that takes it so (`ExplicitAbstention`).
    """

    pixels: np.ndarray
    text: str
    confidence: float
    accuracy: float | None
    declined: bool = False

    def answer(self, threshold: float) -> str | None:
        """The answer; None where it is withheld."""
        withheld = self.declined or self.confidence < threshold or threshold == math.inf
        return None if withheld else self.text


@dataclass(frozen=True)
class Exchange:
    """A question, the clean and the attacked picture, and what was said to both.

    Attributes:
        question: as asked.
        eps: L∞ radius in [0, 1] pixel units; 0 is no attack.
        aim: what the attack was after.
        aimed_at: the threshold that the attack knew of; the "answer" aim uses none.
        threshold: in force now; `at` changes it without another attack.
        target: the answer that is attacked: the true one if it is known, else the model's own to the clean picture.
        clean: to the picture as it is.
        attacked: to the picture under attack; the same where ``eps`` is 0.
    """

    question: str
    eps: float
    aim: Aim
    aimed_at: float
    threshold: float
    target: str
    clean: Said
    attacked: Said

    def at(self, threshold: float) -> Exchange:
        """The same pictures and answers under another threshold: what an attacker met who did not know of it.

        Raises:
            ValueError: if the threshold is NaN.
        """
        return replace(self, threshold=check_threshold(threshold))

    @property
    def moved(self) -> bool:
        """Whether the attack changed anything: aims that are reached on the clean picture leave it as it is."""
        return not np.array_equal(self.clean.pixels, self.attacked.pixels)


def answer_under_attack(
    predictor: SelectivePredictor,
    image: Picture,
    question: str,
    eps: float = 0.0,
    threshold: float | None = None,
    *,
    aim: Aim = "answer",
    truth: str = "",
    steps: int = 10,
    seed: int = 0,
) -> Exchange:
    """Ask, attack by L∞ PGD through `lit_vlr_callbacks.attack_batch`, and ask again.

    The attacked picture is answered as it was found, as `lit-vlr test` does; shown or saved in 8 bits, its pixels move
    by up to half a 255th more.

    Args:
        predictor: the model.
        image: the picture.
        question: in words.
        eps: L∞ radius in [0, 1] pixel units; 0 attacks nothing.
        threshold: the least confidence that is answered, for the decisions and for aims that know of it; None is the
            predictor's.
        aim: what the attack is after.
        truth: the true answer, if it is known. Without it the attack goes away from what the model says to the clean
            picture, right or wrong, and nothing is called right.
        steps: of PGD.
        seed: of its random start.

    Raises:
        ImageError: if the picture cannot be read.
        UserError: if the question is empty, or the model's confidence has no gradient for an aim that needs one.
        ValueError: if a number is out of its range.
    """
    check_choice("aim", aim, Aim)
    least = check_threshold(predictor.threshold if threshold is None else threshold)
    if not 0 <= eps <= 1:
        raise ValueError(f"Expected `eps` in [0, 1] but got {eps}; it is in pixel units, write 4 / 255")
    module, truth = predictor.module, truth.strip()
    sample = sample_of(image, question)
    if truth:
        sample = replace(sample, answers=(truth,) * 10)  # as ten annotators agree: a soft accuracy of 1
    batch = module.family.collate([sample], [truth]).to(module.device)
    if not isinstance(batch.images, Tensor):
        raise UserError(f"Expected one canvas for one picture but {type(module.family).__name__} makes a list")
    clean = _said(module, batch)
    target = truth or clean.text
    exchange = Exchange(sample.question, eps, aim, least, least, target, clean, clean)
    if eps == 0:
        return exchange
    objective = _OBJECTIVES[aim]
    known = replace(sample, answers=(target,) * 10)
    found = attack_batch(
        module,
        module.family.collate([known], [target]).to(module.device),
        PGD(Linf(eps), steps=steps),
        generator=torch.Generator().manual_seed(seed),
        objective=None if objective is None else objective(least),
    )
    return replace(exchange, attacked=_said(module, batch.with_images(found.images)))


def _said(module: SelectiveVLM, batch: Batch) -> Said:
    (found,) = module.answer(batch)
    assert isinstance(batch.images, Tensor)  # looked at before anything was attacked
    pixels = batch.images[0].detach().permute(1, 2, 0).cpu().numpy()
    (declined,) = module.confidence.declines([found.answer])
    return Said(pixels, found.answer, found.confidence, found.accuracy, declined)
