"""An attack that distrusts itself: the usual signs of masked gradients and of pictures that are not pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn, per_sample_loss, private_generator
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.random_search import RandomSearch
from lit_vlr_callbacks.perturbations.base import Perturbation
from lit_vlr_callbacks.without_bound import Broken, mean_loss, slack, without_bound

_BACKWARD = 2  # a backward pass costs about two forward passes


@dataclass(frozen=True)
class AttackVerdict:
    """What `check_attack` found. Losses are means over the batch; NaN where the check could not go so far.

    Attributes:
        clean_loss: on the pictures given.
        attacked_loss: on the pictures that the attack returned.
        random_loss: on the worst of as many random draws as the attack costs.
        one_step_loss: after one step of the attack; None where it has no steps.
        half_range_loss: after the attack with half its range; None where the range is empty.
        unbounded_loss: after the attack over all pictures that there are; None where it has no such range.
        unbroken: share of samples that survive that, in [0, 1]; None where it is not known who does.
        zero_gradients: share of samples whose image gradient is zero everywhere, in [0, 1].
        finite_gradients: whether all image gradients are finite.
        in_range: whether the pictures given and the attacked ones are finite and in [0, 1].
        sixteen_bit: whether pixels have a 16-bit type, in which a small eps is lost.
        beaten_by_random: whether ``random_loss`` exceeds ``attacked_loss``.
        rises: whether the attack gains on the clean loss, and loses nothing by taking all its steps or all its range.
        reaches_zero: whether no sample survives the unbounded attack.
        problems: one sentence for each thing that is wrong.
    """

    clean_loss: float = math.nan
    attacked_loss: float = math.nan
    random_loss: float = math.nan
    one_step_loss: float | None = None
    half_range_loss: float | None = None
    unbounded_loss: float | None = None
    unbroken: float | None = None
    zero_gradients: float = 0.0
    finite_gradients: bool = True
    in_range: bool = True
    sixteen_bit: bool = False
    beaten_by_random: bool = False
    rises: bool = True
    reaches_zero: bool = True
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def check_attack(
    loss_fn: LossFn,
    attack: Attack,
    images: Tensor,
    generator: torch.Generator | None = None,
    broken: Broken | None = None,
) -> AttackVerdict:
    """Run an attack and look for signs that it is weaker than it claims.

    A model is not robust because an attack failed. So the attack is compared with random search at equal cost (a
    backward pass counted as two forward passes), with its own first step, and with half its range; gradients are looked
    at; and the attack is run without a bound, where nothing may survive: any picture can be turned into any other.
    What survives is what is not ``broken``, or else what is not beyond the attack's ``success_loss``. Where neither is
    given, the unbounded attack must at least do more harm than giving each sample the picture of another one.

    There is an unbounded attack for balls of pixels (`Linf`, `L2`, `L1`, alone or as a part of a `Compose`). The whole
    costs about five attacks: a few samples will do.

    Args:
        loss_fn: pictures (B, C, H, W) to losses (B,).
        attack: the attack to judge.
        images: pictures to judge it on, (B, C, H, W), float32 in [0, 1].
        generator: source of randomness; None means a fresh one with seed 0.
        broken: says on which pictures the model fails.

    Returns:
        The verdict; this function raises only on a loss that is not per sample.

    Reference:
        Athalye et al., Obfuscated Gradients, arXiv 1802.00420, section 3.1; Carlini et al., On Evaluating Adversarial
        Robustness, arXiv 1902.06705, section 3.
    """
    if (refused := _look_at(images)) is not None:
        return refused
    generator = private_generator(generator)
    clean = mean_loss(loss_fn, images)
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
    in_range = _in_range(result.images)
    if not in_range:
        problems.append(f"Attacked pixels reach {_extent(result.images)}: clamp them to [0, 1].")
    attacked = mean_loss(loss_fn, result.images)

    random = _random_loss(loss_fn, attack, images, result, generator)
    beaten = random > attacked + slack(attacked)
    if beaten:
        problems.append(
            f"Random search of equal cost reaches {random:.4g}, the attack {attacked:.4g}: masked gradients?"
        )

    one_step = _loss_of(attack.one_step(), loss_fn, images, generator)
    half = None if _is_empty(attack.perturbation) else _loss_of(attack.scaled(0.5), loss_fn, images, generator)
    # One that stops where it has won may win by less than a weaker one does.
    less = () if _stops(attack) else (one_step, half)
    rises = half is None or _rises(clean, less, attacked)
    if not rises:
        problems.append(
            f"The loss does not rise: clean {clean:.4g}, one step {one_step}, half the range {half}, "
            f"all {attacked:.4g}."
        )
    unbounded, unbroken, problem = without_bound(loss_fn, attack, images, generator, broken)
    if problem:
        problems.append(problem)
    return AttackVerdict(
        clean_loss=clean,
        attacked_loss=attacked,
        random_loss=random,
        one_step_loss=one_step,
        half_range_loss=half,
        unbounded_loss=unbounded,
        unbroken=unbroken,
        zero_gradients=zero,
        finite_gradients=finite,
        in_range=in_range,
        beaten_by_random=beaten,
        rises=rises,
        reaches_zero=not problem,
        problems=tuple(problems),
    )


def _look_at(images: Tensor) -> AttackVerdict | None:
    """The verdict on pictures that no attack can be run on."""
    if images.dtype in (torch.float16, torch.bfloat16):
        text = f"Pixels are {images.dtype}: a small eps is lost in them; keep them in float32."
        return AttackVerdict(sixteen_bit=True, problems=(text,))
    if not images.is_floating_point():
        text = f"Pixels are {images.dtype}: eps is in [0, 1] pixel units; pass images.float() / 255."
        return AttackVerdict(in_range=False, problems=(text,))
    if not _in_range(images):
        text = f"Pixels reach {_extent(images)}: pass unnormalised pictures in [0, 1], and normalise inside the model."
        return AttackVerdict(in_range=False, problems=(text,))
    return None


def _in_range(images: Tensor) -> bool:
    low, high = images.aminmax()
    return bool((low >= 0) & (high <= 1))  # NaN is in no range


def _extent(images: Tensor) -> str:
    low, high = (float(bound) for bound in images.aminmax())
    return f"from {low:.3g} to {high:.3g}"


def _loss_of(attack: Attack | None, loss_fn: LossFn, images: Tensor, generator: torch.Generator) -> float | None:
    """Mean loss of the pictures that an attack finds, where there is an attack."""
    if attack is None:
        return None
    return mean_loss(loss_fn, attack.attack(loss_fn, images, generator=generator).images)


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
        return mean_loss(loss_fn, result.images)  # against itself only luck would decide
    samples = result.steps * (1 + _BACKWARD if attack.uses_gradient else 1)
    search = RandomSearch(attack.perturbation, samples)
    return float(search.attack(loss_fn, images, generator=generator).loss.mean())


def _rises(clean: float, weaker: Sequence[float | None], attacked: float) -> bool:
    if not attacked > clean + slack(clean):
        return False
    # Not "strictly above": on a linear loss the first step is already the optimum.
    return all(less is None or attacked >= less - slack(less) for less in weaker)


def _stops(attack: Attack) -> bool:
    """Whether the attack goes no further with a sample once that is broken."""
    goes_on = isinstance(attack, (PGD, RandomSearch)) and not getattr(attack, "early_stop", False)
    return attack.success_loss is not None and not goes_on


def _is_empty(perturbation: Perturbation) -> bool:
    """Whether nothing may change, so that nothing can rise."""
    return all(perturbation.low[name] == perturbation.high[name] for name in perturbation.names)
