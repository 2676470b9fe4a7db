"""Reading pictures, with everything that can be wrong with a file said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from lit_vlr.errors import ImageError
from lit_vlr.types import ImageRef

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PIXELS = 50_000_000


def load_image(image: ImageRef, uid: str = "") -> Tensor:
    """Read a picture.

    Args:
        image: a file, an array (H, W, 3) of uint8, or a `PictureSource`.
        uid: whose picture it is, for errors.

    Returns:
        (3, H, W) float32 in [0, 1], unnormalised; EXIF orientation applied, transparency on white.

    Raises:
        ImageError: if the file is missing, damaged, no picture of the allowed formats, or larger than 50 megapixels;
            or the array is not (H, W, 3) of uint8. The message names the file.
    """
    return torch.from_numpy(np.ascontiguousarray(load_pixels(image, uid))).permute(2, 0, 1).float().div(255)


def load_pixels(image: ImageRef, uid: str = "") -> np.ndarray:
    """What `load_image` reads, as (H, W, 3) of uint8; it raises the same."""
    if isinstance(image, Path):
        return _read(image, f" ({uid})" if uid else "")
    pixels = image if isinstance(image, np.ndarray) else image.pixels(uid)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0:
        raise ImageError(
            f"Expected a picture of {uid or 'a sample'} as (H, W, 3) uint8 but got {pixels.shape} {pixels.dtype}"
            f"{_range(pixels)}; pass unnormalised 8-bit pixels"
        )
    return pixels


def _range(array: np.ndarray) -> str:
    return f" from {array.min():.3g} to {array.max():.3g}" if array.size else ""


def _read(path: Path, whose: str) -> np.ndarray:
    if not path.is_file():
        raise ImageError(f"Expected a picture at {path}{whose} but there is no such file; check the path")
    return _decode(path, f"{path}{whose}")


def decode(content: bytes, name: str) -> np.ndarray:
    """A picture out of an archive, under the same rules; ``name`` says in errors where it comes from."""
    return _decode(BytesIO(content), name)


def _decode(file: Path | BytesIO, name: str) -> np.ndarray:
    with _named(name), Image.open(file, formats=FORMATS) as opened:
        return pixels_of(opened, name)


def pixels_of(picture: Image.Image, name: str) -> np.ndarray:
    """A Pillow image as (H, W, 3) of uint8, by the rules for files; ``name`` is what errors call it.

    Raises:
        ImageError: if it cannot be decoded, is larger than 50 megapixels, or has more than 8 bits a channel.
    """
    with _named(name):
        if picture.width * picture.height > MAX_PIXELS:  # before decoding: the header is enough to refuse a bomb
            raise ImageError(
                f"Expected at most {MAX_PIXELS // 10**6} megapixels but {name} has {picture.size}; shrink it"
            )
        if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):  # Pillow would clip these to white
            raise ImageError(f"Expected 8 bits a channel but {name} has mode {picture.mode}; convert it to 8 bits")
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.has_transparency_data:
            rgba = upright.convert("RGBA")
            white = Image.new("RGBA", rgba.size, "white")
            upright = Image.alpha_composite(white, rgba)
        return np.array(upright.convert("RGB"))


@contextmanager
def _named(name: str) -> Iterator[None]:
    """What Pillow raises, as an error that names the picture."""
    try:
        yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"Expected a picture ({', '.join(FORMATS)}) but {name} is none; convert or replace it"
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"Expected a whole picture but {name} cannot be read: {error}; replace it") from error
