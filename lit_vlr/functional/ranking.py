r"""What separates an order from the best and from a random one: E-AURC, excess AUGRC, PRR, AUROC.

Conventions are those of :mod:`lit_vlr.functional.risk_coverage`: equal confidences enter together, and rows that the
model declined in words are given last, with loss 1. The best order is that of *the same* losses, so it knows of no
better answers, only of a better confidence.

Results are float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from lit_vlr.functional._tied_blocks import TiedBlocks, tied_blocks, with_origin
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_choice, check_selective
from lit_vlr.functional.risk_coverage import area_under, generalised_area_under, loss_blocks

ExcessConvention: TypeAlias = Literal["mean", "trapezoid"]
"""The conventions of AURC for which some order is the best one."""


def excess_aurc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    convention: ExcessConvention = "mean",
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""What AURC exceeds the best order of the same losses by, in [0, 1); lower is better, 0 is a perfect order.

    .. math:: \text{E-AURC} = \text{AURC} - \min_{\text{orders}} \text{AURC}

    The optimum is that of *these* soft losses, sorted. Geifman et al. approximate it by
    :math:`r + (1 - r)\ln(1 - r)`, which holds for 0/1 losses and large N and makes the difference negative elsewhere.

    ``geifman`` is not offered. Its straight lines in risk reward ties: scores that tie two unequal losses can have a
    smaller area than the sorted losses, so no order is the best one and the excess could fall below zero.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        convention: ``mean`` or ``trapezoid``, see :func:`~lit_vlr.functional.aurc`.
        weight: how often each row counts, whole numbers, (N,).
        abstained: 1 where the model declined in words: given last with loss 1, (N,).

    Returns:
        The excess, a float64 scalar.

    Raises:
        ValueError: for ``geifman``, or the reasons of :func:`~lit_vlr.functional.aurc`.

    Reference:
        Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019, the
        definition of E-AURC.

    Example:
        The best order has R = 0, 0, 1/3, an area of 1/9:

        >>> excess_aurc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.1667, dtype=torch.float64)
    """
    check_choice("convention", convention, ExcessConvention)
    columns = check_selective(confidence, correctness, weight, abstained, whole_weight=True)
    area = partial(area_under, convention=convention)
    return excess_area(loss_blocks(columns).forced(), best_loss_blocks(columns), area)


def excess_augrc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""What AUGRC exceeds the best order of the same losses by, in [0, 1/4]; lower is better, 0 is a perfect order.

    .. math:: \text{E-AUGRC} = \text{AUGRC} - \min_{\text{orders}} \text{AUGRC}

    For 0/1 losses of mean r the best order has :math:`r^2/2` and the excess is :math:`r(1-r)(1-\text{AUROC})`; soft
    losses are sorted, and their best order has more than :math:`r^2/2`.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        weight: how often each row counts, fractions allowed, (N,).
        abstained: 1 where the model declined in words: given last with loss 1, (N,).

    Returns:
        The excess, a float64 scalar.

    Raises:
        ValueError: for the reasons of :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024,
        the relation of AUGRC to AUROC and accuracy; the excess is defined as in E-AURC.

    Example:
        AUGRC 1/6, best order (1/3)^2 / 2 = 1/18:

        >>> excess_augrc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.1111, dtype=torch.float64)
    """
    columns = check_selective(confidence, correctness, weight, abstained)
    return excess_area(loss_blocks(columns).forced(), best_loss_blocks(columns), generalised_area_under)


def prediction_rejection_ratio(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""How much of the gain from a random to a perfect order is realised: 1 perfect, 0 random, negative is worse.

    .. math:: \text{PRR} = \frac{A - A_\text{random}}{A_\text{oracle} - A_\text{random}},
        \qquad A = \frac1N \sum_{k=1}^{N} (1 - R_k)

    :math:`A_\text{random}` is the mean accuracy, the expectation over all orders; LM-Polygraph estimates it by
    shuffling and rescales accuracies to [0, 1] first, which makes a model that is half as right look the same.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        weight: how often each row counts, whole numbers, see :func:`~lit_vlr.functional.aurc`, (N,).
        abstained: 1 where the model declined in words: given last with loss 1, (N,).

    Returns:
        The ratio, at most 1, a float64 scalar; NaN where all accuracies are equal, since every order is then both
        perfect and random.

    Raises:
        ValueError: for the reasons of :func:`~lit_vlr.functional.aurc`.

    Reference:
        Malinin and Gales, "Uncertainty Estimation in Autoregressive Structured Prediction", ICLR 2021, the definition
        of PRR; Vashurin et al., "Benchmarking Uncertainty Quantification Methods for Large Language Models with
        LM-Polygraph", TACL 2025, in the form used here.

    Example:
        A = 13/18, random 2/3, oracle 8/9:

        >>> prediction_rejection_ratio([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.2500, dtype=torch.float64)
    """
    columns = check_selective(confidence, correctness, weight, abstained, whole_weight=True)
    return rejection_ratio(loss_blocks(columns).forced(), best_loss_blocks(columns))


def auroc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""How well confidence tells right from wrong, in [0, 1]; higher is better, 1/2 is random.

    .. math::
        \text{AUROC} = \frac{\sum_{i,j} w_i a_i\, w_j (1 - a_j)\, ([s_i > s_j] + \tfrac12 [s_i = s_j])}
            {\sum_i w_i a_i \sum_j w_j (1 - a_j)}

    Every row counts as a right answer with weight a and as a wrong one with weight 1 - a, so for 0/1 accuracies this is
    the usual area under the ROC curve. A pair of a row with itself is a tie, as are the pairs of a row given twice:
    that makes weight 2 the same as giving the row twice. It ties AUROC to AUGRC for soft losses of mean r, too:

    .. math:: \text{AUGRC} = r (1 - r)(1 - \text{AUROC}) + \tfrac12 r^2

    so rows of accuracy strictly between 0 and 1 keep the best possible AUROC below 1.

    Args:
        confidence: scores s, higher is surer, (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        weight: w, how often each row counts, fractions allowed, (N,).
        abstained: 1 where the model declined in words: a wrong answer below all confidences, (N,).

    Returns:
        The area, a float64 scalar; NaN where every accuracy is 0 or every accuracy is 1, which leaves no pair.

    Raises:
        ValueError: for the reasons of :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Hanley and McNeil, "The Meaning and Use of the Area under a Receiver Operating Characteristic (ROC) Curve",
        Radiology 1982, for pairs and ties; Traub et al., "Overcoming Common Flaws in the Evaluation of Selective
        Classification Systems", NeurIPS 2024, for the relation to AUGRC. Soft accuracy as a pair of weights is ours.

    Example:
        One of the two pairs of a right and a wrong answer is in order:

        >>> auroc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.5000, dtype=torch.float64)
    """
    return roc_area_under(loss_blocks(check_selective(confidence, correctness, weight, abstained)).forced())


def best_loss_blocks(columns: SelectiveColumns) -> TiedBlocks:
    """Losses in their best order, the declined rows as wrong as any."""
    accuracy = columns.correctness * (1 - columns.abstained)
    return tied_blocks(accuracy, 1 - accuracy, columns.weight)


def excess_area(achieved: TiedBlocks, best: TiedBlocks, area: Callable[[TiedBlocks], Tensor]) -> Tensor:
    """What an area of losses accumulated to full coverage exceeds that of their best order by."""
    return (area(achieved) - area(best)).clamp(min=0.0)  # rounding alone may take an optimal order to -1e-17


def rejection_ratio(achieved: TiedBlocks, best: TiedBlocks) -> Tensor:
    """PRR of losses accumulated to full coverage in two orders; see :func:`prediction_rejection_ratio`."""
    random_area = achieved.mean[..., -1]
    ratio = (random_area - area_under(achieved, "mean")) / (random_area - area_under(best, "mean"))
    # Decided on the data: the difference of two areas may be rounding instead of zero.
    return ratio.where(best.answered[..., 0] < best.answered[..., -1], torch.nan)


def roc_area_under(losses: TiedBlocks) -> Tensor:
    """AUROC of losses accumulated to full coverage; see :func:`auroc`."""
    wrong, right = losses.value, losses.answered - losses.value
    # Ties are straight lines of the ROC curve; 0 / 0 is the NaN promised above.
    return torch.trapezoid(with_origin(right), with_origin(wrong)) / (right[..., -1] * wrong[..., -1])
