"""Pictures as files of eight bits, which is how an attacked one reaches anybody."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from kornia.io import ImageLoadType, load_image, write_image
from torch import Tensor


def save_png(image: Tensor, path: Path) -> None:
    """Write a picture (C, H, W) in [0, 1], of 1, 3 or 4 channels, as 8-bit PNG; pixels go to the nearest 255th."""
    write_image(path, image.detach().cpu().mul(255).round().to(torch.uint8).contiguous())


def load_png(path: Path) -> Tensor:
    """Read what `save_png` has written: (C, H, W), float32 in [0, 1]."""
    pixels: Tensor = load_image(path, ImageLoadType.UNCHANGED)
    return pixels.float() / 255


def reloaded(images: Tensor) -> Tensor:
    """Pictures (B, C, H, W) written to files and read again.

    Rounding moves a pixel by up to half a 255th. Of an eps that is a whole number of 255ths around pictures that came
    from such files nothing is lost, and the ball is not left; of 1.5/255 a pixel may come back at 2.

    >>> reloaded(torch.full((1, 3, 2, 2), 0.5)).mul(255).round().unique()
    tensor([128.])
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{row}.png" for row in range(len(images))]
        for image, path in zip(images, paths, strict=True):
            save_png(image, path)
        return torch.stack([load_png(path) for path in paths]).to(images)
