"""What the callbacks of a test write, and leave, and answer on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from lit_vlr.cli import main
from lit_vlr.errors import UserError
from lit_vlr.recording import RecordPredictions, RecordShuffledPredictions
from lit_vlr.types import Batch, Sample
from tests._answers import predictions, write
from tests._tiny import MAIN_JOB, arguments

NOTHING = np.zeros((1, 1, 3), np.uint8)


def batch_of(*pictures: int, sizes: Sequence[int] = ()) -> Batch:
    """Questions on pictures that are all of one value, their number; a list of tensors if sizes are given."""
    samples = tuple(Sample(f"u{i}", NOTHING, str(n), "What?") for i, n in enumerate(pictures))
    made = [torch.full((3, size, 2), float(n)) for n, size in zip(pictures, sizes or [2] * len(pictures), strict=True)]
    ids = torch.zeros(len(pictures), 1, dtype=torch.long)
    images = made if sizes else torch.stack(made)
    return Batch(images, ids, ids, ids, ids, ids, samples, ("",) * len(pictures))


def shown(recorder: RecordShuffledPredictions, batch: Batch) -> list[int]:
    return [int(image[0, 0, 0]) for image in recorder.shuffled(batch)]


def test_pictures_that_all_differ_move_on_by_one_row() -> None:
    recorder = RecordShuffledPredictions()
    for rows in (batch_of(*range(8)), batch_of(8, 9)):
        assert torch.equal(recorder.shuffled(rows), rows.images.roll(1, 0))
    several = batch_of(1, 2, 3, sizes=(2, 4, 6))
    found = recorder.shuffled(several)
    assert isinstance(found, list)
    assert all(a is b for a, b in zip(found, [several.images[-1], *several.images[:-1]], strict=True))


def test_no_row_gets_its_own_picture() -> None:
    recorder = RecordShuffledPredictions()
    assert shown(recorder, batch_of(1, 1, 2, 2, 2)) == [2, 2, 1, 1, 1]
    assert shown(recorder, batch_of(3, 1, 3, 3)) == [1, 3, 1, 1]
    # A last batch of one row, and batches whose rows share a picture: from the batches before.
    assert shown(recorder, batch_of(4)) == [3]
    assert shown(recorder, batch_of(4, 4)) == [3, 3]
    assert shown(recorder, batch_of(3)) == [4]
    assert shown(recorder, batch_of(5)) == [3]


def test_pictures_of_other_batches_may_have_another_size() -> None:
    recorder = RecordShuffledPredictions()
    recorder.shuffled(batch_of(1, 2, sizes=(4, 6)))
    (found,) = recorder.shuffled(batch_of(3))
    assert found.shape == (3, 6, 2)


@pytest.mark.parametrize("rows", [(1,), (1, 1)])
def test_the_first_batch_needs_two_pictures(rows: tuple[int, ...]) -> None:
    expected = "Expected another picture for u0 in the blind control but all rows so far show '1'; raise `batch_size`"
    with pytest.raises(UserError, match=expected):
        RecordShuffledPredictions().shuffled(batch_of(*rows))


def test_a_test_starts_with_no_picture_of_the_test_before(tmp_path, monkeypatch) -> None:
    recorder = RecordShuffledPredictions()
    monkeypatch.setattr(recorder, "open", lambda *_given: None)
    monkeypatch.setattr("lit_vlr.recording.test_names", lambda _trainer: ["test"])
    recorder.shuffled(batch_of(1, 2))
    recorder.on_test_start(None, None)
    with pytest.raises(UserError, match="blind control"):
        recorder.shuffled(batch_of(3))


@pytest.fixture
def tested(tmp_path: Path) -> Path:
    """A run folder with what a fit, a validation, another program and a test on other sets left there."""
    for name in ("predictions/test.jsonl", "predictions/test+gone.jsonl", "calibration.jsonl"):
        write(tmp_path / name, predictions(8), seed=0, threshold=0.2)
    write(tmp_path / "predictions" / "other.jsonl", predictions(8))
    (tmp_path / "predictions" / "other.manifest.json").unlink()
    others = ["gallery/index.json", "gallery/test/a.png", "gallery.part/test/a.png"]
    others += ["test_logs/events.out.tfevents.1.a.2.0", "logs/events.out.tfevents.1.a.2.0"]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("[]")
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


STAYS = {
    "calibration.jsonl",
    "calibration.manifest.json",
    "logs/events.out.tfevents.1.a.2.0",
    "predictions/other.jsonl",
}
QUICK = ("--data.init_args.ood_size=0", "--model.max_new_tokens=1", "--trainer.enable_progress_bar=false")
CLEAN = MAIN_JOB[:-1]


def test_a_test_removes_what_earlier_tests_left(tested: Path) -> None:
    before = files(tested)
    alone = '--trainer.callbacks=[{"class_path": "lit_vlr.recording.RecordPredictions"}]'
    assert main(arguments("test", tested, *QUICK, alone, configs=CLEAN)) == 0
    after = files(tested)
    test = {"predictions/test.jsonl", "predictions/test.manifest.json"}
    assert {name for name in before if name in after} == STAYS | test
    assert all(after[name] == before[name] for name in STAYS)
    assert all(after[name] != before[name] for name in test)
    assert len([name for name in after if name.startswith("test_logs/events")]) == 1
    assert "test+gone" not in (tested / "report.html").read_text()


def test_a_test_that_does_not_begin_removes_nothing(tested: Path) -> None:
    before = {name: content for name, content in files(tested).items() if not name.startswith("gallery.part")}
    attack = '--trainer.callbacks.init_args.sets=["nowhere"]'
    with pytest.raises(ValueError, match=r"Expected `sets` among the test sets \['test'\] but got \['nowhere'\]"):
        main(arguments("test", tested, *QUICK, attack, configs=(*CLEAN, "attack/eval_linf_pgd")))
    after = files(tested)
    assert {name: after.get(name) for name in before} == before


def test_several_processes_do_not_write_one_file(tmp_path: Path) -> None:
    trainer = cast("Trainer", SimpleNamespace(world_size=2, default_root_dir=tmp_path))
    with pytest.raises(UserError, match=r"one process to record answers but there are 2; add --trainer\.devices=1"):
        RecordPredictions().open(trainer, cast("LightningModule", None), "test")
    assert not list(tmp_path.iterdir())
