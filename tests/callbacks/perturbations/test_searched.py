"""Perturbations without usable gradients: refused by PGD, searched by sampling, Pillow as the oracle."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from lit_vlr_callbacks.attacks import FGSM, PGD, RandomSearch
from lit_vlr_callbacks.perturbations import (
    Compose,
    Equalize,
    Erasing,
    Jpeg,
    Perturbation,
    Posterize,
    Saturation,
    Solarize,
    Typographic,
    glyphs,
)
from scripts.glyphs import draw
from tests.callbacks.perturbations.test_every_perturbation import SEARCHED

EVERY = [*SEARCHED, pytest.param(Equalize(), id="equalize")]


def eight_bit(n: int = 3, height: int = 24, width: int = 40, seed: int = 0) -> Tensor:
    """Smooth pictures of whole 255ths, so that JPEG has something to keep and histograms are not flat."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 4, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (255 * smooth).round() / 255


def pillow(image: Tensor) -> Image.Image:
    return Image.fromarray((255 * image).round().byte().permute(1, 2, 0).numpy())


def tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255


# --- as search sees them


@pytest.mark.parametrize("perturbation", EVERY)
def test_attacks_with_gradients_refuse_them(perturbation: Perturbation) -> None:
    assert not perturbation.differentiable
    for threat in (perturbation, Compose([Saturation(), perturbation])):
        for attack in (PGD, FGSM):
            with pytest.raises(ValueError, match=r"usable gradients but .* has none; use RandomSearch"):
                attack(threat)


@pytest.mark.parametrize("perturbation", EVERY)
def test_random_search_finds_something_worse_and_more_draws_find_more(perturbation: Perturbation) -> None:
    images = eight_bit(8)
    target = torch.rand(8, 3, 24, 40, generator=torch.Generator().manual_seed(5))

    def loss(x: Tensor) -> Tensor:
        return ((x - images).abs() * target).flatten(1).mean(1)

    few, many = (RandomSearch(perturbation, samples=n).attack(loss, images) for n in (2, 20))
    assert (few.loss > 0).all()
    assert (many.loss >= few.loss).all()
    assert many.loss.mean() > 1.05 * few.loss.mean()
    assert torch.equal(many.images, perturbation.apply(images, many.params))
    torch.testing.assert_close(many.loss, loss(many.images))


# --- tones


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 7, 8])
def test_posterize_is_pillows(bits: int) -> None:
    images = torch.arange(256).view(1, 1, 16, 16).expand(2, 3, 16, 16) / 255
    for value in (float(bits), bits + 0.9):
        given = torch.full((2,), min(value, 8.0))
        found = Posterize(1).apply(images, {"posterize_bits": given})
        torch.testing.assert_close(found[0], tensor(ImageOps.posterize(pillow(images[0]), bits)), atol=1e-6, rtol=0)


def test_each_picture_has_its_own_bits() -> None:
    images = torch.full((3, 3, 2, 2), 200 / 255)
    found = Posterize(1).apply(images, {"posterize_bits": torch.tensor([1.0, 2.5, 8.0])})
    assert found[:, 0, 0, 0].tolist() == pytest.approx([128 / 255, 192 / 255, 200 / 255])


@pytest.mark.parametrize("threshold", [0, 51, 128, 255])
def test_solarize_is_pillows(threshold: int) -> None:
    images = torch.arange(256).view(1, 1, 16, 16).expand(2, 3, 16, 16) / 255
    given = torch.full((2,), threshold) / 255
    expected = tensor(ImageOps.solarize(pillow(images[0]), threshold))
    found = Solarize(0).apply(images, {"solarize_threshold": given})
    torch.testing.assert_close(found[1], expected, atol=1e-6, rtol=0)


def test_solarize_leaves_white_alone_only_at_the_identity() -> None:
    white = torch.ones(1, 3, 2, 2)
    assert torch.equal(Solarize().apply(white, Solarize().neutral(1)), white)
    assert torch.equal(Solarize().apply(white, {"solarize_threshold": torch.tensor([1.0])}), torch.zeros(1, 3, 2, 2))


def test_equalize_is_pillows_blended() -> None:
    images = eight_bit()
    expected = torch.stack([tensor(ImageOps.equalize(pillow(image))) for image in images])
    amounts = torch.tensor([0.0, 0.5, 1.0])
    found = Equalize().apply(images, {"equalize": amounts})
    blended = images + amounts.view(-1, 1, 1, 1) * (expected - images)
    torch.testing.assert_close(found, blended, atol=1e-5, rtol=0)
    assert torch.equal(found[0], images[0])
    assert (found[2] - images[2]).abs().mean() > 0.05


def test_equalize_obeys_what_every_perturbation_obeys() -> None:
    """Apart from the others, because Pillow's definition leaves pictures of fewer than 256 pixels as they are."""
    images = eight_bit()
    threat = Equalize(0.8)
    params = threat.sample(3, torch.Generator().manual_seed(0))
    assert threat.scaled(0.0).low == threat.scaled(0.0).high == threat.identity
    assert torch.equal(threat.apply(images, threat.neutral(3)), images)
    assert threat.project({"equalize": torch.tensor([-1.0, 7.0])})["equalize"].tolist() == pytest.approx([0.0, 0.8])
    together = threat.apply(images, params)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(threat.apply(images, params), together)
    assert not torch.equal(together, images)
    for i in range(3):
        alone = threat.apply(images[i : i + 1], {"equalize": params["equalize"][i : i + 1]})
        torch.testing.assert_close(alone[0], together[i], atol=1e-6, rtol=0)


# --- JPEG


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_jpeg_is_near_pillows(quality: int) -> None:
    """Not equal: the codec rounds by a polynomial, and libjpeg has its own arithmetic."""
    images = eight_bit(3, 64, 96)
    found = Jpeg(1).apply(images, {"jpeg_quality": torch.full((3,), float(quality))})
    for image, coded in zip(images, found, strict=True):
        file = io.BytesIO()
        pillow(image).save(file, "JPEG", quality=quality, subsampling=2)
        expected = tensor(Image.open(file))
        loss, reference = (coded - image).abs().mean(), (expected - image).abs().mean()
        assert 0.75 * reference < loss < 1.25 * reference
        assert (coded - expected).abs().mean() < 0.7 * reference  # the same loss in the same places


def test_less_quality_is_a_worse_picture_and_100_is_the_picture() -> None:
    images = eight_bit(4, 32, 32)[:1].expand(4, 3, 32, 32)
    found = Jpeg(5).apply(images, {"jpeg_quality": torch.tensor([5.0, 30.0, 80.0, 100.0])})
    errors = (found - images).abs().flatten(1).mean(1)
    assert errors[0] > errors[1] > errors[2] > errors[3] == 0


def test_jpeg_lets_a_gradient_through_to_the_pixels() -> None:
    images = eight_bit().requires_grad_()
    (Jpeg().apply(images, {"jpeg_quality": torch.tensor([50.0, 80.0, 100.0])}) ** 2).sum().backward()
    assert images.grad is not None
    assert (images.grad.flatten(1).abs().amax(1) > 0).all()
    assert torch.equal(images.grad[2].isfinite(), torch.ones(3, 24, 40, dtype=torch.bool))


# --- erasing


def test_erasing_by_hand() -> None:
    images = torch.zeros(2, 3, 8, 10)
    params = {
        "erase_height": torch.tensor([0.25, 0.5]),
        "erase_width": torch.tensor([0.5, 0.1]),
        "erase_top": torch.tensor([0.0, 1.0]),
        "erase_left": torch.tensor([0.5, 1.0]),
    }
    expected = torch.zeros_like(images)
    expected[0, :, 0:2, 3:8] = 0.75  # 2 x 5 pixels; 6 places across, of which the fourth
    expected[1, :, 4:8, 9:10] = 0.75
    assert torch.equal(Erasing(0.5, value=0.75).apply(images, params), expected)
    fixed = {name: params[name] for name in ("erase_height", "erase_width")}
    corner = Erasing(0.5, value=0.75, top=0, left=0.5)
    assert corner.names == ("erase_height", "erase_width")
    assert torch.equal(corner.apply(images, fixed)[0], expected[0])


def test_no_area_is_the_picture() -> None:
    images = eight_bit()
    params = Erasing().sample(3, torch.Generator().manual_seed(0))
    assert torch.equal(Erasing().apply(images, params | {"erase_height": torch.zeros(3)}), images)
    assert torch.equal(Erasing().apply(images, params | {"erase_width": torch.full((3,), 0.01)}), images)


# --- text


def text(word: float = 0, size: float = 0.25, top: float = 0.5, left: float = 0.5, opacity: float = 1.0, n: int = 1):
    values = {"text_opacity": opacity, "text_word": word, "text_size": size, "text_top": top, "text_left": left}
    return {name: torch.full((n,), float(value)) for name, value in values.items()}


def test_text_is_white_with_a_black_outline_on_any_ground() -> None:
    threat = Typographic(["cat"])
    for ground in (0.0, 0.5, 1.0):
        written = threat.apply(torch.full((1, 3, 64, 96), ground), text())[0, 0]
        assert (written == 1.0).sum() > 10
        assert (written == 0.0).sum() > 10
    written = threat.apply(torch.full((1, 3, 64, 96), 0.5), text())[0]
    assert torch.equal(written[0], written[2])
    changed = (written[0] != 0.5).nonzero()
    assert changed.amin(0).tolist()[0] > 15  # in the middle, about a quarter of the height
    assert changed.amax(0).tolist()[0] < 48


def test_words_differ_and_the_index_is_rounded_down() -> None:
    images = torch.full((5, 3, 48, 96), 0.5)
    params = text(n=5) | {"text_word": torch.tensor([0.0, 0.9, 1.0, 1.999, 2.0])}
    written = Typographic(["cat", "dog"]).apply(images, params)
    assert torch.equal(written[0], written[1])
    assert torch.equal(written[2], written[3])
    assert torch.equal(written[2], written[4])  # the upper end of the range is the last word
    assert not torch.equal(written[0], written[2])


def test_text_goes_to_the_borders_and_no_further() -> None:
    images = torch.full((1, 3, 48, 96), 0.5)
    for place, edge in ((0.0, 0), (1.0, -1)):
        written = Typographic(["Hg"]).apply(images, text(top=place, left=place))[0, 0] != 0.5
        assert written[edge].any()
        assert written[:, edge].any()
        assert not written[-1 - edge].any()


def test_size_is_that_of_the_font_and_a_wide_word_is_set_smaller() -> None:
    images = torch.full((1, 3, 100, 100), 0.5)

    def extent(words: list[str], size: float) -> list[int]:
        where = (Typographic(words, 0.1, 1.0).apply(images, text(size=size))[0, 0] != 0.5).nonzero()
        return (where.amax(0) - where.amin(0) + 1).tolist()

    small, large = extent(["ox"], 0.2), extent(["ox"], 0.4)
    assert large[0] == pytest.approx(2 * small[0], abs=4)
    wide = extent(["incomprehensibilities"], 0.4)
    assert 90 <= wide[1] <= 100
    assert wide[0] < large[0]


def test_letters_too_small_to_draw_are_no_error() -> None:
    images = torch.full((1, 3, 4, 4), 0.5)
    assert not torch.equal(Typographic(["."], 0.01).apply(images, text(size=0.01)), images)  # one dot, of one pixel
    assert not torch.equal(Typographic(["incomprehensibilities"]).apply(images, text(size=0.25)), images)


def test_opacity_blends_and_has_a_gradient() -> None:
    images = torch.full((2, 3, 48, 96), 0.5)
    opacity = torch.tensor([0.0, 0.5], requires_grad=True)
    written = Typographic(["cat"]).apply(images, text(n=2) | {"text_opacity": opacity})
    full = Typographic(["cat"]).apply(images, text(n=2))
    assert torch.equal(written[0], images[0])
    torch.testing.assert_close(written[1], (images[1] + full[1]) / 2)
    written[:, :, :, :].square().sum().backward()
    torch.testing.assert_close(opacity.grad, (2 * written.detach() * (full - images)).flatten(1).sum(1))


def test_text_survives_inference_mode() -> None:
    """The letters are kept between calls; as a tensor of inference mode they could not be differentiated later."""
    threat = Typographic(["inference"])
    with torch.inference_mode():
        threat.apply(torch.full((1, 3, 32, 64), 0.5), text())
    images = torch.full((1, 3, 32, 64), 0.5, requires_grad=True)
    opacity = torch.ones(1, requires_grad=True)
    threat.apply(images, text() | {"text_opacity": opacity}).sum().backward()
    assert images.grad is not None


def test_the_letters_are_those_of_the_font() -> None:
    """The file is what its script draws; and a word is the font's own line, Pillow being the oracle."""
    with np.load(Path(glyphs.__file__).with_name("glyphs.npz")) as file:
        for name, array in draw().items():
            assert (file[name] == array).all()
    font = ImageFont.load_default(glyphs.EM)
    for word in ("cat", "Hg", "yes!", "f(x) = 3"):
        line = Image.new("L", (1000, 120))
        ImageDraw.Draw(line).text((40, 10), word, fill=255, font=font, features=None)
        pixels = np.asarray(line, dtype=np.float32) / 255
        pixels = pixels[pixels.any(1)][:, slice(*(pixels.any(0).nonzero()[0][[0, -1]] + [0, 1]))]
        found = glyphs._ink(word)
        assert abs(found.shape[1] - pixels.shape[1]) <= len(word)  # kerning and fractions of a pixel
        assert found.mean() == pytest.approx(pixels.mean(), rel=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Posterize(0), r"bits in \[1, 8\] but got low=0; 8 is the identity"),
        (lambda: Solarize(128), r"threshold in \[0, 1\] but got low=128; it is compared with pixels"),
        (lambda: Equalize(-0.1), r"amount in \[0, 1\] but got high=-0.1"),
        (lambda: Jpeg(0), r"quality in \[1, 100\] but got low=0; 100 is the identity"),
        (lambda: Erasing(1.5), r"`high` in \[0, 1\] but got 1.5"),
        (lambda: Erasing(value=128), r"`value` in \[0, 1\] but got 128"),
        (lambda: Erasing(top=0.5), "both `top` and `left` or neither but got 0.5 and None"),
        (lambda: Erasing(top=0.5, left=5), r"`left` in \[0, 1\] but got 5"),
        (lambda: Typographic([]), r"a list of words to write but got \[\]; give at least one"),
        (lambda: Typographic("cat"), "a list of words to write but got 'cat'"),
        (lambda: Typographic(["cat", " "]), "none empty"),
        (lambda: Typographic(["a\tb"]), "words of printable ASCII"),
        (lambda: Typographic(["猫"]), "words of printable ASCII but got .* the font has no others"),
        (lambda: Typographic(["cat"], 0.5, 0.2), "sizes 0 < low <= high <= 1 but got 0.5 and 0.2"),
        (lambda: Typographic(["cat"], opacity=2), r"`opacity` in \[0, 1\] but got 2"),
    ],
)
def test_bad_ranges(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_jpeg_of_grey_pictures() -> None:
    with pytest.raises(ValueError, match=r"RGB pictures \(B, 3, H, W\) for JPEG"):
        Jpeg().apply(torch.zeros(1, 1, 8, 8), Jpeg().neutral(1))
