"""The L-infinity ball: every pixel may move by eps."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class Linf(Perturbation):
    """Add a dense delta with |delta| <= eps.

    The ball is exact: for float32 pictures x and y = apply(x, delta), ``|y - x| <= eps`` holds in real arithmetic, not
    only up to rounding. Parameter: ``delta`` (B, C, H, W), identity 0.

    Args:
        eps: radius in [0, 1] pixel units; ``4/255`` may be written as text.

    Raises:
        ValueError: if eps is not in [0, 1].

    Reference:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, arXiv 1706.06083, section 2.

    >>> Linf("8/255").eps == 8 / 255
    True
    """

    additive = True

    def __init__(self, eps: float | str = "4/255") -> None:
        radius = to_number(eps, "eps")
        if not 0 <= radius <= 1:
            raise ValueError(f"Expected `eps` in [0, 1] but got {radius:g}; eps is in [0, 1] pixel units, write 8/255")
        super().__init__({"delta": 0.0}, {"delta": -radius}, {"delta": radius})

    @property
    def eps(self) -> float:
        """The radius, in [0, 1] pixel units."""
        return self.high["delta"]

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """One number a pixel.

        Raises:
            ValueError: if the shape of the pictures is not given.
        """
        if image_shape is None:
            raise ValueError("Expected `image_shape` because delta has the shape of the picture; pass images.shape[1:]")
        return {"delta": tuple(image_shape)}

    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """Clip delta to the ball and, where ``images`` are given, so that images + delta stays in [0, 1]."""
        delta = params["delta"]
        radius = self._radius(delta.dtype)
        delta = delta.clamp(-radius, radius)
        if images is not None:
            delta = delta.maximum(-images).minimum(1 - images)
        return {"delta": delta}

    def _radius(self, dtype: torch.dtype) -> float:
        """A number of ``dtype`` r below eps such that fl(y - x) <= r implies y - x <= eps."""
        eps = torch.tensor(self.eps, dtype=torch.float64)
        radius = eps.to(dtype)
        zero = torch.zeros((), dtype=dtype)
        if radius.double() > eps:
            radius = radius.nextafter(zero)
        return float(radius.nextafter(zero))  # one further: fl(y - x) may have been rounded down

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        radius = self._radius(images.dtype)
        moved = images + params["delta"].clamp(-radius, radius)
        with torch.no_grad():
            exact = moved.clamp(0.0, 1.0)
            # The sum was rounded, so it may lie one unit in the last place outside: step that unit back.
            exact = torch.where((exact - images).abs() > radius, exact.nextafter(images), exact)
        # The value of `exact` and the gradient of `moved`: `project` has kept delta where the clamp does nothing but
        # remove rounding, and a pixel that rounding put at 1.0000001 must not lose its gradient.
        return exact + (moved - moved.detach())
