"""Gaussian blur."""

from __future__ import annotations

import math

import torch
from kornia.filters import filter2d_separable
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class GaussianBlur(Perturbation):
    """Blur each picture with a Gaussian; the border's pixels are repeated beyond it.

    Parameter: ``blur_variance`` (B,), sigma^2 in square pixels, identity 0. The kernel is the discrete Gaussian
    T(n, t) = exp(-t) I_n(t) of variance t, n = -r..r, scaled to sum 1.

    Both choices are for the gradient at the identity. The usual sampled Gaussian exp(-n^2 / (2 sigma^2)) has none near
    it: in float32 nothing at all changes below a sigma of about 0.17. And with any kernel the derivative in sigma is
    2 sigma d/dt, zero at 0. That of T in t is half the discrete Laplacian there, so an attack that starts at the
    picture itself moves. For large t the two kernels agree.

    Args:
        sigma: greatest standard deviation in pixels, at least 0. It also sets the kernel's reach r, four of it.

    Raises:
        ValueError: if sigma is negative.

    Reference:
        Lindeberg, Scale-space for discrete signals, IEEE TPAMI 12(3), 1990, section IV.

    >>> GaussianBlur(sigma=2)
    GaussianBlur(blur_variance=[0, 4])
    """

    def __init__(self, sigma: float | str = 1.0) -> None:
        widest = to_number(sigma, "sigma")
        if not 0 <= widest < math.inf:
            raise ValueError(f"Expected `sigma` of at least 0 but got {widest:g}; it is in pixels, 0 is the identity")
        super().__init__({"blur_variance": 0.0}, {"blur_variance": 0.0}, {"blur_variance": widest**2})
        self.radius = math.ceil(4 * widest)

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        kernel = _discrete_gaussian(params["blur_variance"], self.radius)
        blurred: Tensor = filter2d_separable(images, kernel, kernel, border_type="replicate")
        return self._exact_at_identity(images, blurred, params)


def _discrete_gaussian(variance: Tensor, radius: int) -> Tensor:
    """T(n, variance) for n = -radius..radius, scaled to sum 1, (B, 2 radius + 1).

    Its Fourier transform is exp(variance (cos w - 1)), which goes back by a sum over the circle: exact up to terms
    T(m, variance) with m beyond three radii.
    """
    place = torch.arange(-radius, radius + 1, dtype=variance.dtype, device=variance.device)
    waves = 4 * radius + 2
    angle = torch.arange(waves, dtype=variance.dtype, device=variance.device) * (2 * math.pi / waves)
    spectrum = (variance[:, None] * (angle.cos() - 1)).exp()
    kernel = spectrum @ (angle[:, None] * place).cos() / waves
    return kernel / kernel.sum(1, keepdim=True)
