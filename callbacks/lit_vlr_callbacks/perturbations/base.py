"""What every perturbation has: named parameters, a range around the identity, and a map from parameters to pictures.

Parameters are a dictionary from name to tensor, ``{name: (B, ...)}``, in **physical units** (degrees, pixel units):
``{"rotate": (B,)}`` for a scalar a picture, ``{"delta": (B, C, H, W)}`` for a dense one. A dictionary, because a flat
(B, P) matrix would need the size of the picture to be read back, and because the parameters an attack found are then
readable as they are. Solvers still work in one *normalised* space: ``ascend`` moves every parameter by a fraction of
half its range, so that 15 degrees, a brightness of 0.1 and eps = 4/255 advance alike.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from typing import Self, TypeAlias

import torch
from torch import Tensor

Params: TypeAlias = dict[str, Tensor]
"""Parameters by name, each (B, ...), in physical units."""


def to_number(value: float | str, name: str) -> float:
    """Read a number that a configuration may write as a fraction.

    Args:
        value: a number, or text such as ``"8/255"`` or ``"2.5/255"``.
        name: what the number is, for the error.

    Raises:
        ValueError: if the text is not a number or a fraction.

    >>> to_number("8/255", "eps") == 8 / 255
    True
    """
    try:
        if not isinstance(value, str):
            return float(value)
        above, slash, below = value.partition("/")  # Fraction itself refuses "2.5/255"
        return float(Fraction(above.strip()) / (Fraction(below.strip()) if slash else 1))
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"Expected `{name}` as a number or a fraction such as 8/255 but got {value!r}") from error


class Perturbation(ABC):
    """A threat model: which pictures an attack may reach from a given one.

    Attributes:
        identity: the value of each parameter that leaves the picture as it is.
        low: the least value of each parameter, in physical units.
        high: the greatest value of each parameter, in physical units.
        differentiable: whether the gradient with respect to *every* parameter can be used. Where it is False,
            search without gradients (`RandomSearch`).
        additive: whether it adds to the pixels inside a norm ball. `Compose` applies these last.
    """

    differentiable: bool = True
    additive: bool = False

    def __init__(self, identity: Mapping[str, float], low: Mapping[str, float], high: Mapping[str, float]) -> None:
        """Set the range.

        Raises:
            ValueError: if a range does not contain the identity.
        """
        for name, neutral in identity.items():
            if not low[name] <= neutral <= high[name]:
                raise ValueError(
                    f"Expected a range of `{name}` that contains its identity {neutral:g} but got "
                    f"[{low[name]:g}, {high[name]:g}]; choose low <= {neutral:g} <= high"
                )
        self.identity = dict(identity)
        self.low = dict(low)
        self.high = dict(high)

    def __repr__(self) -> str:
        ranges = [f"{name}=[{self.low[name]:.4g}, {self.high[name]:.4g}]" for name in self.names]
        settings = [f"{name}={value!r}" for name, value in self._settings().items()]
        return f"{type(self).__name__}({', '.join(ranges + settings)})"

    def _settings(self) -> dict[str, object]:
        """What shapes the perturbation besides its range, for its repr."""
        return {}

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in a fixed order."""
        return tuple(self.identity)

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter for one picture of shape ``image_shape`` = (C, H, W); () is one number a picture."""
        return dict.fromkeys(self.names, ())

    def neutral(self, n: int, *, image_shape: tuple[int, ...] | None = None) -> Params:
        """The identity for ``n`` pictures, float32 on the CPU."""
        shapes = self.shapes(image_shape)
        return {name: torch.full((n, *shapes[name]), self.identity[name]) for name in self.names}

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw parameters uniformly from the range.

        Drawn on the generator's device (the CPU by default) in float32, whatever the device of the pictures, so that
        one seed means one attack everywhere.

        Args:
            n: number of pictures, B.
            generator: source of randomness; the global one if None.
            image_shape: (C, H, W); needed where the shape of a parameter depends on the picture's.

        Returns:
            One (B, ...) tensor a name, in [low, high].
        """
        device = generator.device if generator is not None else torch.device("cpu")
        params: Params = {}
        for name, shape in self.shapes(image_shape).items():
            unit = torch.rand((n, *shape), generator=generator, device=device)
            params[name] = self.low[name] + (self.high[name] - self.low[name]) * unit
        return self.project(params)

    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """Bring parameters back into the range.

        Args:
            params: (B, ...) a name.
            images: the pictures they are for, (B, C, H, W); additive perturbations then also keep the result in
                [0, 1], so that no pixel is stuck outside, where the clamp has no gradient.
        """
        return {name: value.clamp(self.low[name], self.high[name]) for name, value in params.items()}

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step uphill: the steepest ascent of the range's norm, by ``fraction`` of half the range (unprojected).

        For boxes, as here, that is the sign of the gradient; other norms override it.
        """
        return {
            name: value + fraction * (self.high[name] - self.low[name]) / 2 * gradient[name].sign()
            for name, value in params.items()
        }

    def ascend_each(self, params: Params, gradient: Params, fractions: Tensor) -> Params:
        """Step uphill by a fraction of its own for each sample, (B,); unprojected.

        Whatever norm `ascend` follows, its step is proportional to the fraction: one whole step is taken and cut.
        """
        whole = self.ascend(params, gradient, 1.0)
        return {
            name: value.lerp(whole[name], fractions.to(value).view(-1, *(1,) * (value.dim() - 1)))
            for name, value in params.items()
        }

    def scaled(self, fraction: float) -> Self:
        """The same threat with its range shrunk towards the identity: 0 is the identity, 1 the whole range."""
        other = copy.copy(self)
        other.low = {name: self._towards(name, self.low[name], fraction) for name in self.names}
        other.high = {name: self._towards(name, self.high[name], fraction) for name in self.names}
        return other

    def _towards(self, name: str, bound: float, fraction: float) -> float:
        if fraction == 1.0:
            return bound  # identity + (bound - identity) need not round back to bound
        return self.identity[name] + fraction * (bound - self.identity[name])

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Perturb pictures, each with its own parameters, in full precision whatever autocast says.

        Geometry under bfloat16 is wrong by up to 16/255 a pixel, and a 16-bit delta leaves its ball.

        Args:
            images: (B, C, H, W) in [0, 1], float32 (or float64).
            params: (B, ...) a name.

        Returns:
            (B, C, H, W) in [0, 1]; bit-equal to ``images`` at the identity.

        Raises:
            TypeError: if the pictures are not float32 or float64.
            ValueError: if the parameters are not the ones of this perturbation.
        """
        if images.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"Expected float32 images but got {images.dtype}; cast only inside the model")
        if set(params) != set(self.names):
            raise ValueError(f"Expected parameters {sorted(self.names)} but got {sorted(params)}")
        with torch.autocast(images.device.type, enabled=False):
            return self._apply(images, params).clamp(0.0, 1.0)

    @abstractmethod
    def _apply(self, images: Tensor, params: Params) -> Tensor:
        """Perturb; the caller has checked the input, switched autocast off and clamps the result."""

    def _exact_at_identity(self, images: Tensor, perturbed: Tensor, params: Params) -> Tensor:
        """Put the picture itself where its parameters are the identity, with the gradient of what was computed.

        For operations that are not bit-exact there, such as resampling. A plain `where` would have no gradient, and an
        attack that starts at the identity would not move.

        Args:
            images: the pictures, (B, C, H, W).
            perturbed: what the operation made of them, (B, C, H, W).
            params: (B, ...) a name.

        Returns:
            (B, C, H, W).
        """
        same = [params[name] == self.identity[name] for name in self.names]
        untouched = torch.stack([s.flatten(1).all(1) if s.dim() > 1 else s for s in same]).all(0)
        # `perturbed` less itself is exactly 0 and carries all of the gradient, to the parameters and to the pictures.
        exact = images.detach() + (perturbed - perturbed.detach())
        return torch.where(untouched.view(-1, 1, 1, 1), exact, perturbed)
