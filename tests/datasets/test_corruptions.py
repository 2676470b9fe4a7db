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

from lit_vlr.data.corruptions import CORRUPTIONS, CorruptedPicture, corrupt
from lit_vlr.data.corruptions.blur import swap_nearby, zoomed
from lit_vlr.data.corruptions.digital import elastic_transform, waves
from lit_vlr.data.corruptions.textures import ice, plasma
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


def unlikeness(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


DETERMINISTIC = {"gaussian_blur", "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg"}
# Under frost the picture itself fades, which takes away as much as ice adds: what grows is how little is left of it.
DISTORTION = {"frost": unlikeness}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_keeps_the_shape_leaves_the_picture_and_gets_worse(corruption: str) -> None:
    clean = smooth()
    results = [[made(corruption, severity, seed, clean) for seed in range(3)] for severity in (1, 2, 3, 4, 5)]
    assert np.array_equal(clean, smooth())
    assert all(r.shape == SIZE and r.dtype == np.uint8 for each in results for r in each)
    errors = [np.mean([DISTORTION.get(corruption, error)(r, clean) for r in each]) for each in results]
    assert min(errors) > (0.5 if corruption not in DISTORTION else 0.05)
    if corruption != "elastic_transform":  # of which another measure grows, see below
        assert (np.diff(errors) > 0).all(), errors


@pytest.mark.parametrize("corruption", CORRUPTIONS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (7, 300), (300, 7), (2, 2), (33, 65)])
def test_pictures_of_any_size(corruption: str, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for severity in (1, 5):
        corrupted = made(corruption, severity, picture=picture)
        assert (corrupted.shape, corrupted.dtype) == ((*size, 3), np.uint8)


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


@pytest.mark.parametrize("corruption", ["gaussian_blur", "defocus_blur", "glass_blur", "motion_blur"])
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


def test_glass_moves_values_to_places_nearby() -> None:
    moved = np.arange(30 * 40).reshape(30, 40, 1)
    swap_nearby(moved, 3, np.random.default_rng(0))
    assert np.array_equal(np.sort(moved.ravel()), np.arange(30 * 40))  # none is lost, none is there twice
    before = np.stack(np.divmod(moved[..., 0], 40))
    distance = np.abs(before - np.mgrid[:30, :40])
    assert (distance > 0).any(0).mean() > 0.9
    assert np.median(distance) == 2  # a value may be swapped on and on, so that some go farther than 3


def test_zooming_keeps_the_centre_and_makes_slopes_gentler() -> None:
    ramp = np.repeat(np.arange(9.0)[:, None], 5, 1)[..., None]  # the centre is 4
    assert np.allclose(zoomed(ramp, 2)[:, 0, 0], [2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6])
    assert np.allclose(zoomed(ramp, 1), ramp)
    assert np.array_equal(made("zoom_blur", 5, picture=grey(77)), grey(77))
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = dot[20, 2] = 255
    blurred = made("zoom_blur", 1, picture=dot)
    assert blurred[20, 20].min() > 200  # where all copies agree
    assert blurred[20, 2].max() < 130  # far from the centre they do not


def test_snow_falls_on_a_paler_picture() -> None:
    black = np.zeros((200, 200, 3), np.uint8)
    snowy = made("snow", 1, picture=black)
    assert (snowy == snowy[..., :1]).all()  # white flakes
    # Paler by (1 - .8) * .5 without a flake, and with flakes on some pixels more.
    assert snowy.min() in (25, 26)  # 25.5
    assert 0.02 < (snowy > snowy.min()).mean() < 0.9
    layer = snowy[..., 0].astype(float)
    down, right = (unlikeness(layer[4:], layer[:-4]), unlikeness(layer[:, 4:], layer[:, :-4]))
    assert down < right  # streaks are upright


def test_frost_is_ice_in_the_published_proportions() -> None:
    drawn = ice(64, 100, np.random.default_rng(3))
    assert drawn.shape == (64, 100, 3)
    assert 0 <= drawn.min() < 0.2 < 0.8 < drawn.max() <= 1
    assert drawn.std() > 0.1
    clean = np.full((64, 100, 3), 51, np.uint8)  # .2
    for severity, (kept, added) in enumerate([(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)], 1):
        expected = np.clip(kept * 0.2 + added * drawn, 0, 1) * 255
        assert np.abs(made("frost", severity, seed=3, picture=clean) - expected).max() <= 0.5 + 1e-6


LEVELS = [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)]  # of 244 pixels


def test_elastic_moves_tear_more_and_more() -> None:
    still = elastic_transform(smooth() / 255, (0, 0.01, 0), np.random.default_rng(0))
    assert np.allclose(still * 255, smooth())
    moves = [waves((224, 224), level, np.random.default_rng(0)) for level in LEVELS]
    torn = [np.abs(np.diff(m)).mean() for m in moves]
    assert (np.diff(torn) > 0).all(), torn
    # A Gaussian of deviation s leaves 1 / (2 s sqrt(pi)) of the deviation of white noise, here 1 / sqrt(3).
    assert moves[4].std() == pytest.approx(0.12 * 244 / np.sqrt(3) / (2 * 2.44 * np.sqrt(np.pi)), rel=0.05)
    errors = [error(made("elastic_transform", severity), smooth()) for severity in (1, 2, 3, 4, 5)]
    assert errors[1] > errors[0] > errors[4] > errors[3] > errors[2]  # the first two skew, the last three tear


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
    drawn = corruption not in DETERMINISTIC
    assert np.array_equal(picture.pixels("okvqa/val2014/2"), first) != drawn
    other = CorruptedPicture(smooth(), corruption, 3, seed=1)  # type: ignore[arg-type]
    assert np.array_equal(other.pixels("okvqa/val2014/1"), first) != drawn


class EachKind(Dataset[torch.Tensor]):
    def __init__(self, path: Path) -> None:
        self.pictures = [CorruptedPicture(path, kind, 2, 0) for kind in CORRUPTIONS]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, place: int) -> torch.Tensor:
        return load_image(self.pictures[place], f"a/b/{place}")


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    each = [torch.cat(list(DataLoader(EachKind(tmp_path / "a.png"), 4, num_workers=n))) for n in (0, 1, 4)]
    assert len(each[0]) == len(CORRUPTIONS) == 17
    assert torch.equal(each[0], each[1])
    assert torch.equal(each[0], each[2])


@pytest.mark.parametrize(
    ("corruption", "severity"),
    [("rain", 3), ("snow", 0), ("frost", 6), ("fog", 2.5), ("glass_blur", -1), ("zoom_blur", True), ("snow", "3")],
)
def test_unknown_corruptions_are_refused(corruption: str, severity: int) -> None:
    with pytest.raises(UserError, match=r"Expected `(corruption|severity)` (to be one of gaussian_noise|from 1 to 5)"):
        made(corruption, severity)
