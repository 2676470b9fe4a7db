"""Corruptions: what each does in numbers, worse with severity, and the same bytes in any process and order."""

from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from lit_vlr.data.corruptions import CORRUPTIONS, CorruptedPicture, corrupt, plasma
from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError

SIZE = (120, 160, 3)


def smooth() -> np.ndarray:
    """A picture with edges, flat regions and all colours but white."""
    y, x = np.mgrid[0:120, 0:160]
    picture = np.stack([x, y * 1.3, 160 - x], -1).astype(np.float64)
    picture[30:70, 40:90] = (20, 200, 90)
    return picture.clip(0, 230).astype(np.uint8)


def made(corruption: str, severity: int = 3, seed: int = 0, picture: np.ndarray | None = None) -> np.ndarray:
    chosen = smooth() if picture is None else picture
    return corrupt(chosen, corruption, severity, np.random.default_rng(seed))  # type: ignore[arg-type]


def error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a.astype(float) - b) ** 2).mean()))


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_keeps_the_shape_leaves_the_picture_and_gets_worse(corruption: str) -> None:
    clean = smooth()
    results = [made(corruption, severity, picture=clean) for severity in (1, 2, 3, 4, 5)]
    assert np.array_equal(clean, smooth())
    assert all(r.shape == SIZE and r.dtype == np.uint8 for r in results)
    errors = [error(r, clean) for r in results]
    assert errors[0] > 0.5
    assert errors[4] > errors[0]
    assert errors[4] > errors[2] > errors[0]


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3)])
def test_small_pictures(corruption: str, size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), 100, np.uint8)
    assert made(corruption, 5, picture=picture).shape == (*size, 3)


def grey(value: int) -> np.ndarray:
    return np.full((200, 200, 3), value, np.uint8)


@pytest.mark.parametrize(("severity", "std"), zip((1, 2, 3), (0.08, 0.12, 0.18), strict=False))
def test_gaussian_noise_has_its_standard_deviation(severity: int, std: float) -> None:
    noise = made("gaussian_noise", severity, picture=grey(128)) / 255
    assert noise.std() == pytest.approx(std, rel=0.03)
    assert noise.mean() == pytest.approx(128 / 255, abs=0.002)


def test_shot_noise_is_poisson() -> None:
    noise = made("shot_noise", 1, picture=grey(102)) / 255  # .4 of white: 24 photons of 60
    assert noise.mean() == pytest.approx(0.4, abs=0.002)
    assert noise.std() == pytest.approx(np.sqrt(24) / 60, rel=0.03)


def test_speckle_noise_grows_with_the_value() -> None:
    dark, bright = (made("speckle_noise", 1, picture=grey(v)).std() for v in (40, 120))
    assert bright / dark == pytest.approx(3, rel=0.05)


def test_impulse_noise_hits_its_share_with_black_and_white() -> None:
    noise = made("impulse_noise", 5, picture=grey(100))
    assert set(np.unique(noise)) == {0, 100, 255}
    assert (noise != 100).mean() == pytest.approx(0.27, abs=0.01)
    assert (noise == 255).sum() / (noise != 100).sum() == pytest.approx(0.5, abs=0.02)


def test_contrast_is_linear_about_the_mean_of_each_channel() -> None:
    x = smooth() / 255
    mean = x.mean((0, 1))
    assert np.abs(made("contrast", 2) / 255 - ((x - mean) * 0.3 + mean)).max() <= 0.5 / 255 + 1e-9


def test_brightness_adds_to_the_value_and_keeps_the_hue() -> None:
    picture = np.array([[[100, 50, 0], [0, 0, 0], [250, 0, 125]]], np.uint8)
    # .2 is 51: the value 100 becomes 151, and the others keep their ratio; black becomes grey; 250 is cut at 255.
    assert made("brightness", 2, picture=picture).tolist() == [[[151, 76, 0], [51, 51, 51], [255, 0, 128]]]


def test_pixelate_leaves_few_colours() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    assert (
        len(np.unique(made("pixelate", 5, picture=picture).reshape(-1, 3), axis=0)) <= 100
    )  # a tenth of a side, squared


def test_jpeg_is_pillows() -> None:
    buffer = BytesIO()
    Image.fromarray(smooth()).save(buffer, "JPEG", quality=7)
    assert np.array_equal(made("jpeg", 5), np.array(Image.open(buffer)))


@pytest.mark.parametrize("corruption", ["gaussian_blur", "defocus_blur", "motion_blur"])
def test_blurs_keep_flat_pictures_and_the_mean(corruption: str) -> None:
    assert np.array_equal(made(corruption, 5, picture=grey(77)), grey(77))
    dot = np.zeros((61, 61, 3), np.uint8)
    dot[30, 30] = 255
    blurred = made(corruption, 1, picture=dot).astype(float)
    assert blurred.sum() == pytest.approx(dot.sum(), rel=0.1)  # rounding to bytes takes the tails
    assert blurred.max() < 128


def test_defocus_is_a_disk_and_motion_a_line() -> None:
    dot = np.zeros((81, 81, 3), np.uint8)
    dot[40, 40] = 255
    disk = made("defocus_blur", 5, picture=dot)[..., 0] > 0
    y, x = np.nonzero(disk)
    assert np.hypot(y - 40, x - 40).max() == pytest.approx(10, abs=2)
    line = made("motion_blur", 3, picture=dot)[..., 0] > 0
    y, x = np.nonzero(line)
    assert line.sum() < 40
    assert abs(np.corrcoef(y, x)[0, 1]) > 0.95 or np.ptp(y) < 2


def test_fog_brightens_the_dark_and_keeps_the_brightest() -> None:
    foggy = made("fog", 1)
    assert foggy.max() <= smooth().max()
    assert foggy[:, :10, 0].mean() > smooth()[:, :10, 0].mean() + 20
    assert foggy.std() < smooth().std()
    assert not made("fog", 5, picture=grey(0)).any()


def test_plasma_is_rough_within_its_range() -> None:
    fields = [plasma(64, decay, np.random.default_rng(0)) for decay in (3, 1.4)]
    assert all(f.min() == 0 and f.max() == 1 for f in fields)
    smoothness, roughness = (np.abs(np.diff(f)).mean() for f in fields)
    assert roughness > 2 * smoothness


def test_plasma_decays_by_the_square_as_released() -> None:
    """Its code draws between plus and minus the roughness, and multiplies by the roughness once more."""
    field = plasma(256, 2, np.random.default_rng(0))

    def displacement(step: int) -> float:
        grid = field[::step, ::step]
        corners = (grid[:-2:2, :-2:2] + grid[2::2, :-2:2] + grid[:-2:2, 2::2] + grid[2::2, 2::2]) / 4
        return float((grid[1:-2:2, 1:-2:2] - corners).std())

    assert displacement(2) / displacement(1) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_what_is_random_comes_from_seed_and_uid(corruption: str) -> None:
    np.random.seed(1)
    picture = CorruptedPicture(smooth(), corruption, 3, seed=0)  # type: ignore[arg-type]
    first = picture.pixels("okvqa/val2014/1")
    assert np.array_equal(pickle.loads(pickle.dumps(picture)).pixels("okvqa/val2014/1"), first)
    drawn = corruption.endswith("noise") or corruption in ("motion_blur", "fog")
    assert np.array_equal(picture.pixels("okvqa/val2014/2"), first) != drawn
    other = CorruptedPicture(smooth(), corruption, 3, seed=1)  # type: ignore[arg-type]
    assert np.array_equal(other.pixels("okvqa/val2014/1"), first) != drawn


class Foggy(Dataset[torch.Tensor]):
    def __init__(self, path: Path) -> None:
        self.pictures = [CorruptedPicture(path, kind, 2, 0) for kind in ("fog", "shot_noise") for _ in range(4)]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> torch.Tensor:
        return load_image(self.pictures[place], f"a/b/{place}")


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    each = [torch.cat(list(DataLoader(Foggy(tmp_path / "a.png"), 4, num_workers=n))) for n in (0, 2)]
    assert torch.equal(each[0], each[1])


@pytest.mark.parametrize(("corruption", "severity"), [("snow", 3), ("fog", 0), ("fog", 6), ("fog", 2.5)])
def test_unknown_corruptions_are_refused(corruption: str, severity: int) -> None:
    with pytest.raises(UserError, match=r"Expected `(corruption|severity)` (to be one of gaussian_noise|from 1 to 5)"):
        made(corruption, severity)
