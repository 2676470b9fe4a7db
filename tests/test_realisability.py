"""Attacked pictures as files: read the ordinary way, counted by hand, and noted beside the predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lit_vlr.attack_check import checked
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.realisability import Realisability, read_again
from lit_vlr.types import Prediction
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Linf
from tests._tiny import batch, family


@pytest.fixture(scope="module")
def module() -> SelectiveVLM:
    return SelectiveVLM(family(), SFT(), max_new_tokens=4).eval()


def test_files_come_back_through_the_familys_own_collate(module: SelectiveVLM) -> None:
    asked = batch(module.family, 3)
    attacked = (asked.images + 3.3 / 255 * torch.randn(asked.images.shape)).clamp(0, 1)
    again = read_again(module, asked, attacked)
    expected = np.round(255 * attacked.numpy()).astype(np.uint8)
    assert (np.round(255 * again.images.numpy()).astype(np.uint8) == expected).all()
    assert again.images.dtype == torch.float32
    assert torch.equal(again.input_ids, asked.input_ids)
    assert torch.equal(again.labels, asked.labels)
    assert again.samples == asked.samples
    # Pictures that were files already come back as they are.
    assert torch.equal(read_again(module, asked, asked.images).images, asked.images)


def said(accuracy: float | None) -> Prediction:
    return Prediction("u", "i", "q", "a", 0.5, False, accuracy)


def test_counts_by_hand() -> None:
    counts = Realisability()
    assert counts.summary() is None
    clean, attacked, png = ([said(a) for a in row] for row in ((1, 0.6, 0, None), (0, 0.3, 1, None), (0, 0.6, 0, None)))
    counts.update(clean, attacked, png, 2 / 255)
    counts.update([said(1.0)], [said(1.0)], [said(0.0)], 1 / 255)
    assert counts.summary() == {
        "n": 4,
        "attacked_accuracy": pytest.approx((0 + 0.3 + 1 + 1) / 4),
        "png_accuracy": pytest.approx(0.6 / 4),
        "fooled": 2,
        "still_fooled": 1,
        "largest_change": 2 / 255,
    }


def test_the_check_of_an_attack_is_plain_json_and_leaves_the_module_alone(module: SelectiveVLM) -> None:
    asked = batch(module.family, 3)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.get_rng_state()
    found = checked(module, asked, PGD(Linf("4/255"), steps=2), 2)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["n"] == 2
    assert found["attacked_loss"] > found["clean_loss"]
    assert found["unbounded_loss"] > found["attacked_loss"]
    assert 0 <= found["unbroken"] <= 1
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
