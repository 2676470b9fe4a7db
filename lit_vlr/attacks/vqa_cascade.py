"""The cascade that questions on pictures are attacked with, as one attack."""

from __future__ import annotations

from lit_vlr.attacks.stages import AnswerStage, TextStage, wrongness
from lit_vlr_callbacks.attacks import APGD, Ensemble, Stage
from lit_vlr_callbacks.perturbations import Perturbation

RIGHT = 1e-6
"""Accuracy of an answer that is still worth attacking: any above 0."""


class VQACascade(Ensemble):
    """Away from each of the most common answers, again from the worst of them, then towards two fixed texts.

    One after the other: `APGD` on the loss of each of the five most common answers; once more from the worst picture so
    far, on the answer that gave it; towards "maybe"; towards "Word". After each the answers are generated and judged; a
    question whose accuracy is 0 leaves the batch, and one that was answered wrongly to begin with is not attacked.
    Generating costs one model pass each time.

    Runs on a `SelectiveVLM`, through `lit_vlr_callbacks.attack_batch` or `lit_vlr.recording.RecordAttackedPredictions`.

    Args:
        perturbation: what may happen to the picture.
        steps: of every APGD.
        answers: how many of the annotators' answers are gone through.
        targets: texts to make the model say.

    Raises:
        ValueError: if a number is below 1.

    Reference:
        Schlarmann et al., Robust CLIP, arXiv 2402.12336, the attack of its VQA evaluation. There: batch 1, the first
        stages in half precision, a first step of eps; here: batches, float32 pictures, the model under the Trainer's
        precision, and a first step of 2 eps as `APGD` has it.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        steps: int = 100,
        answers: int = 5,
        targets: tuple[str, ...] = ("maybe", "Word"),
    ) -> None:
        if answers < 1:
            raise ValueError(f"Expected `answers` of at least 1 but got {answers}; start from the most common one")
        search = APGD(perturbation, steps=steps)
        stages: list[Stage] = [AnswerStage(search, rank) for rank in range(answers)]
        stages.append(AnswerStage(search, from_worst=True))
        stages += [TextStage(search, text) for text in targets]
        super().__init__(perturbation, stages, success_loss=1 - RIGHT, judge=wrongness)
