"""Few pixels, each as far as it likes."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import picture_shape
from lit_vlr_callbacks.perturbations.dense import ascendable
from lit_vlr_callbacks.perturbations.linf import Linf


class L0(Perturbation):
    """Change at most ``pixels`` places of a picture, all channels of each, by at most eps.

    Both bounds are exact, whatever delta is: `apply` keeps the largest places. The gradient is that of the plain sum
    and so is not zero at the places that are still unchanged: it says which ones to take in next. Finite differences
    of `apply` agree with it where delta has its full number of places, and along those.

    A step moves the ``pixels`` places with the largest gradients by eps, which is the best sparse delta for a linear
    loss; it is not made shorter where an attack takes many steps, because a short one cannot displace a place that was
    taken before. Parameter: ``delta_l0`` (B, C, H, W), identity 0.

    Args:
        pixels: most places that may change, at least 1.
        eps: most that a value may change, in [0, 1] pixel units; 1 leaves it free.

    Raises:
        ValueError: if ``pixels`` is below 1 or eps is not in [0, 1].

    Reference:
        Croce and Hein, Sparse and Imperceivable Adversarial Attacks, arXiv 1909.05040 (PGD_0).
    """

    additive = True

    def __init__(self, pixels: int, eps: float | str = 1.0) -> None:
        if pixels < 1:
            raise ValueError(f"Expected `pixels` of at least 1 but got {pixels}; leave the attack out instead")
        radius = to_number(eps, "eps")
        if not 0 <= radius <= 1:
            raise ValueError(f"Expected `eps` in [0, 1] but got {radius:g}; eps is in [0, 1] pixel units, write 8/255")
        super().__init__({"delta_l0": 0.0}, {"delta_l0": -radius}, {"delta_l0": radius})
        self.pixels = pixels

    @property
    def eps(self) -> float:
        """The most that a value may change, in [0, 1] pixel units."""
        return self.high["delta_l0"]

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """One number a pixel and channel.

        Raises:
            ValueError: if the shape of the pictures is not given.
        """
        return {"delta_l0": picture_shape(image_shape, "delta_l0")}

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw the places uniformly, and their values uniformly from [-eps, eps]."""
        shape = self.shapes(image_shape)["delta_l0"]
        device = generator.device if generator is not None else torch.device("cpu")
        values = 2 * torch.rand((n, *shape), generator=generator, device=device) - 1
        score = torch.rand((n, *shape[1:]), generator=generator, device=device)
        return self.project({"delta_l0": self.eps * values * self._most(score)})

    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """The nearest delta with few places, within eps and, where ``images`` are given, with the sum in [0, 1]."""
        delta = params["delta_l0"]
        within = Linf(self.eps).project({"delta": delta}, images)["delta"]
        # What a place saves in squared distance if it is kept: v^2 - (v - w)^2, w being v brought into the box.
        saved = (within * (2 * delta - within)).sum(1)
        return {"delta_l0": within * self._most(saved)}

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Move the steepest places by eps, whatever the fraction."""
        slope = gradient["delta_l0"]
        return {"delta_l0": params["delta_l0"] + self.eps * slope.sign() * self._most(slope.abs().sum(1))}

    def _most(self, score: Tensor) -> Tensor:
        """Mark the places with the highest score, (B, H, W): (B, 1, H, W) of zeros and ones."""
        flat = score.flatten(1)
        chosen = flat.topk(min(self.pixels, flat.shape[1])).indices
        return torch.zeros_like(flat).scatter(1, chosen, 1.0).view_as(score).unsqueeze(1)

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        delta = params["delta_l0"]
        with torch.no_grad():
            attacked = Linf(self.eps).apply(images, {"delta": self.project({"delta_l0": delta})["delta_l0"]})
        # The value of `attacked`, the gradient of the plain sum. Only places that the picture itself blocks count as
        # blocked: one that delta has brought to black or white has to stay among the best.
        moved = images + ascendable(delta, images)
        return attacked + (moved - moved.detach())
