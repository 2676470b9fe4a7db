"""The file behind warm starts: codes, versions, room; and batches that a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Compose, Contrast, Linf, Rotate
from lit_vlr_callbacks.training import Warm
from lit_vlr_callbacks.training.memory import sample_keys
from lit_vlr_callbacks.training.param_file import ParamFile, decode, encode
from lit_vlr_callbacks.training.replay import contents, from_plain, overwrite, to_plain
from tests.callbacks._modules import Classifier, trainer
from tests.callbacks.test_training_modes import loader


@given(seed=st.integers(0, 2**31), eps=st.floats(1e-4, 1), batch=st.integers(1, 4))
def test_what_is_read_back_is_within_half_a_step(seed: int, eps: float, batch: int) -> None:
    threat = Compose([Rotate(-5, 5), Contrast(0.9, 1.3), Linf(eps)])
    images = torch.zeros(batch, 3, 4, 4)
    params = threat.sample(batch, torch.Generator().manual_seed(seed), image_shape=(3, 4, 4))
    codes = encode(params, threat)
    assert codes.shape == (batch, 2 + 48)
    for name, value in decode(codes, threat, images).items():
        span = threat.high[name] - threat.low[name]
        assert value.shape == params[name].shape
        assert (value - params[name]).abs().max() <= span / 255 / 2 * 1.001 + 1e-6


def codes(*values: int) -> np.ndarray:
    return np.array([[v, v] for v in values], np.uint8)


def opened(path: Path, run: int = 7, resume: bool = False, rows: int = 1000) -> ParamFile:
    return ParamFile(path, 2, rows * 28, run, resume)  # 8 key, 16 versions, 2 × 2 codes


def read(file: ParamFile, key: int, now: int) -> int | None:
    found, known = file.read([key], now)
    return int(found[0, 0]) if known[0] else None


def test_a_rollback_reads_what_the_checkpointed_run_would_have_read(tmp_path: Path) -> None:
    file = opened(tmp_path / "f")
    file.write([1], codes(10), 1)
    file.write([1], codes(20), 2)
    assert [read(file, 1, now) for now in (0, 1, 2, 3)] == [None, 10, 20, 20]
    file.write([1], codes(21), 2)  # back at batch 2, it is written again
    assert [read(file, 1, now) for now in (1, 2)] == [10, 21]
    file.write([1], codes(30), 3)
    assert [read(file, 1, now) for now in (1, 2, 3)] == [None, 21, 30]
    assert read(file, 2, 9) is None


def test_the_file_grows_and_goes_on_for_its_own_run_only(tmp_path: Path) -> None:
    keys = list(range(1, 701))
    file = opened(tmp_path / "f")
    file.write(keys, codes(*(k % 251 for k in keys)), 1)
    file.close()
    again = opened(tmp_path / "f", resume=True)
    assert again.resumed
    assert [read(again, k, 1) for k in keys] == [k % 251 for k in keys]
    again.close()
    other = opened(tmp_path / "f", run=8, resume=True)
    assert not other.resumed
    assert read(other, 1, 9) is None


def test_a_full_file_keeps_what_it_has(tmp_path: Path) -> None:
    file = opened(tmp_path / "f", rows=3)  # one is the header
    file.write([1, 2, 3], codes(1, 2, 3), 1)
    assert file.full
    assert [read(file, k, 1) for k in (1, 2, 3)] == [1, 2, None]
    assert (tmp_path / "f").stat().st_size == 3 * 28


def test_keys_are_the_same_for_the_same_name_and_differ_otherwise() -> None:
    batch = {"n": torch.tensor([3, 4]), "t": ["3", "a"], "a": np.array([3, 4]), "u": ("3", "4")}
    assert sample_keys(batch, "n", 2) == sample_keys(batch, "a", 2) == sample_keys(batch, "u", 2)
    assert len({*sample_keys(batch, "n", 2), *sample_keys(batch, "t", 2)}) == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (["a"], "one entry for each of 2 samples but got 1 entries"),
        ("ab", "one entry for each of 2 samples"),
        (3, "one entry for each of 2 samples but got int"),
        ([1.0, 2.0], "of integers or texts but got float"),
        ([True, False], "of integers or texts but got bool"),
    ],
)
def test_bad_keys(entry: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        sample_keys({"index": entry}, "index", 2)


def test_no_room_and_a_missing_file_are_said(tmp_path: Path) -> None:
    attack = PGD(Linf("8/255"), steps=1, keep_best=False)
    small = AdversarialTraining(attack, mode=Warm(max_gigabytes=3e-6))
    with pytest.warns(UserWarning, match="memory of attacks is full"):
        trainer(small, default_root_dir=tmp_path).fit(Classifier(), loader())
    run = trainer(AdversarialTraining(attack, mode="warm"), default_root_dir=tmp_path)
    run.fit(Classifier(), loader())
    run.save_checkpoint(tmp_path / "x.ckpt")
    more = trainer(AdversarialTraining(attack, mode="warm"), default_root_dir=tmp_path, max_epochs=2)
    with pytest.warns(UserWarning, match=r"is missing; every sample starts anew"):
        more.fit(Classifier(), loader(), ckpt_path=tmp_path / "x.ckpt")


@dataclass
class Record:
    pictures: Tensor
    names: tuple[str, ...]
    path: Path
    table: np.ndarray


def record(seed: int) -> Record:
    return Record(torch.full((2,), float(seed)), (f"{seed}",), Path(f"/{seed}"), np.arange(seed))


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"r": r, "n": None}, lambda r: [r, 1.5, "a"]])
def test_a_batch_survives_a_checkpoint_and_is_given_again(wrap: Any, tmp_path: Path) -> None:
    kept = contents(wrap(record(3)))
    torch.save(to_plain(kept), tmp_path / "x")
    plain = torch.load(tmp_path / "x", weights_only=True)  # no pickled code in it
    batch = wrap(record(5))
    overwrite(batch, from_plain(plain, batch))
    assert repr(batch) == repr(wrap(record(3)))


def test_batches_that_cannot_be_kept() -> None:
    with pytest.raises(TypeError, match="can be replayed but got tuple; set `replays: 1`"):
        contents((torch.zeros(1),))
    with pytest.raises(TypeError, match="a checkpoint can hold but it has a set"):
        to_plain({"x": {1, 2}})
