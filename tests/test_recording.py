"""What the callbacks of a test write, and leave, and answer on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from lit_vlr.errors import UserError
from lit_vlr.recording import RecordShuffledPredictions
from lit_vlr.types import Batch, Sample

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
