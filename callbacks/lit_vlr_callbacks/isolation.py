"""Attacking a LightningModule from inside the Trainer without leaving a trace in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr_callbacks.attacks.abstention import AbstentionObjective, Goal
from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn
from lit_vlr_callbacks.batch import half_dtype, ordinary, read_images, select_rows
from lit_vlr_callbacks.protocols import Logits, SupportsAbstentionAttack, SupportsAttack, SupportsLogits


def require_attackable(pl_module: LightningModule) -> SupportsAttack:
    """The module as something that can be attacked.

    Raises:
        TypeError: if it has no ``attack_loss``.
    """
    if not isinstance(pl_module, SupportsAttack):
        raise TypeError(
            f"Expected a module with `attack_loss(images, batch)` but {type(pl_module).__name__} has none; add one "
            "that returns the loss of each sample, (B,)"
        )
    return pl_module


def require_logits(pl_module: LightningModule) -> SupportsLogits:
    """The module as something whose answers on two pictures can be compared.

    Raises:
        TypeError: if it has no ``attack_logits``.
    """
    if not isinstance(pl_module, SupportsLogits):
        raise TypeError(
            f"Expected a module with `attack_logits(images, batch)` but {type(pl_module).__name__} has none; add one "
            "that returns the logits of each sample, (B, K)"
        )
    return pl_module


def attack_batch(
    pl_module: LightningModule,
    batch: Any,  # noqa: ANN401 - batches have no common type
    attack: Attack,
    image_key: int | str = "images",
    generator: torch.Generator | None = None,
    objective: AbstentionObjective | None = None,
) -> AttackResult:
    """Attack the pictures of a batch; neither the module nor the batch is changed.

    Works in every loop of the Trainer, also where gradients are off (validation in `fit`) or inference mode is on
    (`validate`, `test`), and outside of a Trainer. See `isolated_loss` for what is held still.

    Args:
        pl_module: a module with ``attack_loss(images, batch)``; with an objective, ``attack_candidates``.
        batch: what ``attack_loss`` takes, with the pictures at ``batch[image_key]``, float32 in [0, 1].
        attack: the search.
        image_key: name or index of the pictures in the batch.
        generator: the attack's randomness; None means a fresh one with seed 0.
        objective: what is wanted of a module that abstains; the result's ``success`` then says where it was reached,
            as far as the candidates tell. None raises ``attack_loss``.

    Raises:
        TypeError: if the module has no ``attack_loss`` (or ``attack_candidates``) or the pictures are not a float32
            tensor.
        ValueError: if the pictures are missing or not in [0, 1], or the loss is not per sample.
    """
    images = read_images(batch, image_key, casts_batches(pl_module))
    with isolated_loss(pl_module, batch, images.device, objective, image_key, len(images)) as loss_fn:
        clean = ordinary(images)
        result = attack.attack(loss_fn, clean, generator=generator)
        return loss_fn.settle(result, attack, clean) if isinstance(loss_fn, Goal) else result


@contextmanager
def isolated_loss(
    pl_module: LightningModule,
    batch: Any,  # noqa: ANN401
    device: torch.device,
    objective: AbstentionObjective | None = None,
    image_key: int | str = "images",
    size: int | None = None,
) -> Iterator[LossFn]:
    """The module's ``attack_loss`` on ``batch``, or an objective's loss, as a function of the pictures alone.

    Inside, gradients are on and inference mode is off; no parameter requires a gradient; batch norm and dropout are in
    eval mode; the global random state is forked. All of it is put back exactly, also after an error. The model runs
    under the Trainer's precision, the perturbation does not.

    Args:
        pl_module: a module with ``attack_loss(images, batch)``; with an objective, ``attack_candidates``.
        batch: its second argument.
        device: where it runs, for the random state.
        objective: what is wanted of a module that abstains; what is yielded is then a `Goal`.
        image_key: name or index of the pictures in the batch; an objective looks at the clean ones first. Pictures of
            16 bits are given to the module as such, whatever type the attack works in.
        size: the number of samples; None makes a loss that cannot leave any of them out.
    """
    with _isolated(pl_module, device):
        rest = ordinary(batch)
        if objective is not None:
            yield _goal(pl_module, objective, rest, image_key)
            return
        yield IsolatedLoss(require_attackable(pl_module), rest, size, half_dtype(batch, image_key))


@dataclass(frozen=True, eq=False)
class IsolatedLoss:
    """The loss of a module on a batch, as a function of the pictures; see `isolated_loss`, inside of which it is used.

    Attributes:
        module: a LightningModule with ``attack_loss(images, batch)``. Where it has ``select_rows(batch, index)`` too,
            that takes rows out of a batch instead of `lit_vlr_callbacks.batch.select_rows`.
        batch: what the loss is of, but for the pictures.
        size: the number of samples, B; None where rows cannot be left out.
        dtype: what pictures are cast to for the module; None leaves them as they are.
    """

    module: SupportsAttack
    batch: Any
    size: int | None = None
    dtype: torch.dtype | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """Losses (B,) of pictures (B, C, H, W), under the Trainer's precision."""
        assert isinstance(self.module, LightningModule)
        with model_precision(self.module):
            return self.module.attack_loss(_cast(images, self.dtype), self.batch)

    def rows(self, index: Tensor) -> IsolatedLoss | None:
        """The loss on some rows, (n,) int64; None, with a warning, where the batch cannot be split."""
        if self.size is None:
            return None
        if (own := getattr(self.module, "select_rows", None)) is not None:
            return replace(self, batch=own(self.batch, index), size=len(index))
        try:
            rest = select_rows(self.batch, index, self.size)
        except ValueError as error:
            rank_zero_warn(f"Samples that an attack is done with go on costing model passes: {error}")
            return None
        return replace(self, batch=rest, size=len(index))

    def on(self, batch: Any) -> IsolatedLoss:  # noqa: ANN401
        """The same module's loss on another batch of the same pictures, such as one with other answers."""
        return replace(self, batch=batch)


def _goal(pl_module: LightningModule, objective: AbstentionObjective, batch: Any, image_key: int | str) -> Goal:  # noqa: ANN401
    """An objective on a batch, with the module under the Trainer's precision."""
    if not isinstance(pl_module, SupportsAbstentionAttack):
        raise TypeError(
            f"Expected a module with `attack_candidates(images, batch, threshold)` but {type(pl_module).__name__} has "
            f"none; add one that returns Candidates, or attack without {type(objective).__name__}"
        )
    images = read_images(batch, image_key, casts_batches(pl_module))
    dtype = half_dtype(batch, image_key)
    with model_precision(pl_module):
        candidates = pl_module.attack_candidates(_cast(images, dtype), batch, objective.threshold)

    def score(images: Tensor) -> Tensor:
        with model_precision(pl_module):
            return candidates.score(_cast(images, dtype))

    return Goal(objective, replace(candidates, score=score), images)


@contextmanager
def isolated_logits(
    pl_module: LightningModule,
    batch: Any,  # noqa: ANN401
    device: torch.device,
    image_key: int | str = "images",
) -> Iterator[Callable[[Tensor], Logits]]:
    """The module's ``attack_logits`` on ``batch`` as a function of the pictures alone; see `isolated_loss`."""
    module = require_logits(pl_module)
    dtype = half_dtype(batch, image_key)
    with _isolated(pl_module, device):
        rest = ordinary(batch)

        def logits_fn(images: Tensor) -> Logits:
            with model_precision(pl_module):
                return module.attack_logits(_cast(images, dtype), rest)

        yield logits_fn


@contextmanager
def _isolated(pl_module: LightningModule, device: torch.device) -> Iterator[None]:
    """Whatever is computed of the module inside leaves no trace in it; see `isolated_loss`."""
    with (
        # First: what is created below must not be an inference tensor. This also switches gradients on.
        torch.inference_mode(False),
        torch.enable_grad(),
        forked_random_state(device),
        _frozen(pl_module),
        _evaluating(pl_module),
    ):
        yield


def forked_random_state(device: torch.device) -> AbstractContextManager[None]:
    """The global random state, of the CPU and of ``device``, is on leaving what it was on entering."""
    on_cpu = device.type == "cpu"
    return torch.random.fork_rng([] if on_cpu else [device], device_type="cuda" if on_cpu else device.type)


@contextmanager
def _frozen(pl_module: LightningModule) -> Iterator[None]:
    """No parameter requires a gradient: cheaper, and no weight can be reached by the attack's backward pass."""
    trained = [parameter for parameter in pl_module.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def _evaluating(pl_module: LightningModule) -> Iterator[None]:
    """Every submodule in eval mode, but for layers that checkpoint their activations.

    Those recompute only while ``training`` is set, and an attack needs the memory as much as training does; their
    dropout sits in submodules of its own, which are in eval mode. The flag is written directly, because ``train()`` is
    overridden by layers that merge weights in it, and does not restore a mixture of modes.
    """
    modes = [(module, module.training) for module in pl_module.modules()]
    try:
        for module, training in modes:
            recomputes = module is not pl_module and getattr(module, "gradient_checkpointing", False) is True
            module.training = training and recomputes
        yield
    finally:
        for module, training in modes:
            module.training = training


def model_precision(pl_module: LightningModule) -> AbstractContextManager[Any]:
    """The precision that the Trainer runs steps under; hooks such as ``on_train_batch_start`` run outside of it."""
    try:
        trainer = pl_module.trainer
    except RuntimeError:  # Lightning's answer for a module that no Trainer holds
        return nullcontext()
    context: AbstractContextManager[Any] = trainer.precision_plugin.forward_context()
    return context


def casts_batches(pl_module: LightningModule) -> bool:
    """Whether the Trainer casts the pictures of a batch to 16 bits before anybody sees them."""
    try:
        return str(pl_module.trainer.precision_plugin.precision) in ("bf16-true", "16-true")
    except RuntimeError:  # no Trainer
        return False


def _cast(images: Tensor, dtype: torch.dtype | None) -> Tensor:
    return images if dtype is None else images.to(dtype)
