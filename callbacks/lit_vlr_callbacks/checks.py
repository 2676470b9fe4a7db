"""An attack that distrusts itself: the usual signs of masked gradients and of pictures that are not pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, per_sample_loss, private_generator
from lit_vlr_callbacks.attacks.random_search import RandomSearch

_BACKWARD = 2  # a backward pass costs about two forward passes
_TOLERANCE = 1e-4  # relative, on mean losses: below it two attacks are equally strong


@dataclass(frozen=True)
class AttackVerdict:
    """What `check_attack` found. Losses are means over the batch; NaN where the check could not go so far.

    Attributes:
        clean_loss: on the pictures given.
        attacked_loss: on the pictures that the attack returned.
        random_loss: on the worst of as many random draws as the attack costs.
        one_step_loss: after one step of the attack; None where it has no steps.
        zero_gradients: share of samples whose image gradient is zero everywhere, in [0, 1].
        finite_gradients: whether all image gradients are finite.
        in_range: whether the attacked pictures are finite and in [0, 1].
        sixteen_bit: whether pixels have a 16-bit type, in which a small eps is lost.
        beaten_by_random: whether ``random_loss`` exceeds ``attacked_loss``.
        rises: whether the attack gains on the clean loss and does not lose by taking all its steps.
        problems: one sentence for each thing that is wrong.
    """

    clean_loss: float = math.nan
    attacked_loss: float = math.nan
    random_loss: float = math.nan
    one_step_loss: float | None = None
    zero_gradients: float = 0.0
    finite_gradients: bool = True
    in_range: bool = True
    sixteen_bit: bool = False
    beaten_by_random: bool = False
    rises: bool = True
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def check_attack(
    loss_fn: LossFn, attack: Attack, images: Tensor, generator: torch.Generator | None = None
) -> AttackVerdict:
    """Run an attack and look for signs that it is weaker than it claims.

    A model is not robust because an attack failed: compare it with random search at equal cost (a backward pass
    counted as two forward passes) and with its own first step, and look at its gradients.

    Args:
        loss_fn: pictures (B, C, H, W) to losses (B,).
        attack: the attack to judge.
        images: pictures to judge it on, (B, C, H, W), float32 in [0, 1].
        generator: source of randomness; None means a fresh one with seed 0.

    Returns:
        The verdict; this function raises only on a loss that is not per sample.

    Reference:
        Athalye et al., Obfuscated Gradients, arXiv 1802.00420, section 3.1; Carlini et al., On Evaluating Adversarial
        Robustness, arXiv 1902.06705, section 3.
    """
    if images.dtype in (torch.float16, torch.bfloat16):
        return AttackVerdict(
            sixteen_bit=True,
            problems=(f"Pixels are {images.dtype}: a small eps is lost in them; keep them in float32.",),
        )
    generator = private_generator(generator)
    clean = _mean_loss(loss_fn, images)
    zero, finite = _gradients(loss_fn, images) if attack.uses_gradient else (0.0, True)
    problems = []
    if zero == 1.0:
        problems.append("The loss has no gradient to the images: a detached path, a saturated loss, or rounding.")
        return AttackVerdict(clean_loss=clean, zero_gradients=zero, finite_gradients=finite, problems=tuple(problems))
    if zero > 0:
        problems.append(f"{zero:.0%} of the samples have a zero gradient: attack a margin or the logits instead.")
    if not finite:
        problems.append("Some gradients are not finite: they count as zero; look for overflow or infinite slopes.")

    result = attack.attack(loss_fn, images, generator=generator)
    low, high = (float(bound) for bound in result.images.aminmax())
    in_range = low >= 0 and high <= 1
    if not in_range:
        problems.append(f"Attacked pixels reach from {low:.3g} to {high:.3g}: clamp them to [0, 1].")
    attacked = _mean_loss(loss_fn, result.images)

    random = _random_loss(loss_fn, attack, images, result, generator)
    beaten = random > attacked + _slack(attacked)
    if beaten:
        problems.append(
            f"Random search of equal cost reaches {random:.4g}, the attack {attacked:.4g}: masked gradients?"
        )

    first = attack.one_step()
    one_step = None
    if first is not None:
        one_step = _mean_loss(loss_fn, first.attack(loss_fn, images, generator=generator).images)
    rises = _rises(attack, clean, one_step, attacked)
    if not rises:
        problems.append(f"The loss does not rise: clean {clean:.4g}, one step {one_step}, all steps {attacked:.4g}.")
    return AttackVerdict(
        clean_loss=clean,
        attacked_loss=attacked,
        random_loss=random,
        one_step_loss=one_step,
        zero_gradients=zero,
        finite_gradients=finite,
        in_range=in_range,
        beaten_by_random=beaten,
        rises=rises,
        problems=tuple(problems),
    )


@torch.no_grad()
def _mean_loss(loss_fn: LossFn, images: Tensor) -> float:
    return float(per_sample_loss(loss_fn, images).mean())


def _gradients(loss_fn: LossFn, images: Tensor) -> tuple[float, bool]:
    """Share of samples with a zero image gradient, and whether all gradients are finite."""
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_()
        loss = per_sample_loss(loss_fn, leaf)
        gradient = torch.autograd.grad(loss.sum(), leaf, allow_unused=True)[0] if loss.requires_grad else None
    if gradient is None:
        return 1.0, True
    zero = (gradient == 0).flatten(1).all(1)
    return float(zero.float().mean()), bool(gradient.isfinite().all())


def _random_loss(
    loss_fn: LossFn, attack: Attack, images: Tensor, result: AttackResult, generator: torch.Generator
) -> float:
    if isinstance(attack, RandomSearch):
        return _mean_loss(loss_fn, result.images)  # against itself only luck would decide
    samples = result.steps * (1 + _BACKWARD if attack.uses_gradient else 1)
    search = RandomSearch(attack.perturbation, samples)
    return float(search.attack(loss_fn, images, generator=generator).loss.mean())


def _rises(attack: Attack, clean: float, one_step: float | None, attacked: float) -> bool:
    perturbation = attack.perturbation
    if all(perturbation.low[name] == perturbation.high[name] for name in perturbation.names):
        return True  # nothing may change, so nothing can rise
    if not attacked > clean + _slack(clean):
        return False
    # Not "strictly above": on a linear loss the first step is already the optimum.
    return one_step is None or attacked >= one_step - _slack(one_step)


def _slack(loss: float) -> float:
    return _TOLERANCE * max(abs(loss), 1e-3)
