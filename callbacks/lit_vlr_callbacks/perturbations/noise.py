"""Random fields that are drawn and whose size an attack chooses: Gaussian noise and uneven light."""

from __future__ import annotations

from functools import partial

import torch
from kornia.contrib import diamond_square
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.common import PartlyDrawn, per_picture, picture_shape

_CUT = 4.0  # standard deviations; beyond lie 6 in 100,000


class GaussianNoise(PartlyDrawn):
    """Add sigma times a field of standard normal numbers, then clip.

    Parameters: ``noise_sigma`` (B,), in [0, 1] pixel units, identity 0, which an attack may choose; ``noise`` (B, C, H,
    W), the field, which `sample` draws (cut off at 4) and no step moves: a field that follows the gradient would be a
    dense attack, for which there is `Linf`.

    Args:
        high: greatest standard deviation, in [0, 1].

    Raises:
        ValueError: if ``high`` is not in [0, 1].
    """

    drawn = ("noise",)

    def __init__(self, high: float | str = 0.1) -> None:
        sigma = to_number(high, "high")
        if not 0 <= sigma <= 1:
            raise ValueError(f"Expected a standard deviation in [0, 1] but got {sigma:g}; pixels are in [0, 1]")
        super().__init__(
            {"noise_sigma": 0.0, "noise": 0.0},
            {"noise_sigma": 0.0, "noise": -_CUT},
            {"noise_sigma": sigma, "noise": _CUT},
        )

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """One number a picture, and the field.

        Raises:
            ValueError: if the shape of the pictures is not given.
        """
        return {"noise_sigma": (), "noise": picture_shape(image_shape, "noise")}

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw sigma uniformly, and a field."""
        shape = self.shapes(image_shape)["noise"]
        device = generator.device if generator is not None else torch.device("cpu")
        sigma = self.high["noise_sigma"] * torch.rand(n, generator=generator, device=device)
        field = torch.randn((n, *shape), generator=generator, device=device)
        return self.project({"noise_sigma": sigma, "noise": field})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        return images + per_picture(params["noise_sigma"]) * params["noise"]


class PlasmaIllumination(PartlyDrawn):
    """Light that is uneven: brightness and contrast that follow a cloud-like fractal field.

    With a field f in [-1, 1], one for all channels, y = x + b f + c f (x - 1/2), then clipped. Parameters:
    ``plasma_brightness`` b and ``plasma_contrast`` c, each (B,), identity 0, which an attack may choose; ``plasma``
    (B, 1, H, W), the field, which `sample` draws with Kornia's ``diamond_square`` and no step moves.

    Args:
        brightness: greatest |b|, in [0, 1] pixel units.
        contrast: greatest |c|, a factor, in [0, 1].
        roughness: of the field, in (0, 1]: the more, the finer.

    Raises:
        ValueError: if a number is out of its range.

    Reference:
        Nicolaou et al., TorMentor: Deterministic dynamic-path, data augmentations with fractals, CVPR Workshops 2022.
    """

    drawn = ("plasma",)

    def __init__(self, brightness: float | str = 0.2, contrast: float | str = 0.3, roughness: float = 0.5) -> None:
        most = {
            "plasma_brightness": to_number(brightness, "brightness"),
            "plasma_contrast": to_number(contrast, "contrast"),
        }
        for name, value in most.items():
            if not 0 <= value <= 1:
                raise ValueError(f"Expected `{name.removeprefix('plasma_')}` in [0, 1] but got {value:g}; 0 is none")
        if not 0 < roughness <= 1:
            raise ValueError(f"Expected `roughness` in (0, 1] but got {roughness:g}")
        super().__init__(
            {**dict.fromkeys(most, 0.0), "plasma": 0.0},
            {**{name: -value for name, value in most.items()}, "plasma": -1.0},
            {**most, "plasma": 1.0},
        )
        self.roughness = roughness

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """Two numbers a picture, and the field.

        Raises:
            ValueError: if the shape of the pictures is not given.
        """
        field = (1, *picture_shape(image_shape, "plasma")[1:])
        return {"plasma_brightness": (), "plasma_contrast": (), "plasma": field}

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw brightness and contrast uniformly, and a field."""
        shape = self.shapes(image_shape)["plasma"]
        device = generator.device if generator is not None else torch.device("cpu")
        params: Params = {}
        for name in ("plasma_brightness", "plasma_contrast"):
            params[name] = self.high[name] * (2 * torch.rand(n, generator=generator, device=device) - 1)
        with torch.autocast(device.type, enabled=False):  # it is made with convolutions
            unit: Tensor = diamond_square(
                (n, *shape),
                roughness=self.roughness,
                random_fn=partial(torch.rand, generator=generator),
                device=device,
                dtype=torch.float32,
            )
        return self.project(params | {"plasma": 2 * unit - 1})

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        brightness, contrast = per_picture(params["plasma_brightness"]), per_picture(params["plasma_contrast"])
        return images + params["plasma"] * (brightness + contrast * (images - 0.5))
