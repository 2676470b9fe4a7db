"""Reading pictures: what is accepted arrives right, what is not is refused in one line that names the file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lit_vlr.data.images import load_image
from lit_vlr.errors import ImageError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (5, 7, 3), np.uint8)


def refused(path: Path, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path, "okvqa/val2014/1")
    text = str(caught.value)
    assert str(path) in text
    assert "okvqa/val2014/1" in text
    assert "\n" not in text


@pytest.mark.parametrize(("suffix", "options"), [(".png", {}), (".webp", {"lossless": True})])
def test_a_lossless_file_gives_the_pixels_over_255(tmp_path: Path, suffix: str, options: dict) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(PIXELS).save(path, **options)
    image = load_image(path)
    assert (image.shape, image.dtype) == ((3, 5, 7), torch.float32)
    assert torch.equal(image, torch.from_numpy(PIXELS).permute(2, 0, 1) / 255)
    assert torch.equal(image, load_image(PIXELS))


def test_an_array_is_copied() -> None:
    pixels = PIXELS.copy()
    load_image(pixels).zero_()
    assert np.array_equal(pixels, PIXELS)


def test_the_kind_is_read_from_the_content_and_not_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    Image.fromarray(PIXELS).save(path, format="PNG")
    assert torch.equal(load_image(path), load_image(PIXELS))


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (4, 4), "white").convert(mode).save(path)
    assert torch.equal(load_image(path), torch.ones(3, 4, 4))


@pytest.mark.parametrize(("orientation", "turn"), [(3, 2), (6, -1), (8, 1)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, turn: int) -> None:
    path = tmp_path / "picture.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(path, exif=exif)
    upright = np.ascontiguousarray(np.rot90(PIXELS, turn))
    assert torch.equal(load_image(path), load_image(upright))


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(np.array([[[9, 9, 9, 0], [255, 0, 0, 128], [1, 2, 3, 255]]], np.uint8)).save(path)
    # 128/255 of red on white: green is 255 * (1 - 128/255) = 127.
    assert (load_image(path) * 255).round().int()[:, 0].T.tolist() == [[255] * 3, [255, 127, 127], [1, 2, 3]]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.png", "there is no such file; check the path")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "there is no such file; check the path")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, "Expected a whole picture but .* cannot be read|Expected a picture")


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>404 Not Found</html>", b"\x89PNG\r\n", b"\0" * 100])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    refused(path, r"Expected a picture \(JPEG, PNG, WEBP\) but .* is none; convert or replace it")


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(PIXELS).save(path, format=kind)
    refused(path, "is none; convert or replace it")


def png_of_declared_size(width: int, height: int) -> bytes:
    """A PNG with a header and no pixels: whoever decodes it fails in another way than whoever reads its size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("side", "message"), [(7_100, "at most 50 megapixels"), (20_000, "decompression bomb")])
def test_a_huge_declared_size_is_refused_before_decoding(tmp_path: Path, side: int, message: str) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_declared_size(side, side))
    refused(path, message)  # Pillow itself refuses the larger one, also before decoding


def test_just_below_the_limit_decoding_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.write_bytes(png_of_declared_size(50, 50))
    refused(path, "Expected a whole picture but .* cannot be read")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.linspace(-1, 2.64, 48, dtype=np.float32).reshape(4, 4, 3),
            r"\(4, 4, 3\) float32 from -1 to 2.64; pass unn",
        ),
        (np.full((4, 4, 3), 0.5), r"\(4, 4, 3\) float64 from 0.5 to 0.5"),
        (np.full((4, 4, 3), 300, np.int64), r"\(4, 4, 3\) int64 from 300 to 300"),
        (np.zeros((4, 4), np.uint8), r"\(4, 4\) uint8"),
        (np.zeros((3, 4, 4), np.uint8), r"\(3, 4, 4\) uint8"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\) uint8"),
    ],
    ids=["normalised", "float", "int", "grey", "channels first", "rgba"],
)
def test_arrays_of_another_kind_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(
        ImageError, match=rf"Expected a picture of scenes/test/0 as \(H, W, 3\) uint8 but got {message}"
    ):
        load_image(array, "scenes/test/0")


def test_exception_sixteen_bit_png_is_not_clipped_to_white(tmp_path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 255], [256, 65535]], np.uint16)).save(path)
    with pytest.raises(ImageError, match=r"Expected 8 bits a channel but .*deep\.png"):
        load_image(path)


def test_exception_array_without_pixels() -> None:
    with pytest.raises(ImageError, match=r"\(0, 4, 3\)"):
        load_image(np.zeros((0, 4, 3), np.uint8))
