"""Several perturbations in one parameter space."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation


class Compose(Perturbation):
    """Apply several perturbations one after the other and search over all their parameters at once.

    They apply in the order given, except that additive ones (`Linf`) come **last**: their eps holds relative to the
    *transformed* picture. The other order would be wrong: rotation and contrast carry a delta beyond its ball.

    Args:
        perturbations: at least one, with distinct parameter names.

    Raises:
        ValueError: if there are none, or two have a parameter of the same name.

    >>> from lit_vlr_callbacks.perturbations import Brightness, Linf, Rotate
    >>> Compose([Linf("4/255"), Rotate(), Brightness()]).names
    ('rotate', 'brightness', 'delta')
    """

    def __init__(self, perturbations: list[Perturbation]) -> None:
        if not perturbations:
            raise ValueError("Expected at least one perturbation but got none; leave the attack out instead")
        self.perturbations = sorted(perturbations, key=lambda p: p.additive)  # sorted() is stable
        names = [name for p in self.perturbations for name in p.names]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"Expected distinct parameters but {repeated} occur twice; compose each kind once")
        self.differentiable = all(p.differentiable for p in self.perturbations)
        # Like its parts: a Compose that holds a Linf has to come last in an enclosing one.
        self.additive = any(p.additive for p in self.perturbations)
        super().__init__(
            {name: value for p in self.perturbations for name, value in p.identity.items()},
            {name: value for p in self.perturbations for name, value in p.low.items()},
            {name: value for p in self.perturbations for name, value in p.high.items()},
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.perturbations!r})"

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """The parts' shapes together."""
        return {name: shape for p in self.perturbations for name, shape in p.shapes(image_shape).items()}

    def neutral(self, n: int, *, image_shape: tuple[int, ...] | None = None) -> Params:
        """The parts' identities together."""
        parts = [p.neutral(n, image_shape=image_shape) for p in self.perturbations]
        return {name: value for part in parts for name, value in part.items()}

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw each part's parameters independently, in order."""
        parts = [p.sample(n, generator, image_shape=image_shape) for p in self.perturbations]
        return {name: value for part in parts for name, value in part.items()}

    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """Project each part, given the picture that reaches it."""
        projected: Params = {}
        with torch.no_grad():
            for position, p in enumerate(self.perturbations):
                part = p.project(_select(params, p), images)
                projected.update(part)
                # Only additive parts look at the picture: do not transform it for the others.
                if images is not None and any(later.additive for later in self.perturbations[position + 1 :]):
                    images = p.apply(images, part)
        return projected

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step each part by the same fraction of half its range."""
        parts = [p.ascend(_select(params, p), _select(gradient, p), fraction) for p in self.perturbations]
        return {name: value for part in parts for name, value in part.items()}

    def scaled(self, fraction: float) -> Self:
        """Scale every part."""
        return type(self)([p.scaled(fraction) for p in self.perturbations])

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        for p in self.perturbations:
            images = p.apply(images, _select(params, p))
        return images


def _select(params: Params, perturbation: Perturbation) -> Params:
    return {name: params[name] for name in perturbation.names}
