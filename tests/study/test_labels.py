"""Labels of peers are exactly those of the training questions, each by the peer that had not seen its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.splits import k_folds
from lit_vlr.errors import UserError
from lit_vlr.predictions import MANIFEST_KEYS, PredictionWriter, read_manifest, read_predictions
from lit_vlr.study.labels import check_labels, write_labels
from lit_vlr.study.peers import peers_of
from lit_vlr.study.plan import Plan
from lit_vlr.study.settings import Arm, Peers
from lit_vlr.types import Prediction, Sample
from tests.study._studies import COMMON, SELECTOR, SHORT


def answers(samples: Sequence[Sample], accuracy: float | None = 0.5) -> list[Prediction]:
    return [Prediction(s.uid, s.image_id, s.question, "a", 0.5, False, accuracy) for s in samples]


def test_labels_are_those_of_the_training_questions_each_once(tmp_path: Path) -> None:
    arm = Arm(tuple(SELECTOR), peers=Peers(2))
    cell = Plan(tmp_path, {"lyp": arm}, common=COMMON, overrides=SHORT).cells[0]
    training = make_scenes("train", 16)
    for peer, fold, accuracy in zip(peers_of(cell), k_folds(training, 2, 0), (0.3, 0.9), strict=True):
        with PredictionWriter(peer.answers, dict.fromkeys(MANIFEST_KEYS) | {"seed": 5}) as writer:
            for prediction in answers(fold, accuracy):
                writer.write(prediction)
    labels = write_labels(cell)
    assert labels == tmp_path / "lyp-0" / "peers" / "labels.jsonl"
    found = read_predictions(labels)
    assert sorted(p.uid for p in found) == sorted(s.uid for s in training)
    assert {p.uid for p in found if p.accuracy == 0.3} == {s.uid for s in k_folds(training, 2, 0)[0]}
    assert (read_manifest(labels)["set"], read_manifest(labels)["seed"], read_manifest(labels)["n"]) == (
        "labels",
        5,
        16,
    )


SAMPLES = [replace(s, image_id=str(i // 2)) for i, s in enumerate(make_scenes("train", 6))]  # two questions a picture


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (
            [answers(SAMPLES[:2]), answers(SAMPLES[2:4])],
            "peer of x-0 to leave scenes/train/4 out but it is in no",
        ),
        ([answers(SAMPLES[:4]), answers(SAMPLES[2:])], "to leave scenes/train/2 out but both 0 and 1 do; move"),
        ([answers(SAMPLES[:3]), answers(SAMPLES[3:])], "picture of scenes/train/3 out but both 0 and 1 do, for some"),
        (
            [answers(SAMPLES[:2]), answers(SAMPLES[2:], None)],
            "can be scored but scenes/train/2 has no annotators'",
        ),
        (
            [answers(SAMPLES), answers(make_scenes("test", 2))],
            "but 2 other questions are answered, such as scenes/te",
        ),
    ],
)
def test_labels_that_are_not_exact_are_refused(answered: list[list[Prediction]], message: str) -> None:
    check_labels([answers(SAMPLES[:2]), answers(SAMPLES[2:])], SAMPLES, "x-0")
    with pytest.raises(UserError, match=message):
        check_labels(answered, SAMPLES, "x-0")
