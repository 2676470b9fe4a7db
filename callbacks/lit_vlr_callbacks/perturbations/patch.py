"""A patch: all pixels of one rectangle, and none elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, to_number
from lit_vlr_callbacks.perturbations.common import PartlyDrawn, picture_shape, whole_place
from lit_vlr_callbacks.perturbations.linf import Linf

_ROTATION = (0.7548776662466927, 0.5698402909980532)  # 1/p and 1/p^2, p^3 = p + 1: the plane filled evenly


class Patch(PartlyDrawn):
    """Add to the pixels of one rectangle, by at most eps; at eps = 1 they are free.

    The content is the parameter ``patch`` (B, C, height, width), identity 0: what is added, so that black and white are
    reached on any ground and pixels elsewhere are bit-equal. The bound is as exact as that of `Linf`.

    The place is either **fixed**, with ``top`` and ``left``, or **drawn**, if both are None. A place has no gradient,
    and a drawn one is not the attacker's to choose: it is a second parameter ``patch_place`` (B, 2), each in [0, 1],
    that no gradient moves. Every step of an attack goes on to another place instead, along a sequence that fills the
    picture evenly, from the place where `sample` began. So gradients are taken at ever new places, which is stochastic
    ascent of the *expectation over places*, and `apply` is still a function of its parameters. Hence ``differentiable``
    is True in both cases: what the attacker chooses has usable gradients. Judge the content of a patch that was made
    so at places of its own, drawn by `sample`: the loss that the attack reports is that of one place.

    Args:
        height: of the rectangle, in pixels.
        width: of the rectangle, in pixels.
        top: where it is: 0 at the upper border, 1 at the lower one; None draws it.
        left: 0 at the left border, 1 at the right one; None draws it.
        eps: most that a value may change, in [0, 1] pixel units.

    Raises:
        ValueError: if a size is below 1, eps or the place is not in [0, 1], or only one of ``top`` and ``left`` is
            given.

    Reference:
        Brown et al., Adversarial Patch, arXiv 1712.09665, section 2; expectation over transformation: Athalye et al.,
        arXiv 1707.07397, section 2.1.

    >>> Patch(4, 4, top=0.5, left=0.5).names, Patch(4, 4).names
    (('patch',), ('patch', 'patch_place'))
    """

    additive = True

    def __init__(
        self,
        height: int,
        width: int,
        top: float | None = None,
        left: float | None = None,
        eps: float | str = 1.0,
    ) -> None:
        radius = to_number(eps, "eps")
        if height < 1 or width < 1:
            raise ValueError(f"Expected a patch of at least 1 x 1 pixels but got {height} x {width}")
        if not 0 <= radius <= 1:
            raise ValueError(f"Expected `eps` in [0, 1] but got {radius:g}; eps is in [0, 1] pixel units, write 8/255")
        if (top is None) != (left is None):
            raise ValueError(
                f"Expected both `top` and `left` or neither but got {top} and {left}; None draws the place"
            )
        if top is not None and left is not None and not (0 <= top <= 1 and 0 <= left <= 1):
            raise ValueError(f"Expected a place in [0, 1] but got top={top:g}, left={left:g}; 1 is the far border")
        drawn = top is None
        place = {"patch_place": 0.5} if drawn else {}
        super().__init__(
            {"patch": 0.0, **place},
            {"patch": -radius, **dict.fromkeys(place, 0.0)},
            {"patch": radius, **dict.fromkeys(place, 1.0)},
        )
        self.drawn = tuple(place)
        self.height, self.width = height, width
        self.top, self.left = top, left

    @property
    def eps(self) -> float:
        """The most that a value may change, in [0, 1] pixel units."""
        return self.high["patch"]

    def shapes(self, image_shape: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
        """One number a pixel of the patch and channel, and two for the place if it is drawn.

        Raises:
            ValueError: if the shape of the pictures is not given, or the patch does not fit.
        """
        channels, height, width = picture_shape(image_shape, "patch")
        if self.height > height or self.width > width:
            raise ValueError(
                f"Expected a patch that fits a picture of {height} x {width} pixels but got {self.height} x "
                f"{self.width}; make it smaller"
            )
        return {"patch": (channels, self.height, self.width), **dict.fromkeys(self.drawn, (2,))}

    def project(self, params: Params, images: Tensor | None = None) -> Params:
        """Clip the content to eps and, where ``images`` are given and the place is fixed, to a sum in [0, 1].

        Not at a drawn place: what is cut off there might be needed at the next one.
        """
        within = super().project(params)
        ground = self._ground(images, params) if images is not None and not self.drawn else None
        return within | {"patch": Linf(self.eps).project({"delta": within["patch"]}, ground)["delta"]}

    def ascend(self, params: Params, gradient: Params, fraction: float) -> Params:
        """Step uphill with the content, and go on to the next place."""
        moved = super().ascend(params, gradient, fraction)
        for name in self.drawn:
            step = torch.tensor(_ROTATION, dtype=moved[name].dtype, device=moved[name].device)
            moved[name] = (moved[name] + step) % 1.0
        return moved

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        self.shapes(tuple(images.shape[1:]))
        content = params["patch"]
        for name in self.drawn:  # in the graph, with a gradient of zero
            content = content + 0 * params[name].sum(1).view(-1, 1, 1, 1)
        canvas = torch.zeros_like(images).permute(0, 2, 3, 1)
        canvas = canvas.index_put(self._window(images, params), content.permute(0, 2, 3, 1))
        return Linf(self.eps).apply(images, {"delta": canvas.permute(0, 3, 1, 2)})

    def _ground(self, images: Tensor, params: Params) -> Tensor:
        """The pixels under the patch, (B, C, height, width)."""
        return images.permute(0, 2, 3, 1)[self._window(images, params)].permute(0, 3, 1, 2)

    def _window(self, images: Tensor, params: Params) -> tuple[Tensor, Tensor, Tensor]:
        """Where the patch is: indices of samples, rows and columns, which broadcast to (B, height, width)."""
        count, _, height, width = images.shape
        if self.drawn:
            place = params["patch_place"].detach()
        else:
            place = torch.tensor([[self.top, self.left]], dtype=torch.float64, device=images.device).expand(count, 2)
        top = whole_place(place[:, 0], height - self.height)
        left = whole_place(place[:, 1], width - self.width)
        rows = top[:, None] + torch.arange(self.height, device=images.device)
        columns = left[:, None] + torch.arange(self.width, device=images.device)
        return torch.arange(count, device=images.device)[:, None, None], rows[:, :, None], columns[:, None, :]
