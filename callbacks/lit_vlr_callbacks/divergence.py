"""Kullback-Leibler divergence between what a model says of a clean picture and of an attacked one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lit_vlr_callbacks.protocols import Logits


class _KL(torch.autograd.Function):
    """KL(softmax(clean) ‖ softmax(attacked)) over the last dimension; its gradients are exactly 0 where both agree.

    Autograd through log_softmax leaves rounding of the order of 1e-8 there: p · Σp is not quite p. With the closed
    form, an attack that may not change anything adds nothing to any weight, bit for bit.
    """

    @staticmethod
    def forward(ctx: Any, clean: Tensor, attacked: Tensor) -> Tensor:  # noqa: ANN401 - torch's own
        log_p, log_q = clean.log_softmax(-1), attacked.log_softmax(-1)
        p = log_p.exp()
        gap = torch.where(p > 0, log_p - log_q, 0.0)  # 0 · ∞ of classes that are masked out
        value = (p * gap).sum(-1)
        ctx.save_for_backward(p, log_q.exp(), gap, value)
        return value

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        p, q, gap, value = ctx.saved_tensors
        grad = grads[0].unsqueeze(-1)
        return grad * p * (gap - value.unsqueeze(-1)), grad * (q - p)


def kl_divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    """KL(p ‖ q) = Σ_k p_k (log p_k - log q_k), p and q being the softmax of ``clean`` and ``attacked``.

    Differentiable once, to both arguments; value and gradients are exactly 0 where the logits are equal bit for bit.

    Args:
        clean: logits (..., K).
        attacked: logits (..., K).

    Returns:
        (...), in nats, at least 0 up to rounding; float32 (float64 for float64 logits).

    >>> kl_divergence(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.0]))
    tensor(0.)
    >>> p = torch.tensor([0.5, 0.5]); q = torch.tensor([0.75, 0.25])
    >>> torch.allclose(kl_divergence(p.log(), q.log()), 0.5 * torch.tensor(4 / 3).log())
    True
    """
    if clean.dtype != torch.float64:
        clean, attacked = clean.float(), attacked.float()
    value: Tensor = _KL.apply(clean, attacked)  # type: ignore[no-untyped-call]
    return value


def divergence(clean: Logits, attacked: Logits, n: int) -> Tensor:
    """KL divergence of each of ``n`` samples; the mean over its positions where it has several.

    Args:
        clean: what ``attack_logits`` says of the clean pictures.
        attacked: what it says of the attacked ones.
        n: number of samples, B.

    Returns:
        (B,).

    Raises:
        ValueError: if the logits are not per sample, or differ in shape.
    """
    (p, rows), (q, _) = _with_rows(clean, n), _with_rows(attacked, n)
    if p.shape != q.shape:
        raise ValueError(
            f"Expected logits of the same shape for clean and attacked pictures but got {tuple(p.shape)} and "
            f"{tuple(q.shape)}; score the same answers on both"
        )
    values = kl_divergence(p, q)
    total = values.new_zeros(n).index_add(0, rows, values)
    count = values.new_zeros(n).index_add(0, rows, torch.ones_like(values))
    return total / count.clamp(min=1)


def _with_rows(logits: Logits, n: int) -> tuple[Tensor, Tensor]:
    """Logits (N, K) and the sample of each, (N,)."""
    remedy = "return (B, K), or the logits (N, K) of several positions with the sample of each, (N,)"
    if isinstance(logits, Tensor):
        if logits.dim() != 2 or len(logits) != n:
            raise ValueError(
                f"Expected `attack_logits` of shape ({n}, K) but got {tuple(logits.shape)}, not one row a sample; "
                f"{remedy}"
            )
        return logits, torch.arange(n, device=logits.device)
    if not isinstance(logits, tuple) or len(logits) != 2 or not all(isinstance(part, Tensor) for part in logits):
        raise ValueError(f"Expected a tensor or a pair from `attack_logits` but got {type(logits).__name__}; {remedy}")
    values, rows = logits
    if values.dim() != 2 or rows.shape != values.shape[:1]:
        raise ValueError(
            f"Expected `attack_logits` of shapes (N, K) and (N,) but got {tuple(values.shape)} and "
            f"{tuple(rows.shape)}; {remedy}"
        )
    return values, rows
