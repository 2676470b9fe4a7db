"""What the L2 and the L1 ball share: a dense delta, an exact radius, and the projection onto ball and box together."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import per_picture, picture_shape, rounded_inwards, rounded_sum

_MARGIN = 1e-10  # relative: float64 sums over a picture are good to about 1e-13
_SPARE = 1e-12  # so that what was projected once counts as inside


class NormBall(Perturbation):
    """Add a dense delta whose norm is at most eps.

    For float32 pictures x and y = apply(x, delta) the norm of ``y - x`` is at most eps, whatever delta is: pixels are
    rounded towards x. A delta from outside is scaled back to the ball. The gradient is one for ascent: it is zero where
    a pixel is black or white and would have to go further, so that no part of a step is spent on such pixels.

    Args:
        name: of the parameter.
        eps: radius in [0, 1] pixel units, over all pixels and channels of a picture.

    Raises:
        ValueError: if eps is negative or not finite.
    """

    additive = True

    def __init__(self, name: str, eps: float | str) -> None:
        radius = to_number(eps, "eps")
        if not 0 <= radius < math.inf:
            raise ValueError(
                f"Expected `eps` of at least 0 but got {radius:g}; it is a norm over the whole picture, in [0, 1] "
                "pixel units"
            )
        super().__init__({name: 0.0}, {name: -radius}, {name: radius})

    @property
    def eps(self) -> float:
        """The radius, in [0, 1] pixel units."""
        return self.high[self._name]

    @property
    def _name(self) -> str:
        return self.names[0]

    @property
    def _radius(self) -> float:
        return self.eps * (1 - _MARGIN)

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """One number a pixel and channel.

        Raises:
            ValueError: if the shape of the pictures is not given.
        """
        return {self._name: picture_shape(image_shape, self._name)}

    @torch.no_grad()
    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """The nearest delta in the ball and, where ``images`` are given, with images + delta in [0, 1].

        Nearest to both constraints together: clipping after scaling would end inside the ball, scaling after clipping
        too, and neither uses up eps.
        """
        delta = params[self._name]
        size = delta.abs().flatten(1)
        if images is None:
            room = torch.full_like(size, math.inf)
        else:
            room = torch.where(delta > 0, 1 - images, images).flatten(1)
        nearest = size.minimum(room)
        outside = (self._norm(nearest) > self._radius).nonzero().flatten()
        if len(outside):
            shrunk = self._shrink(size[outside], room[outside], self._radius)
            # What rounding has put outside is scaled back last, so that what was projected once counts as inside.
            length = self._norm(shrunk)
            within = self._radius * (1 - 1.25 * torch.finfo(delta.dtype).eps)
            factor = torch.where(length > self._radius, within / length, 1.0)
            nearest = nearest.index_copy(0, outside, shrunk * factor.to(shrunk)[:, None])
        return {self._name: nearest.view_as(delta).copysign(delta)}

    @abstractmethod
    def _norm(self, size: Tensor) -> Tensor:
        """The norm of each row of (B, D): (B,), float64."""

    @abstractmethod
    def _shrink(self, size: Tensor, room: Tensor, radius: float) -> Tensor:
        """Of absolute values (B, D), the nearest ones that are at most ``room`` and have a norm of about ``radius``."""

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        delta = params[self._name]
        with torch.no_grad():
            norm = self._norm(delta.flatten(1))
            outside = norm > self._radius
            bounded, factor = delta, None
            if outside.any():
                factor = per_picture(torch.where(outside, self._radius * (1 - _SPARE) / norm, 1.0))
                bounded = rounded_inwards(factor * delta.double(), delta.dtype)
            attacked = rounded_sum(images, bounded).clamp(0.0, 1.0)
        if not (torch.is_grad_enabled() and (images.requires_grad or delta.requires_grad)):
            return attacked
        # The value of `attacked`, the gradient of the plain sum; see Linf.
        followed = ascendable(delta, attacked)
        moved = images + (followed if factor is None else factor.to(images) * followed)
        return attacked + (moved - moved.detach())


def ascendable(delta: Tensor, picture: Tensor) -> Tensor:
    """``delta``, whose gradient is zero where ``picture`` + delta would have to leave [0, 1] to follow it uphill."""
    if not delta.requires_grad:
        return delta
    black, white = picture.detach() <= 0, picture.detach() >= 1
    own = delta.view_as(delta)  # a hook on the caller's tensor would outlive this call
    own.register_hook(  # type: ignore[no-untyped-call]
        lambda gradient: gradient.masked_fill((white & (gradient > 0)) | (black & (gradient < 0)), 0.0)
    )
    return own
