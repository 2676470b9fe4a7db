"""Free adversarial training: one backward pass for the weights and for the perturbation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from lit_vlr_callbacks.attacks.base import Attack
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.batch import mark_attacked, read_images, write_images
from lit_vlr_callbacks.perturbations.base import Params
from lit_vlr_callbacks.training.base import Mode, Turn
from lit_vlr_callbacks.training.memory import SampleMemory
from lit_vlr_callbacks.training.replay import contents, from_plain, overwrite, to_plain


class Free(Mode):
    """The pictures enter the training step as leaves; their gradient, a by-product, moves the perturbation.

    θ ← θ - τ ∇_θ L(x + δ), δ ← Π(δ + step · sign ∇_x L(x + δ)): both from one backward pass, in train mode, about one
    clean step in all. δ is carried from batch to batch, row by row.

    **Replays.** With ``replays`` = m each batch is trained on m times in a row, as in the paper. The loops of Lightning
    stay as they are: on m - 1 of m batches the content of the fetched batch is replaced by that of the kept one, and
    what was fetched is dropped. So an epoch of N batches still has N steps but sees N/m different batches, other ones
    in each epoch if the loader shuffles (it must); keep ``max_epochs``, which the paper divides by m. Groups start
    anew with each epoch, and with gradient accumulation the whole window of batches is replayed. Many replays at a high
    learning rate unlearn: three at 2e-3 brought the embedded model down to the prior.

    **Memory.** With ``index_key`` δ is kept for each *sample* from epoch to epoch instead (see `SampleMemory`); then
    ``replays`` = 1 is enough, once every sample has been met.

    Under DDP, checkpoints hold the δ and the kept batches of the first process; the others start theirs anew when they
    resume. One process resumes bit for bit.

    Args:
        replays: times each batch is trained on.
        index_key: batch entry with an integer or a text for each sample; None carries δ from batch to batch.
        max_gigabytes: bound on the memory's file.
        keep_file: keep the memory's file when the fit is finished.

    Raises:
        ValueError: if ``replays`` is below 1.

    Reference:
        Shafahi et al., Adversarial Training for Free!, arXiv 1904.12843, algorithm 1.
    """

    name = "free"

    def __init__(
        self,
        replays: int = 1,
        index_key: int | str | None = None,
        max_gigabytes: float = 4.0,
        keep_file: bool = False,
    ) -> None:
        if replays < 1:
            raise ValueError(f"Expected `replays` of at least 1 but got {replays}; 1 trains on each batch once")
        self.replays = replays
        self.memory = None if index_key is None else SampleMemory(index_key, max_gigabytes, keep_file)
        self._params: dict[int, Params] = {}  # by position in the accumulation window, as everything below
        self._kept: dict[int, Any] = {}
        self._plain: dict[int, Any] = {}  # kept batches of a checkpoint, until a batch shows their types
        self._resumed = False
        self._now: tuple[Turn, int, Params, Tensor] | None = None

    def check(self, pl_module: LightningModule, attack: Attack) -> None:
        """Needs no ``attack_loss``: the training step is the attack. The attack says range and step."""
        if not isinstance(attack, PGD) or attack.steps != 1 or attack.random_start or attack.restarts != 1:
            raise ValueError(
                "Expected `attack` as FGSM with `random_start: false` in mode 'free', where each backward pass makes "
                f"one step, but got {type(attack).__name__}; its perturbation and `step_size` are used"
            )
        if not pl_module.automatic_optimization:
            raise ValueError(
                "Expected automatic optimisation in mode 'free', which uses its one backward pass a batch; set "
                "`automatic_optimization = True`, or choose mode 'standard'"
            )

    def start(self, trainer: Trainer, image_key: int | str) -> None:
        """Find the memory's file; start anew unless a checkpoint of this process was loaded."""
        if self.memory is not None:
            self.memory.start(trainer, f"{self.name}-{image_key}")
        if trainer.global_rank > 0 or not self._resumed:
            self._params, self._kept, self._plain = {}, {}, {}
        self._resumed = False

    def before_step(self, turn: Turn) -> None:
        """Replay or keep the batch, and put the perturbed pictures in as a leaf."""
        every = turn.trainer.accumulate_grad_batches
        slot = turn.batch_idx % every
        repeat = turn.batch_idx // every % self.replays
        images = turn.images
        if self.replays > 1:
            if repeat == 0:
                self._kept[slot] = contents(turn.batch)
                self._plain.pop(slot, None)
                to_plain(self._kept[slot])  # fail now rather than when a checkpoint is saved
            elif self._restore(slot, turn.batch):
                overwrite(turn.batch, self._kept[slot])
                images = read_images(turn.batch, turn.image_key, half=turn.dtype is not None)
        turn = replace(turn, images=images)
        params = self._start(turn, slot)
        with torch.no_grad():
            leaf = turn.given(turn.attack.perturbation.apply(images, params))
        leaf.requires_grad_()
        write_images(turn.batch, turn.image_key, leaf)
        mark_attacked(turn.batch, images, leaf.detach())
        self._now = (turn, slot, params, leaf)

    def _restore(self, slot: int, like: Any) -> bool:  # noqa: ANN401
        """Whether there is a batch to replay."""
        if slot in self._plain:
            self._kept[slot] = from_plain(self._plain.pop(slot), like)
        return slot in self._kept

    def _start(self, turn: Turn, slot: int) -> Params:
        """Where δ is now, for the rows of this batch."""
        n, shape = len(turn.images), tuple(turn.images.shape[1:])
        threat = turn.attack.perturbation
        params = {name: value.to(turn.images) for name, value in threat.neutral(n, image_shape=shape).items()}
        if self.memory is not None:
            found, known = self.memory.read(turn)
            params = {
                name: torch.where(known.view(-1, *(1,) * (value.dim() - 1)), found[name], value)
                for name, value in params.items()
            }
        else:
            for name, last in self._params.get(slot, {}).items():
                if last.shape[1:] == params[name].shape[1:]:  # else pictures of another size: start anew
                    rows = min(n, len(last))
                    params[name][:rows] = last[:rows].to(params[name])
        return threat.project(params, turn.images)

    def after_backward(self) -> None:
        """Move δ along the gradient of the pictures."""
        if self._now is None:
            return
        turn, slot, params, leaf = self._now
        if leaf.grad is None:
            raise ValueError(
                f"Expected a training step that depends on batch[{turn.image_key!r}] but its loss has no gradient to "
                "it; use the batch's pictures in `training_step`, without detach() or no_grad()"
            )
        attack = turn.attack
        assert isinstance(attack, PGD)
        size = attack.default_step_size if attack.step_size is None else attack.step_size
        with torch.enable_grad():
            leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
            perturbed = attack.perturbation.apply(turn.images, leaves)
            found = torch.autograd.grad(perturbed, list(leaves.values()), leaf.grad.to(perturbed))
        leaf.grad = None
        # Overflow under a loss scale of fp16 counts as no gradient, as in PGD.
        gradient = {n: g.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0) for n, g in zip(leaves, found, strict=True)}
        moved = attack.perturbation.project(attack.perturbation.ascend(params, gradient, size), turn.images)
        moved = {name: value.detach() for name, value in moved.items()}
        if self.memory is not None:
            self.memory.write(turn, moved)
        else:
            self._params[slot] = moved

    def release(self) -> None:
        """Leave ordinary pictures in the batch."""
        if self._now is not None:
            turn, _, _, leaf = self._now
            write_images(turn.batch, turn.image_key, leaf.detach())
        self._now = None

    def stop(self, finished: bool) -> None:
        """Close the memory's file."""
        if self.memory is not None:
            self.memory.stop(finished)

    def state_dict(self) -> dict[str, Any]:
        """δ, the batches that are being replayed, and which file is meant."""
        kept = {slot: to_plain(batch) for slot, batch in self._kept.items()}
        memory = {} if self.memory is None else self.memory.state_dict()
        return {"params": self._params, "kept": {**self._plain, **kept}, "memory": memory}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken."""
        self._params, self._kept, self._plain, self._resumed = state["params"], {}, state["kept"], True
        if self.memory is not None and state["memory"]:
            self.memory.load_state_dict(state["memory"])
