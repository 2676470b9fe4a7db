"""Motion blur."""

from __future__ import annotations

from kornia.filters import motion_blur
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number


class MotionBlur(Perturbation):
    """Smear each picture along a line; the border's pixels are repeated beyond it.

    The result is (1 - s) times the picture plus s times the smeared one, s the strength. Parameters, each (B,), all
    with identity 0:

    - ``motion_strength``: s, in [0, 1]. At 0 the picture is as it was whatever the others are, and only the strength
      has a gradient; an attack that starts there moves the strength first.
    - ``motion_angle``: of the line, degrees, counter-clockwise from horizontal. The kernel is turned bilinearly, since
      the nearest tap has no gradient; at 0 and 90 that has a kink and the gradient is one-sided.
    - ``motion_direction``: which end of the line weighs more, from -1 to 1; 0 weighs all alike.

    Args:
        strength: greatest strength, in [0, 1].
        angle: greatest angle to either side in degrees, in [0, 90]; 90 covers all lines.
        direction: greatest direction either way, in [0, 1].
        kernel_size: length of the line in pixels, odd, at least 3.

    Raises:
        ValueError: if a value is outside of its range.
    """

    def __init__(
        self,
        strength: float | str = 1.0,
        angle: float | str = 90.0,
        direction: float | str = 1.0,
        kernel_size: int = 7,
    ) -> None:
        high = {
            "motion_strength": to_number(strength, "strength"),
            "motion_angle": to_number(angle, "angle"),
            "motion_direction": to_number(direction, "direction"),
        }
        for (name, value), limit in zip(high.items(), (1, 90, 1), strict=True):
            if not 0 <= value <= limit:
                raise ValueError(
                    f"Expected `{name.removeprefix('motion_')}` in [0, {limit}] but got {value:g}; it is the greatest "
                    "magnitude, 0 is the identity"
                )
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(f"Expected `kernel_size` odd and at least 3 but got {kernel_size}; it has a middle pixel")
        low = {name: -value for name, value in high.items()} | {"motion_strength": 0.0}
        super().__init__(dict.fromkeys(high, 0.0), low, high)
        self.kernel_size = kernel_size

    def _settings(self) -> dict[str, object]:
        return {"kernel_size": self.kernel_size}

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        smeared: Tensor = motion_blur(
            images,
            self.kernel_size,
            params["motion_angle"],
            params["motion_direction"],
            border_type="replicate",
            mode="bilinear",
        )
        # Exact at strength 0, and with a gradient there.
        return images + params["motion_strength"].view(-1, 1, 1, 1) * (smeared - images)
