"""The records."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor
from torch.utils.data._utils.pin_memory import pin_memory

from lit_vlr.types import Batch, Sample


@pytest.fixture
def batch() -> Batch:
    t = torch.zeros(1, 2, dtype=torch.long)
    return Batch(torch.zeros(1, 3, 4, 4), t, t, t, t, t, (Sample("u", None, "i", "q"),), ("a",))  # type: ignore[arg-type]


def test_entries_are_read_and_written_by_name(batch: Batch) -> None:
    batch["images"] = torch.ones(1, 3, 4, 4)
    assert batch.images.mean() == 1
    with pytest.raises(KeyError, match="Expected one of"):
        batch["pictures"]
    with pytest.raises(KeyError, match="Expected one of"):
        batch["pictures"] = 1


def test_uids_are_read_like_an_entry_and_follow_from_the_samples(batch: Batch) -> None:
    assert batch["uids"] == batch.uids == ("u",)
    with pytest.raises(KeyError, match="Expected one of"):
        batch["uids"] = ("v",)


def test_to_moves_tensors_and_lists_and_keeps_the_rest(batch: Batch) -> None:
    moved = batch.with_images([torch.zeros(3, 2, 2)]).to("meta")
    assert moved.input_ids.device.type == "meta"
    assert moved.images[0].device.type == "meta"
    assert moved.samples == batch.samples


def test_with_images_leaves_the_original(batch: Batch) -> None:
    other = batch.with_images(torch.ones(1, 3, 4, 4))
    assert batch.images.sum() == 0
    assert other.labels is batch.labels


def test_batches_pickle_for_workers(batch: Batch) -> None:
    assert pickle.loads(pickle.dumps(batch)).targets == ("a",)


def test_pinning_reaches_every_tensor(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DataLoader pins what has this method; without a GPU there is no page-locked memory, so copies stand in."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)
    pinned = pin_memory(batch)
    assert isinstance(pinned, Batch)
    assert pinned.samples == batch.samples
    for name in ("images", "input_ids", "attention_mask", "labels", "prompt_ids", "prompt_mask"):
        before, after = (x if isinstance(x, list) else [x] for x in (batch[name], pinned[name]))
        for old, new in zip(before, after, strict=True):
            assert torch.equal(old, new)
            assert old.data_ptr() != new.data_ptr()
            assert new.is_pinned() == torch.cuda.is_available()
