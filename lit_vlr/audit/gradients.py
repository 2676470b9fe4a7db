"""Whether gradients reach the pictures and whatever trains, tried on one row of a real batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_vlr.errors import AuditError
from lit_vlr_callbacks.isolation import forked_random_state


@dataclass(frozen=True)
class GradientFlow:
    """Where the gradient of one row's loss arrives.

    Attributes:
        pixels: share of the picture's values with a gradient that is not zero.
        reached: for each tower, how many trained modules got one.
        trained: for each tower, how many trained modules there are.
    """

    pixels: float
    reached: Mapping[str, int]
    trained: Mapping[str, int]


def gradient_flow(
    loss_fn: Callable[[Tensor], Tensor],
    images: Tensor,
    trained: Mapping[str, Tensor],
    tower_of: Callable[[str], str | None],
) -> GradientFlow:
    """Differentiate a loss to pictures and parameters, and look where it arrives.

    ``.grad`` of nothing is touched. A module counts as reached if any of its parameters is: the first factor of a LoRA
    update has no gradient while the second is still zero.

    Args:
        loss_fn: losses of pictures.
        images: (B, 3, H, W).
        trained: parameters by name.
        tower_of: the tower of a parameter by its name.

    Raises:
        AuditError: if a gradient is not finite.
    """
    pictures = images.detach().clone().requires_grad_()
    loss = loss_fn(pictures).sum()
    grads: Sequence[Tensor | None] = (
        torch.autograd.grad(loss, [pictures, *trained.values()], allow_unused=True)
        if loss.requires_grad
        else [None] * (1 + len(trained))
    )
    arrived: dict[tuple[str, str], bool] = {}
    for name, grad in zip(trained, grads[1:], strict=True):
        module = (tower_of(name) or "elsewhere", _module_of(name))
        arrived[module] = arrived.get(module, False) or _is_there(grad, name)
    towers = dict.fromkeys(tower for tower, _ in arrived)
    return GradientFlow(
        pixels=float((grads[0] != 0).float().mean()) if _is_there(grads[0], "images") and grads[0] is not None else 0.0,
        reached={t: sum(there for (tower, _), there in arrived.items() if tower == t) for t in towers},
        trained={t: sum(tower == t for tower, _ in arrived) for t in towers},
    )


def check_flow(flow: GradientFlow) -> None:
    """Check that pictures and every tower that trains get a gradient.

    Raises:
        AuditError: naming the first that gets none.
    """
    if not flow.pixels:
        raise AuditError(
            "Expected a gradient from the loss to the pictures but it is zero; attacks will find nothing. Look for "
            "`detach`, `no_grad`, rounding or a processor between pixels and model, and on CPUs with AVX512-BF16 for "
            "4-bit layers without `guard_cpu_kernels`"
        )
    for tower, reached in flow.reached.items():
        if not reached:
            raise AuditError(
                f"Expected gradients in `{tower}` but none of its {flow.trained[tower]} trained modules gets one; "
                "something behind them is detached, or their output is not used"
            )


@contextmanager
def untouched(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put back random state, buffers, modes and inference mode: training goes on as if nothing had been computed."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.inference_mode(False), torch.enable_grad(), forked_random_state(device):
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
            for buffer, before in buffers:
                buffer.copy_(before)


def _module_of(parameter: str) -> str:
    """The adapted layer, or the module in full, that a parameter belongs to."""
    cut = parameter.split(".lora_")[0].split(".modules_to_save.")[0]
    return cut if cut != parameter else parameter.rpartition(".")[0]


def _is_there(grad: Tensor | None, name: str) -> bool:
    if grad is None:
        return False
    if not bool(grad.isfinite().all()):
        raise AuditError(
            f"Expected finite gradients but that of {name} is not; try `--trainer.precision 32-true`, or bfloat16 in "
            "place of float16"
        )
    return bool((grad != 0).any())
