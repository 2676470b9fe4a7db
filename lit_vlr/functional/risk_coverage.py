r"""Risk-coverage curves and the areas under them.

Convention: ``confidence`` is higher where the model is surer; ``correctness`` is soft accuracy in [0, 1];
:math:`\text{risk} = 1 - \text{correctness}`, averaged over the answered rows; coverage is the answered fraction.
:math:`R_k` is the mean loss of the k most confident of N rows, and within a tied block the cumulative loss is
interpolated, which is its average over all orders of the tied rows: the order of the rows never matters.

Results are float64 on the CPU.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lit_vlr.functional._tied_blocks import TiedBlocks, tied_blocks, with_origin
from lit_vlr.functional._validation import ArrayLike, check_choice, check_selective, check_whole

AURCConvention: TypeAlias = Literal["mean", "trapezoid", "geifman"]
"""Three areas that the literature calls AURC; name the one that a number was computed with."""


class RiskCoverage(NamedTuple):
    """A risk-coverage curve at the K cuts that a threshold can make, coverage ascending.

    Attributes:
        coverage: answered fraction, in (0, 1], the last is 1, (K,).
        risk: mean loss of the answered rows, in [0, 1], (K,).
        threshold: answering rows with ``confidence >= threshold`` gives this coverage and risk, (K,). Never +inf, which
            everywhere in this package means "abstain on everything".
    """

    coverage: Tensor
    risk: Tensor
    threshold: Tensor


def risk_coverage_curve(confidence: ArrayLike, correctness: ArrayLike, weight: ArrayLike | None = None) -> RiskCoverage:
    r"""Risk and coverage at every threshold that changes who is answered.

    .. math::
        c(t) = \frac{\sum_i w_i [s_i \ge t]}{\sum_i w_i}, \qquad
        r(t) = \frac{\sum_i w_i [s_i \ge t](1 - a_i)}{\sum_i w_i [s_i \ge t]}

    Coverage 0 is left out: nothing is answered there, so risk is undefined.

    Args:
        confidence: scores s, higher is surer, ±inf allowed, (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        weight: w, how often each row counts, not negative, (N,); once each by default.

    Returns:
        Coverage, risk and threshold, each (K,) for K distinct confidences.

    Raises:
        ValueError: for empty or unequal columns, NaN confidence, or correctness outside [0, 1].

    Reference:
        El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010, the definition of
        the risk-coverage trade-off; Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks",
        NeurIPS 2017, Section 2.

    Example:
        Two rows tie at .8 and enter together:

        >>> curve = risk_coverage_curve([0.9, 0.8, 0.8, 0.5], [1.0, 0.0, 1.0, 0.0])
        >>> curve.coverage
        tensor([0.2500, 0.7500, 1.0000], dtype=torch.float64)
        >>> curve.risk
        tensor([0.0000, 0.3333, 0.5000], dtype=torch.float64)
        >>> curve.threshold
        tensor([0.9000, 0.8000, 0.5000], dtype=torch.float64)
    """
    blocks = loss_blocks(confidence, correctness, weight)
    return RiskCoverage(coverage=blocks.coverage, risk=blocks.mean, threshold=blocks.threshold)


def aurc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    convention: AURCConvention = "mean",
    weight: ArrayLike | None = None,
) -> Tensor:
    r"""Area under the risk-coverage curve, in [0, 1]; lower is better.

    .. math::
        \text{mean} &= \frac1N \sum_{k=1}^{N} R_k \\
        \text{trapezoid} &= \frac1N \sum_{k=1}^{N-1} \frac{R_k + R_{k+1}}2 \\
        \text{geifman} &= \sum_{b=1}^{K} (c_b - c_{b-1}) \frac{r_{b-1} + r_b}2, \quad c_0 = 0,\ r_0 = r_1

    ``mean`` gives the loss of ascending rank i the weight :math:`(\psi(N+1) - \psi(N-i+1))/N`. ``trapezoid``
    integrates over coverage in [1/N, 1] only, so it is 0 for a single row. ``geifman`` runs over the K distinct
    thresholds :math:`(c_b, r_b)` and repeats the first risk at coverage 0; on tied scores it draws a straight line in
    *risk* between two cuts, where the others interpolate the cumulative loss.

    Convention: the areas differ by O(1/N), which is the size of many published improvements. Compare like with like.

    Weights: ``geifman`` depends only on their proportions. ``mean`` and ``trapezoid`` depend on N, that is on what one
    row is, so their weights must be whole numbers: weight 2 is exactly the row given twice.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        convention: which of the three areas.
        weight: how often each row counts, (N,).

    Returns:
        The area, a float64 scalar.

    Raises:
        ValueError: for an unknown convention, fractional weights with ``mean`` or ``trapezoid``, or the reasons of
            :func:`risk_coverage_curve`.

    Reference:
        Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019, the
        definition of AURC. ``mean`` and its rank weights: Zhou et al., "A Novel Characterization of the Population
        Area Under the Risk Coverage Curve", ICML 2025, the plug-in estimator. ``trapezoid``: Whitehead et al.,
        "Reliable Visual Question Answering", ECCV 2022, as in its evaluation code.

    Example:
        R = 0, 1/2, 1/3:

        >>> aurc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.2778, dtype=torch.float64)
        >>> aurc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0], convention="trapezoid")
        tensor(0.2222, dtype=torch.float64)
    """
    check_choice("convention", convention, AURCConvention)
    return area_under(loss_blocks(confidence, correctness, weight, whole_weight=convention != "geifman"), convention)


def excess_aurc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    convention: Literal["mean", "trapezoid"] = "mean",
    weight: ArrayLike | None = None,
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
        convention: ``mean`` or ``trapezoid``, see :func:`aurc`.
        weight: how often each row counts, whole numbers, (N,).

    Returns:
        The excess, a float64 scalar.

    Raises:
        ValueError: for ``geifman``, or the reasons of :func:`aurc`.

    Reference:
        Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019, the
        definition of E-AURC.

    Example:
        The best order has R = 0, 0, 1/3, an area of 1/9:

        >>> excess_aurc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.1667, dtype=torch.float64)
    """
    check_choice("convention", convention, Literal["mean", "trapezoid"])
    achieved = area_under(loss_blocks(confidence, correctness, weight, whole_weight=True), convention)
    best = area_under(loss_blocks(correctness, correctness, weight), convention)
    # Rounding alone may take an optimal order that ties differently to -1e-17.
    return (achieved - best).clamp(min=0.0)


def augrc(confidence: ArrayLike, correctness: ArrayLike, weight: ArrayLike | None = None) -> Tensor:
    r"""Area under the *generalised* risk-coverage curve, in [0, 1/2]; lower is better.

    .. math:: \text{AUGRC} = \int_0^1 c\, r(c)\, dc

    Generalised risk :math:`c\,r(c)` is the mass of answered-and-wrong rows among *all* rows. AURC weighs the losses of
    the most confident rows without bound as N grows; here the weight of a loss is linear in its rank. For 0/1 losses of
    mean r, the best order has :math:`r^2/2` and random scores have r/2. It depends only on the proportions of the
    weights, so these may be fractional.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        weight: how often each row counts, (N,).

    Returns:
        The area, a float64 scalar.

    Raises:
        ValueError: for the reasons of :func:`risk_coverage_curve`.

    Reference:
        Traub et al., "Overcoming Common Flaws in the Evaluation of Selective Classification Systems", NeurIPS 2024,
        the definition of AUGRC.

    Example:
        Generalised risk 0, 0, 1/3, 1/3 at coverage 0, 1/3, 2/3, 1:

        >>> augrc([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.1667, dtype=torch.float64)
    """
    blocks = loss_blocks(confidence, correctness, weight)
    generalised_risk = blocks.value / blocks.answered[-1]
    # The cumulative loss is linear between cuts, so the trapezoid rule is exact, ties included.
    return torch.trapezoid(with_origin(generalised_risk), with_origin(blocks.coverage))


def prediction_rejection_ratio(
    confidence: ArrayLike, correctness: ArrayLike, weight: ArrayLike | None = None
) -> Tensor:
    r"""How much of the gain from a random to a perfect order is realised: 1 perfect, 0 random, negative is worse.

    .. math:: \text{PRR} = \frac{A - A_\text{random}}{A_\text{oracle} - A_\text{random}},
        \qquad A = \frac1N \sum_{k=1}^{N} (1 - R_k)

    :math:`A_\text{random}` is the mean accuracy, the expectation over all orders; LM-Polygraph estimates it by
    shuffling and rescales accuracies to [0, 1] first, which makes a model that is half as right look the same.

    Args:
        confidence: scores, higher is surer, (N,).
        correctness: soft accuracies in [0, 1], (N,).
        weight: how often each row counts, whole numbers, see :func:`aurc`, (N,).

    Returns:
        The ratio, at most 1, a float64 scalar; NaN where all accuracies are equal, since every order is then both
        perfect and random.

    Raises:
        ValueError: for the reasons of :func:`aurc`.

    Reference:
        Malinin and Gales, "Uncertainty Estimation in Autoregressive Structured Prediction", ICLR 2021, the definition
        of PRR; Vashurin et al., "Benchmarking Uncertainty Quantification Methods for Large Language Models with
        LM-Polygraph", TACL 2025, in the form used here.

    Example:
        A = 13/18, random 2/3, oracle 8/9:

        >>> prediction_rejection_ratio([0.9, 0.6, 0.3], [1.0, 0.0, 1.0])
        tensor(0.2500, dtype=torch.float64)
    """
    blocks = loss_blocks(confidence, correctness, weight, whole_weight=True)
    best = loss_blocks(correctness, correctness, weight)
    if best.threshold.numel() == 1:  # decided on the data: the difference of two areas may be rounding instead of zero
        return torch.tensor(float("nan"), dtype=torch.float64)
    random_area = blocks.mean[-1]
    return (random_area - area_under(blocks, "mean")) / (random_area - area_under(best, "mean"))


def loss_blocks(
    confidence: ArrayLike, correctness: ArrayLike, weight: ArrayLike | None, *, whole_weight: bool = False
) -> TiedBlocks:
    """Check the columns and accumulate the losses ``1 - correctness`` over tied blocks.

    Args:
        confidence: scores, (N,).
        correctness: soft accuracies, (N,).
        weight: how often each row counts, (N,).
        whole_weight: refuse fractional weights, for quantities that depend on the number of rows.
    """
    scores, accuracy, weights = check_selective(confidence, correctness, weight)
    if whole_weight:
        check_whole("weight", weights)
    return tied_blocks(scores, 1 - accuracy, weights)


def area_under(blocks: TiedBlocks, convention: AURCConvention) -> Tensor:
    """AURC of accumulated losses; see :func:`aurc` for the three conventions."""
    if convention == "geifman":
        risk = torch.cat([blocks.mean[:1], blocks.mean])
        return torch.trapezoid(risk, with_origin(blocks.coverage))

    answered = blocks.answered
    # Within block b the prefix risk is R_k = (C_0 + (k - n_0) m) / k, so that its sum over k in (n_0, n_1] is
    # (n_1 - n_0) m + (C_0 - n_0 m) (H(n_1) - H(n_0)): no loop over the rows, whatever their weights.
    before, loss_before = with_origin(answered)[:-1], with_origin(blocks.value)[:-1]
    block_loss = blocks.value - loss_before
    slope = block_loss / (answered - before)
    harmonic = torch.digamma(answered + 1) - torch.digamma(before + 1)
    area = (block_loss + (loss_before - slope * before) * harmonic).sum() / answered[-1]
    if convention == "mean":
        return area
    # The trapezoid rule gives both ends half a step; R_1 is the mean risk of the first block.
    return area - (blocks.mean[0] + blocks.mean[-1]) / (2 * answered[-1])
