"""The Square attack: random search with squares, without gradients."""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import (
    Attack,
    AttackResult,
    LossFn,
    Worst,
    pictures,
    private_generator,
    where,
    worse,
)
from lit_vlr_callbacks.attacks.rows import CountedLoss
from lit_vlr_callbacks.batch import select_rows
from lit_vlr_callbacks.perturbations.base import Perturbation

_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries
_TILES = 5  # a side, in the start of L2
_TINY = 1e-10


class Square(Attack):
    """Random search that sets one square of the picture at a time, and keeps what raises the loss.

    Pictures at the border of the ball are what convolutional networks mind most, so each proposal lies there: in L∞ a
    square takes ±eps in each channel; in L2 a square takes the norm of another one, and what is left, in the shape of
    a hill and a hole. Squares shrink by a fixed schedule. No gradient is needed, so none can be masked.

    Random numbers are drawn for all samples at every query: that a sample is broken changes nothing for the others.

    Args:
        perturbation: a ball of pixels around the picture, `Linf` or L2; which of them is found out by projecting.
        queries: the most model passes for a sample.
        p_init: share of the picture that the first square covers, in (0, 1]. The paper takes .05 for L∞ and .1 for L2
            with 10,000 queries, AutoAttack .8.
        success_loss: a sample counts as broken when its loss exceeds this, and is then searched no further; 0 for
            `margin`, which is the paper's loss.

    Raises:
        ValueError: if ``queries`` is below 1, ``p_init`` is not a share, or the perturbation is no such ball.

    Reference:
        Andriushchenko et al., Square Attack, arXiv 1912.00049, algorithms 1 to 3. Windows may touch the far border,
        and a proposal that changes nothing is not drawn again.
    """

    def __init__(
        self,
        perturbation: Perturbation,
        queries: int = 1000,
        p_init: float = 0.8,
        success_loss: float | None = None,
    ) -> None:
        super().__init__(perturbation, success_loss)
        if queries < 1:
            raise ValueError(f"Expected `queries` of at least 1 but got {queries}")
        if not 0 < p_init <= 1:
            raise ValueError(f"Expected `p_init` in (0, 1] but got {p_init}; it is a share of the picture")
        self.queries = queries
        self.p_init = p_init
        self.norm = _norm(perturbation)

    @property
    def _name(self) -> str:
        return self.perturbation.names[0]

    @property
    def _eps(self) -> float:
        return self.perturbation.high[self._name]

    @torch.no_grad()
    def attack(self, loss_fn: LossFn, images: Tensor, *, generator: torch.Generator | None = None) -> AttackResult:
        """Search; see `Attack.attack`."""
        images = pictures(images)
        generator = private_generator(generator)
        counted = CountedLoss.of(loss_fn, images)
        active, rows, worst = counted, counted.charged, Worst()
        delta = self._project(self._start(images, generator), images)
        loss = self._evaluate(active, images, {self._name: delta})
        worst.enter({self._name: delta}, loss, rows)
        worst.note(loss, rows)
        clean = images
        for query in range(1, self.queries):
            draw = self._draw_moves(tuple(images.shape), query, generator)
            if self.success_loss is not None and (done := loss > self.success_loss).any():
                left, going = done.nonzero().flatten(), (~done).nonzero().flatten()
                worst.enter({self._name: delta[left]}, loss[left], rows[left])
                active, rows, delta, loss, clean = (
                    active.rows(going),
                    rows[going],
                    delta[going],
                    loss[going],
                    clean[going],
                )
            if not len(rows):
                break
            proposal = self._project(self._moved(delta, select_rows(draw, rows, len(images))), clean)
            proposed = self._evaluate(active, clean, {self._name: proposal})
            better = worse(proposed, loss)
            delta, loss = where(better, proposal, delta), torch.where(better, proposed, loss)
            worst.note(loss, rows)
        worst.enter({self._name: delta}, loss, rows)
        return self._result(images, worst.params, worst.loss, counted.passes, worst.trace)

    def _project(self, delta: Tensor, images: Tensor) -> Tensor:
        return self.perturbation.project({self._name: delta}, images)[self._name]

    def _side(self, query: int, height: int, width: int) -> int:
        """Side of the square at a query, counted from 1."""
        share = self.p_init / 2 ** sum(query * 10_000 > t * self.queries for t in _HALVINGS)
        side = round(math.sqrt(share * height * width))
        if self.norm == "linf":
            return min(max(side, 1), height, width)
        return min(max(side, 3) | 1, height, width)  # odd: the hill has a middle

    def _start(self, images: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, height, width = images.shape
        if self.norm == "linf":
            return self._eps * _signs((n, channels, 1, width), generator).expand(images.shape).to(images)
        side = max(min(height, width) // _TILES, 1)
        tiles = (n, channels, math.ceil(height / side), math.ceil(width / side))
        signs = _signs(tiles, generator).repeat_interleave(side, 2).repeat_interleave(side, 3)
        hills = _hill_and_hole(side).repeat(tiles[2], tiles[3])
        return self._scaled_up((signs * hills)[:, :, :height, :width].to(images))

    def _draw_moves(self, shape: tuple[int, ...], query: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Squares and signs of all samples, {name: (B, ...)}, on the generator's device."""
        n, channels, height, width = shape
        side = self._side(query, height, width)
        room = torch.tensor([height - side + 1, width - side + 1], device=generator.device)
        corners = 1 if self.norm == "linf" else 2
        unit = torch.rand((n, corners, 2), generator=generator, device=generator.device)
        within = torch.arange(side, device=generator.device)
        return {
            "places": (unit * room).long().unsqueeze(-1) + within,  # (B, corners, 2, side)
            "signs": _signs((n, channels), generator),
            "turned": torch.rand(n, generator=generator, device=generator.device) < 0.5,
        }

    def _moved(self, delta: Tensor, draw: dict[str, Tensor]) -> Tensor:
        """A proposal for each sample, (n, C, H, W), before projection."""
        draw = {name: value.to(delta.device) for name, value in draw.items()}
        signs = draw["signs"].to(delta).unsqueeze(-1).unsqueeze(-1)
        here = _window(draw["places"][:, 0], delta.shape[1])
        moved = delta.clone()
        if self.norm == "linf":
            moved[here] = self._eps * signs
            return moved
        there = _window(draw["places"][:, 1], delta.shape[1])
        hill = _hill_and_hole(draw["places"].shape[-1]).to(delta)
        shape = signs * torch.where(draw["turned"].view(-1, 1, 1, 1), hill.T, hill)
        both = torch.zeros_like(delta)
        both[here] = delta[here]
        both[there] = delta[there]
        within = both.square().sum((2, 3), keepdim=True)  # (n, C, 1, 1): squared norm of both windows
        unused = (self._eps**2 - delta.square().sum((1, 2, 3), keepdim=True)).clamp_min(0.0)
        size = (within + unused / delta.shape[1]).sqrt()
        fresh = shape + delta[here] / (within.sqrt() + _TINY)
        moved[there] = 0.0
        moved[here] = fresh * size / (fresh.square().sum((2, 3), keepdim=True).sqrt() + _TINY)
        return self._scaled_up(moved)

    def _scaled_up(self, delta: Tensor) -> Tensor:
        """On the sphere of radius eps."""
        return delta * (self._eps / (delta.square().sum((1, 2, 3), keepdim=True).sqrt() + _TINY))


def _norm(perturbation: Perturbation) -> Literal["linf", "l2"]:
    """Whose ball it is: the corner of a cube lies in that of L∞ alone, a point of norm eps in that of L2 too.

    Raises:
        ValueError: if it is neither.
    """
    if len(perturbation.names) == 1 and hasattr(perturbation, "eps"):
        name = perturbation.names[0]
        eps = perturbation.high[name]
        if eps == 0:
            return "linf"  # one point, whatever the norm
        for norm, size in (("linf", 1.0), ("l2", 0.5)):
            point = torch.full((1, 1, 2, 2), size * eps)
            if torch.allclose(perturbation.project({name: point})[name], point, rtol=1e-3, atol=0.0):
                return "linf" if norm == "linf" else "l2"
    raise ValueError(f"Expected an L-infinity or L2 ball of pixels but got {perturbation}; use RandomSearch")


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2.0 * torch.randint(2, shape, generator=generator, device=generator.device) - 1.0


def _window(places: Tensor, channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index of a square of each sample in (n, C, H, W); ``places`` are its rows and columns, (n, 2, side)."""
    n = len(places)
    samples = torch.arange(n, device=places.device).view(n, 1, 1, 1)
    planes = torch.arange(channels, device=places.device).view(1, channels, 1, 1)
    return samples, planes, places[:, 0, None, :, None], places[:, 1, None, None, :]


@cache
def _hill_and_hole(side: int) -> Tensor:
    """A hill above a hole, (side, side), of norm 1: equation 2 of the paper. Not to be written to."""
    upper = side // 2
    both = torch.cat([_hill(upper, side), -_hill(side - upper, side)])
    unit: Tensor = both / both.norm().clamp_min(_TINY)
    return unit


def _hill(height: int, width: int) -> Tensor:
    """Nested squares about the middle, the k-th from within adding 1/k², of norm 1, (height, width)."""
    rows = (torch.arange(height) - height // 2).abs().unsqueeze(1)
    columns = (torch.arange(width) - width // 2).abs().unsqueeze(0)
    distance = torch.maximum(rows, columns)
    steps = 1.0 / torch.arange(1, max(height, width) // 2 + 2) ** 2
    heights = steps.flip(0).cumsum(0).flip(0)  # a cell lies in all squares that reach its distance
    hill: Tensor = heights[distance]
    unit: Tensor = hill / hill.norm().clamp_min(_TINY)
    return unit
