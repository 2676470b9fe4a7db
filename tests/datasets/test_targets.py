"""Which of ten answers a row is trained on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from lit_vlr.data.targets import majority, sampled
from lit_vlr.types import Sample

SAMPLE = Sample("scenes/train/0", Path("0.png"), "0", "What?", ("wood",) * 2 + ("stone",) * 7 + ("glass",))


def test_majority_is_the_answer_given_most_often() -> None:
    assert majority(SAMPLE) == "stone"


@pytest.mark.parametrize("answers", [("b", "a", "a", "b"), ("b", "a"), ("b",)])
def test_equals_are_broken_by_the_annotators_order(answers: tuple[str, ...]) -> None:
    assert majority(replace(SAMPLE, answers=answers)) == "b"


def test_without_answers_there_is_nothing_to_train_on() -> None:
    silent = replace(SAMPLE, answers=())
    assert (majority(silent), sampled(silent, 0)) == ("", "")


def test_sampling_depends_on_seed_and_uid_alone() -> None:
    many = [replace(SAMPLE, uid=f"scenes/train/{i}") for i in range(200)]
    first = [sampled(s, 0) for s in many]
    assert first == [sampled(s, 0) for s in reversed(many)][::-1]
    assert first != [sampled(s, 1) for s in many]


def test_sampling_follows_the_votes() -> None:
    drawn = Counter(sampled(replace(SAMPLE, uid=f"scenes/train/{i}"), 0) for i in range(3000))
    for answer, votes in Counter(SAMPLE.answers).items():
        assert drawn[answer] / 3000 == pytest.approx(votes / 10, abs=0.03)  # three standard deviations are 0.027
