"""The divergence of TRADES against scipy, and its gradients against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax

from lit_vlr_callbacks.divergence import divergence, kl_divergence


def logits(seed: int, *shape: int, scale: float = 3.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_equals_scipy() -> None:
    p, q = logits(0, 7, 5), logits(1, 7, 5)
    expected = rel_entr(softmax(p.numpy(), 1), softmax(q.numpy(), 1)).sum(1)
    np.testing.assert_allclose(kl_divergence(p, q).numpy(), expected, rtol=1e-10)


def test_gradients_equal_finite_differences() -> None:
    p, q = logits(0, 3, 4).requires_grad_(), logits(1, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(kl_divergence, (p, q))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_equal_logits_have_value_and_gradients_of_exactly_zero(dtype: torch.dtype) -> None:
    p = logits(0, 64, 50, scale=20).to(dtype).requires_grad_()
    q = p.detach().clone().requires_grad_()
    value = kl_divergence(p, q)
    value.sum().backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for found in (value, p.grad, q.grad):
        assert not found.any()


def test_classes_that_are_masked_out_on_both_sides_count_nothing() -> None:
    masked = torch.full((2, 1), -torch.inf, dtype=torch.float64)
    p, q = logits(0, 2, 3), logits(1, 2, 3)
    found = kl_divergence(torch.cat([p, masked], 1), torch.cat([q, masked], 1))
    torch.testing.assert_close(found, kl_divergence(p, q))


def test_several_positions_a_sample_are_averaged() -> None:
    p, q, rows = logits(0, 4, 3), logits(1, 4, 3), torch.tensor([2, 0, 2, 2])
    each = kl_divergence(p, q)
    found = divergence((p, rows), (q, rows), 3)
    torch.testing.assert_close(found, torch.stack([each[1], 0 * each[0], (each[0] + each[2] + each[3]) / 3]))
    order = torch.tensor([3, 1, 0, 2])
    torch.testing.assert_close(divergence((p[order], rows[order]), (q[order], rows[order]), 3), found)
    torch.testing.assert_close(divergence(p, q, 4), each)


@pytest.mark.parametrize(
    ("clean", "attacked", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3, 2), r"of shape \(2, K\) but got \(3, 2\)"),
        (torch.zeros(2), torch.zeros(2), "not one row a sample"),
        (torch.zeros(2, 3), torch.zeros(2, 4), r"same shape for clean and attacked pictures but got \(2, 3\) and"),
        ((torch.zeros(3, 2), torch.zeros(2)), torch.zeros(2, 2), r"of shapes \(N, K\) and \(N,\)"),
        (None, torch.zeros(2, 2), "a tensor or a pair from `attack_logits` but got NoneType"),
    ],
)
def test_logits_that_cannot_be_compared(clean: Any, attacked: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        divergence(clean, attacked, 2)
