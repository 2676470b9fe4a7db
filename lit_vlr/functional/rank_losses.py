r"""AURC and AUGRC as losses to train on: rank weights, detached, times differentiable losses.

Both areas are linear in the losses once the order is fixed, so over a batch of B rows

.. math:: \text{area} = \frac1B \sum_i w_i \ell_i

where :math:`w_i` depends only on the rank of row i by confidence. Where a rank jumps the area jumps with it, and
elsewhere its derivative with respect to confidence is zero: the weights are constants and gradients flow through
:math:`\ell` alone. The weights are those of the batch that is passed, whatever size was configured.

Ties get the mean weight of their ranks, which makes the value that of the metric on the same rows.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lit_vlr.functional._validation import ArrayLike, check_choice, check_confidence, check_same_length

Reduction: TypeAlias = Literal["mean", "none"]
"""``mean`` is the area; ``none`` gives the B terms whose mean it is."""


def aurc_loss(confidence: ArrayLike, loss: Tensor, reduction: Reduction = "mean") -> Tensor:
    r"""Differentiable twin of :func:`~lit_vlr.functional.aurc` in its ``mean`` convention.

    .. math:: w_i = \psi(B + 1) - \psi(B - i + 1) = \sum_{k=B-i+1}^{B} \frac1k

    for ascending rank i = 1, ..., B of confidence: the most confident row weighs about :math:`\ln B`, the least 1/B.

    Args:
        confidence: scores, higher is surer, ±inf allowed, no gradient is taken, (B,).
        loss: losses, floating point, on any device, (B,). With ``1 - correctness`` the value is AURC; a surrogate such
            as the cross-entropy of the answer makes it trainable.
        reduction: ``mean`` or ``none``.

    Returns:
        The area, a scalar of the dtype and device of ``loss``; its B terms with ``none``.

    Raises:
        TypeError: if ``loss`` is not a floating-point tensor.
        ValueError: for empty or unequal columns, NaN confidence, or an unknown reduction.

    Reference:
        Zhou et al., "A Novel Characterization of the Population Area Under the Risk Coverage Curve", ICML 2025, the
        plug-in estimator and its weights.

    Example:
        Weights 11/6, 5/6 and 1/3; only the second loss counts:

        >>> loss = torch.tensor([0.0, 1.0, 0.0], requires_grad=True)
        >>> area = aurc_loss([0.9, 0.6, 0.3], loss)
        >>> area
        tensor(0.2778, grad_fn=<MeanBackward0>)
        >>> area.backward()
        >>> loss.grad
        tensor([0.6111, 0.2778, 0.1111])
    """
    scores = check_confidence(confidence)
    batch_size = len(scores)
    # The weight of ascending rank i sums 1/k over the i largest k: 1/B + 1/(B - 1) + ...
    by_rank = (1 / torch.arange(batch_size, 0, -1, dtype=torch.float64)).cumsum(0)
    return _weighted(scores, by_rank, loss, reduction)


def augrc_loss(confidence: ArrayLike, loss: Tensor, reduction: Reduction = "mean") -> Tensor:
    r"""Differentiable twin of :func:`~lit_vlr.functional.augrc`.

    .. math:: w_i = \frac{i - \frac12}{B}

    for ascending rank i = 1, ..., B of confidence. No weight exceeds 1, so that a single confident mistake cannot
    dominate a large batch as it can in :func:`aurc_loss`.

    Args:
        confidence: scores, higher is surer, ±inf allowed, no gradient is taken, (B,).
        loss: losses, floating point, on any device, (B,); see :func:`aurc_loss`.
        reduction: ``mean`` or ``none``.

    Returns:
        The area, a scalar of the dtype and device of ``loss``; its B terms with ``none``.

    Raises:
        TypeError: if ``loss`` is not a floating-point tensor.
        ValueError: for empty or unequal columns, NaN confidence, or an unknown reduction.

    Reference:
        Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024,
        the definition of AUGRC; the weights are its trapezoid rule written per row.

    Example:
        Weights 5/6, 3/6 and 1/6:

        >>> augrc_loss([0.9, 0.6, 0.3], torch.tensor([0.0, 1.0, 0.0]))
        tensor(0.1667)
    """
    scores = check_confidence(confidence)
    by_rank = (torch.arange(1, len(scores) + 1, dtype=torch.float64) - 0.5) / len(scores)
    return _weighted(scores, by_rank, loss, reduction)


def _weighted(scores: Tensor, by_rank: Tensor, loss: Tensor, reduction: Reduction) -> Tensor:
    """Losses times the weights of their ranks, ties sharing the mean of theirs."""
    check_choice("reduction", reduction, Reduction)
    if not isinstance(loss, Tensor) or not loss.is_floating_point():
        kind = loss.dtype if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(f"Expected `loss` to be a floating-point tensor but got {kind}; gradients flow through it")
    check_same_length("loss", loss, "confidence", scores)
    _, block, size = torch.unique(scores, return_inverse=True, return_counts=True)  # sorted, so in order of rank
    last = size.cumsum(0)
    # Cumulative weights at the block ends give the sum over each block.
    sums = torch.cat([by_rank.new_zeros(1), by_rank.cumsum(0)[last - 1]]).diff()
    weighted: Tensor = (sums / size)[block].to(loss) * loss
    return weighted.mean() if reduction == "mean" else weighted
