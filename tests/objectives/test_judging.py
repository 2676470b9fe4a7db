"""What a teacher-forced pass says of the greedy answer: with several end tokens, and by metrics that are generous."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lit_vlr.objectives.judging import teacher_forced_accuracy
from lit_vlr.tasks import ANLS, RelaxedAccuracy
from lit_vlr.types import AnswerMetric, Batch, Sample, Task, VLMOutput


class Words:
    """A family whose tokens are words, and which stops at either of two, as chat models do."""

    vocabulary = ("<end>", "<turn>", "red", "car", "100", "99", "smith", "smyth", "jr")
    ends = (0, 1)

    def answer_tokens(self, text: str) -> list[int]:
        return [*map(self.vocabulary.index, text.split()), 0]

    def answer_text(self, tokens: list[int]) -> str:
        return " ".join(self.vocabulary[token] for token in tokens if token not in self.ends)


def judged(target: str, said: str, answers: tuple[str, ...], metric: AnswerMetric | None = None) -> float:
    """The accuracy where ``said`` are the likeliest tokens, one at each place of the target."""
    family, empty = Words(), torch.zeros(0)
    labels = family.answer_tokens(target)
    best = torch.tensor([family.vocabulary.index(word) for word in said.split()])
    logits = 10.0 * torch.nn.functional.one_hot(best, len(family.vocabulary))
    rows = torch.zeros(len(labels), dtype=torch.long)
    task = None if metric is None else Task(metric)
    sample = Sample("u", Path("i"), "i", "q", answers, task=task)
    batch = Batch(empty, empty, empty, empty, empty, empty, (sample,), (target,))
    output = VLMOutput(logits, torch.tensor(labels), rows, empty, empty, empty)
    return float(teacher_forced_accuracy(output, batch, family, "no_skip")[0])  # type: ignore[arg-type]


@pytest.mark.parametrize("end", Words.vocabulary[:2])
def test_any_end_token_ends_the_greedy_answer(end: str) -> None:
    answers = ("red",) * 9 + ("red car",)
    assert judged("red", f"red {end}", answers) == 1
    assert judged("red car", f"red {end} {end}", answers) == 1  # what came before the end is the whole answer
    assert judged("red car", f"red car {end}", answers) == pytest.approx(0.3)  # one annotator said so
    assert judged("red", f"{end} {end}", answers) == 0


def test_generous_metrics_score_what_is_known_to_be_said_and_nothing_else() -> None:
    # It ended within the target, so that the answer is known: three of eight characters are missing.
    assert judged("smith jr", "smith <turn> <end>", ("smith jr",), ANLS()) == pytest.approx(1 - 3 / 8)
    assert judged("100 car", "100 <end> <end>", ("100",), RelaxedAccuracy()) == 1
    # It turned to another token, and what would follow that is not known: 0, where ANLS might give 0.8 and ChartQA 1.
    assert judged("smith", "smyth <end>", ("smith",), ANLS()) == 0
    assert judged("100", "99 <end>", ("100",), RelaxedAccuracy()) == 0
