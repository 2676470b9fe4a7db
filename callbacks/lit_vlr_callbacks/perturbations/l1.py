"""The L1 ball: the sum of the absolute changes is bounded, so that few pixels may change much."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params
from lit_vlr_callbacks.perturbations.dense import NormBall

_STEPS = 150  # every third halves the interval, so that it ends below the precision of float64
_TOLERANCE = 1e-10


class L1(NormBall):
    """Add a dense delta with ||delta||_1 <= eps.

    Exact in the same sense as `Linf`. A step moves the values with the largest gradients by equal amounts (the steepest
    direction proper would move one); the projection is onto ball and [0, 1] box together, without which the attack is
    weak. Parameter: ``delta_l1`` (B, C, H, W), identity 0.

    Args:
        eps: radius in [0, 1] pixel units, over all pixels and channels: 12 is usual at 32 x 32, 60 at 224 x 224. May
            be written as text, ``2000/255``.
        density: share of the values of a picture that a step moves, in (0, 1]; the quantile q of the paper is
            1 - density. None moves 1.5 eps values, as eps is used up when each has moved by two thirds: near the best
            of all shares for eps from 3 to 25 on a digits classifier, where none is good for all of them.

    Raises:
        ValueError: if eps is negative or not finite, or the density is not in (0, 1].

    Reference:
        Step: Tramer and Boneh, Adversarial Training and Robustness for Multiple Perturbations, arXiv 1904.13000,
        algorithm 1 (SLIDE). Projection: Croce and Hein, Mind the box, arXiv 2103.01208, proposition 2.1; found here by
        a safeguarded Newton iteration in place of sorting.

    >>> L1(12).eps
    12.0
    """

    def __init__(self, eps: float | str, density: float | None = None) -> None:
        super().__init__("delta_l1", eps)
        if density is not None and not 0 < density <= 1:
            raise ValueError(f"Expected `density` in (0, 1] but got {density:g}; it is a share of the picture's values")
        self.density = density

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw uniformly from the ball: d exponential variates over the sum of d + 1, with random signs."""
        shape = self.shapes(image_shape)[self._name]
        device = generator.device if generator is not None else torch.device("cpu")
        count = shape[0] * shape[1] * shape[2]
        weights = torch.empty((n, count + 1), device=device).exponential_(generator=generator).double()
        signs = 2 * torch.randint(0, 2, (n, count), generator=generator, device=device) - 1
        delta = self.eps * signs * weights[:, 1:] / weights.sum(1, keepdim=True)
        return self.project({self._name: delta.float().view(n, *shape)})

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step by an L1 distance of ``fraction`` of eps, in equal parts over the steepest values of each picture."""
        value, slope = params[self._name], gradient[self._name].flatten(1)
        total = slope.shape[1]
        count = min(total, max(1, round(1.5 * self.eps if self.density is None else self.density * total)))
        steepest = slope.abs().topk(count).indices
        signs = torch.zeros_like(slope).scatter(1, steepest, slope.gather(1, steepest).sign())
        moved = signs.abs().sum(1, keepdim=True).clamp_min(1.0)  # where the gradient is zero there is no sign
        return {self._name: value + (fraction * self.eps * signs / moved).view_as(value)}

    def _norm(self, size: Tensor) -> Tensor:
        return size.abs().sum(1, dtype=torch.float64)

    def _shrink(self, size: Tensor, room: Tensor, radius: float) -> Tensor:
        """The nearest is (size - cut) clipped to [0, room]; the cut at which its sum is the radius is to be found.

        The sum falls with the cut and is piecewise linear, but neither convex nor concave: Newton's step is taken
        where it falls inside the interval that is left, and the middle otherwise. The upper end is always feasible.
        """
        dtype, size, room = size.dtype, size.double(), room.double()
        low = torch.zeros_like(size[:, :1])
        high = size.amax(1, keepdim=True)
        cut, used = low, torch.zeros_like(low)
        for step in range(_STEPS):
            left = (size - cut).clamp_min(0.0).minimum(room)
            total = left.sum(1, keepdim=True)
            feasible = total <= radius
            high, low = torch.where(feasible, cut, high), torch.where(feasible, low, cut)
            used = torch.where(feasible, total, used)
            if ((high == 0) | (used >= radius * (1 - _TOLERANCE))).all():
                break
            slope = ((left > 0) & (left < room)).sum(1, keepdim=True).clamp_min(1)
            newton = cut + (total - radius) / slope
            middle = (low + high) / 2
            inside = (newton > low) & (newton < high)
            cut = middle if step % 3 == 2 else torch.where(inside, newton, middle)
        return (size - high).clamp_min(0.0).minimum(room).to(dtype)
