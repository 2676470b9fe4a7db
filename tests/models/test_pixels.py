"""Resizing against Pillow, patches and tiles against plain indexing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from lit_vlr.models.pixels import Resample, center_crop, pad_to, patchify, resample_of, resize, split
from tests.models._checks import picture

SIZES = [((40, 24), (16, 16)), ((20, 90), (64, 200)), ((33, 33), (7, 50)), ((16, 16), (16, 31))]
FILTERS: dict[Resample, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("resample", FILTERS)
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_resizing_is_pillows_without_its_rounding(resample: Resample, old, new) -> None:
    image = picture(*old)
    # One channel of floats: Pillow then rounds and clips nowhere.
    expected = np.stack(
        [Image.fromarray(c.astype(np.float32)).resize(new[::-1], FILTERS[resample]) for c in image.transpose(2, 0, 1)]
    )
    found = resize(torch.from_numpy(image).permute(2, 0, 1).float() / 255, *new, resample)
    torch.testing.assert_close(found * 255, torch.from_numpy(expected).clamp(0, 255), atol=2e-3, rtol=0)


@pytest.mark.parametrize("resample", FILTERS)
def test_resizing_keeps_its_precision_under_autocast(resample: Resample) -> None:
    image = torch.rand(3, 20, 30)
    expected = resize(image, 17, 41, resample)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(resize(image, 17, 41, resample), expected)


def test_a_picture_of_that_size_is_left_alone() -> None:
    image = torch.rand(3, 8, 9)
    assert resize(image, 8, 9) is image


def test_the_gradient_of_resizing_is_right() -> None:
    image = torch.rand(3, 5, 6, dtype=torch.float64) * 0.5 + 0.25  # nothing overshoots
    for resample in FILTERS:
        inputs = image.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda x, r=resample: resize(x, 4, 9, r), inputs)


def test_exception_resample() -> None:
    assert [resample_of(n) for n in (1, 2, 3)] == ["lanczos", "bilinear", "bicubic"]
    with pytest.raises(ValueError, match=r"Expected `resample` as one of .* but got 0"):
        resample_of(0)


def test_patches_against_loops() -> None:
    patch, merge, temporal = 2, 3, 2
    image = torch.rand(3, 12, 6)
    found = patchify(image, patch, merge, temporal)
    rows = []
    for block_y in range(2):
        for block_x in range(1):
            for my in range(merge):
                for mx in range(merge):
                    y, x = (block_y * merge + my) * patch, (block_x * merge + mx) * patch
                    cut = image[:, y : y + patch, x : x + patch]
                    rows.append(torch.stack([cut] * temporal, 1).flatten())
    assert torch.equal(found, torch.stack(rows))


def test_tiles_padding_and_crops_against_slices() -> None:
    image = torch.rand(3, 4, 6)
    tiles = split(image, 2)
    assert all(
        torch.equal(tiles[r * 3 + c], image[:, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2])
        for r in range(2)
        for c in range(3)
    )
    padded = pad_to(image, 7, 9)
    assert torch.equal(padded[:, 1:5, 1:7], image)  # the odd rest is below and to the right
    assert padded.sum() == pytest.approx(float(image.sum()), rel=1e-6)
    assert torch.equal(center_crop(torch.rand(3, 4, 6).fill_(1), 4), torch.ones(3, 4, 4))
    assert torch.equal(center_crop(image, 4), image[:, :, 1:5])
