"""The L2 ball: the root of the summed squares of all changes is bounded."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params
from lit_vlr_callbacks.perturbations.dense import NormBall

_NEWTON_STEPS = 50  # each makes at least one pixel stop; a handful is the rule


class L2(NormBall):
    """Add a dense delta with ||delta||_2 <= eps.

    Exact in the same sense as `Linf`. A step is along the normalised gradient; the projection is onto ball and [0, 1]
    box together. Parameter: ``delta_l2`` (B, C, H, W), identity 0.

    Args:
        eps: radius in [0, 1] pixel units; it grows with the root of the number of pixels: 0.5 is usual at 32 x 32, 3
            at 224 x 224. May be written as text, ``128/255``.

    Raises:
        ValueError: if eps is negative or not finite.

    Reference:
        Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, arXiv 1706.06083, section 5.

    >>> L2("128/255").eps == 128 / 255
    True
    """

    def __init__(self, eps: float | str) -> None:
        super().__init__("delta_l2", eps)

    def sample(
        self, n: int, generator: torch.Generator | None = None, *, image_shape: tuple[int, ...] | None = None
    ) -> Params:
        """Draw uniformly from the ball: a Gaussian direction, at a radius of eps u^(1/d) for u uniform in [0, 1]."""
        shape = self.shapes(image_shape)[self._name]
        device = generator.device if generator is not None else torch.device("cpu")
        direction = torch.randn((n, *shape), generator=generator, device=device).double().flatten(1)
        unit = torch.rand((n, 1), generator=generator, device=device).double()
        length = self.eps * unit ** (1 / direction.shape[1])
        delta = length * direction / self._norm(direction)[:, None]
        return self.project({self._name: delta.float().view(n, *shape)})

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step by ``fraction`` of eps along the gradient, normalised for each picture; not at all where it is zero."""
        value, slope = params[self._name], gradient[self._name].double()
        norm = self._norm(slope.flatten(1)).clamp_min(torch.finfo(torch.float64).tiny).view(-1, 1, 1, 1)
        return {self._name: value + (fraction * self.eps * slope / norm).to(value)}

    def _norm(self, size: Tensor) -> Tensor:
        norm: Tensor = torch.linalg.vector_norm(size, dim=1, dtype=torch.float64)
        return norm

    def _shrink(self, size: Tensor, room: Tensor, radius: float) -> Tensor:
        """The nearest is min(s size, room), by the conditions of Karush, Kuhn and Tucker; s in (0, 1] is to be found.

        In t = s^2 the squared norm is a sum of min(t size^2, room^2): concave and piecewise linear. Newton's steps come
        from the left and end after finitely many, when the set of values that are not bound stays what it was.
        """
        squares, most = size.square(), room.square()
        tiny = torch.finfo(torch.float64).tiny
        total = squares.sum(1, keepdim=True, dtype=torch.float64)
        t = (radius**2 / total.clamp_min(tiny)).clamp(max=1.0)
        before = None
        for _ in range(_NEWTON_STEPS):
            free = t.to(size) * squares < most
            if free.all() or (before is not None and torch.equal(free, before)):
                break
            before = free
            slope = (squares * free).sum(1, keepdim=True).double().clamp_min(tiny)
            spent = (most * ~free).sum(1, keepdim=True).double()
            t = t.maximum(((radius**2 - spent) / slope).clamp(0.0, 1.0))
        return (t.sqrt().to(size) * size).minimum(room)
