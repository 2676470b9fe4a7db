"""Small things that several perturbations share."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation


def picture_shape(image_shape: tuple[int, ...] | None, name: str) -> tuple[int, int, int]:
    """The shape (C, H, W) of a picture, where a parameter's shape depends on it.

    Raises:
        ValueError: if it is not given.
    """
    if image_shape is None:
        raise ValueError(f"Expected `image_shape` because {name} has the shape of the picture; pass images.shape[1:]")
    channels, height, width = image_shape
    return channels, height, width


def require_rgb(images: Tensor, what: str) -> None:
    """Refuse pictures without colour.

    Raises:
        ValueError: if the pictures do not have three channels.
    """
    if images.shape[1] != 3:
        raise ValueError(
            f"Expected RGB pictures (B, 3, H, W) for {what} but got {tuple(images.shape)}; repeat a grey channel "
            "three times"
        )


def per_picture(value: Tensor) -> Tensor:
    """(B,) as (B, 1, 1, 1), to meet pictures."""
    return value.view(-1, 1, 1, 1)


def same_at_identity(images: Tensor, changed: Tensor, at_identity: Tensor) -> Tensor:
    """``changed``, but bit for bit the picture itself where ``at_identity`` (B,) holds.

    The gradient is that of ``changed`` everywhere: a plain `where` would have none at the identity, and an attack
    that starts there would not move.
    """
    untouched = images.detach() + (changed - changed.detach())
    return torch.where(per_picture(at_identity), untouched, changed)


def rounded_sum(anchor: Tensor, step: Tensor) -> Tensor:
    """``anchor + step`` in the precision of ``anchor``, rounded so that it lies no further off than ``|step|``.

    Every norm of the difference is then at most that of ``step``, in real arithmetic.
    """
    near = anchor + step
    beyond = (near.double() - anchor).abs() > step.abs()  # compared in float64
    return torch.where(beyond, near.nextafter(anchor), near)


def rounded_inwards(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A float64 tensor in the precision ``dtype``, no entry larger than it was."""
    near = value.to(dtype)
    beyond = near.abs() > value.abs()  # compared in float64
    return torch.where(beyond, near.nextafter(torch.zeros_like(near)), near)


def whole_place(fraction: Tensor, room: Tensor | int) -> Tensor:
    """A whole number from 0 to ``room``, each equally likely where ``fraction`` is uniform in [0, 1]."""
    return (fraction * (room + 1)).floor().clamp(min=0).long().clamp(max=room)


class PartlyDrawn(Perturbation):
    """A perturbation some of whose parameters are drawn by `sample` and then stay as they are.

    They are what chance decides and not the attacker, such as the noise that sigma is the size of. They are parameters
    all the same, so that `apply` remains a function: what an attack found can be made again from its ``params``. No
    step of an attack moves them, a narrower range of the others leaves theirs alone, and ``differentiable`` speaks of
    the others.

    Attributes:
        drawn: their names.
    """

    drawn: tuple[str, ...] = ()

    def neutral(self, n: int, *, image_shape: tuple[int, ...] | None = None) -> Params:
        """The identity, with a fixed draw of the drawn ones: at zeros the others would have no gradient."""
        fixed = self.sample(n, torch.Generator().manual_seed(0), image_shape=image_shape)
        return super().neutral(n, image_shape=image_shape) | {name: fixed[name] for name in self.drawn}

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step uphill with the parameters that are not drawn."""
        return super().ascend(params, gradient, fraction) | {name: params[name] for name in self.drawn}

    def _towards(self, name: str, bound: float, fraction: float) -> float:
        return bound if name in self.drawn and fraction != 0 else super()._towards(name, bound, fraction)
