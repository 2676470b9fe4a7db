r"""Risk-coverage curves and the areas under them.

Convention: ``confidence`` is higher where the model is surer; ``correctness`` is soft accuracy in [0, 1];
:math:`\text{risk} = 1 - \text{correctness}`, averaged over the answered rows; coverage is the answered fraction.
:math:`R_k` is the mean loss of the k most confident of N rows, and within a tied block the cumulative loss is
interpolated, which is its average over all orders of the tied rows: the order of the rows never matters.

Declining in words: ``abstained`` marks rows in which the model declined to answer ("I don't know"). No threshold
answers them, so they count in N but never in coverage, and what stands in their ``confidence`` and ``correctness`` is
ignored. Curves and operating points therefore end at the share that was not declined. Areas run to full coverage all
the same: a declined row is given last, after all answers, with loss 1, because made to answer the model has no answer
to give. Ending the area early instead would reward declining: a model that declines everything would reach area 0, the
best there is. Given last, to decline a row never hurts an area where the answer would have been wrong (loss 1), and
never helps one where it would have been right (loss 0). To leave such rows out altogether, drop them before the call.

Results are float64 on the CPU.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lit_vlr.functional._tied_blocks import TiedBlocks, tied_blocks, with_origin
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_choice, check_selective

AURCConvention: TypeAlias = Literal["mean", "trapezoid", "geifman"]
"""Three areas that the literature calls AURC; name the one that a number was computed with."""


class RiskCoverage(NamedTuple):
    """A risk-coverage curve at the K cuts that a threshold can make, coverage ascending.

    Attributes:
        coverage: answered fraction, in (0, 1], (K,); the last is 1, or the share that was not declined in words.
        risk: mean loss of the answered rows, in [0, 1], (K,).
        threshold: answering rows with ``confidence >= threshold`` gives this coverage and risk, (K,). Never +inf, which
            everywhere in this package means "abstain on everything".
    """

    coverage: Tensor
    risk: Tensor
    threshold: Tensor


def risk_coverage_curve(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> RiskCoverage:
    r"""Risk and coverage at every threshold that changes who is answered.

    .. math::
        c(t) = \frac{\sum_i w_i [s_i \ge t]}{\sum_i w_i}, \qquad
        r(t) = \frac{\sum_i w_i [s_i \ge t](1 - a_i)}{\sum_i w_i [s_i \ge t]}

    where declined rows count in the denominator of c(t) and nowhere else. Coverage 0 is left out: nothing is answered
    there, so risk is undefined.

    Args:
        confidence: scores s, higher is surer, ±inf allowed, (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        weight: w, how often each row counts, not negative, (N,); once each by default.
        abstained: 1 where the model declined in words: never answered, (N,); nowhere by default.

    Returns:
        Coverage, risk and threshold, each (K,) for K distinct confidences; K = 0 where everything was declined.

    Raises:
        ValueError: for empty or unequal columns, NaN confidence, correctness outside [0, 1], or ``abstained`` other
            than 0 and 1.

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
    return curve_of(loss_blocks(check_selective(confidence, correctness, weight, abstained)))


def aurc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    convention: AURCConvention = "mean",
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
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
        abstained: 1 where the model declined in words: given last with loss 1, (N,).

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
    columns = check_selective(confidence, correctness, weight, abstained, whole_weight=convention != "geifman")
    return area_under(loss_blocks(columns).forced(), convention)


def augrc(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
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
        abstained: 1 where the model declined in words: given last with loss 1, (N,).

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
    return generalised_area_under(loss_blocks(check_selective(confidence, correctness, weight, abstained)).forced())


def loss_blocks(columns: SelectiveColumns) -> TiedBlocks:
    """Losses ``1 - correctness`` accumulated over tied blocks."""
    return tied_blocks(columns.confidence, 1 - columns.correctness, columns.weight, columns.abstained)


def curve_of(losses: TiedBlocks) -> RiskCoverage:
    """The curve of accumulated losses; see :func:`risk_coverage_curve`."""
    return RiskCoverage(coverage=losses.coverage, risk=losses.mean, threshold=losses.threshold)


def generalised_area_under(losses: TiedBlocks) -> Tensor:
    """AUGRC of accumulated losses; see :func:`augrc`."""
    # The cumulative loss is linear between cuts, so the trapezoid rule is exact, ties included.
    return torch.trapezoid(with_origin(losses.value / losses.total[..., None]), with_origin(losses.coverage))


def area_under(blocks: TiedBlocks, convention: AURCConvention) -> Tensor:
    """AURC of accumulated losses; see :func:`aurc` for the three conventions."""
    if convention == "geifman":
        risk = torch.cat([blocks.mean[..., :1], blocks.mean], dim=-1)
        return torch.trapezoid(risk, with_origin(blocks.coverage))

    answered = blocks.answered
    # Within block b the prefix risk is R_k = (C_0 + (k - n_0) m) / k, so that its sum over k in (n_0, n_1] is
    # (n_1 - n_0) m + (C_0 - n_0 m) (H(n_1) - H(n_0)): no loop over the rows, whatever their weights.
    before, loss_before = with_origin(answered)[..., :-1], with_origin(blocks.value)[..., :-1]
    block_loss = blocks.value - loss_before
    slope = block_loss / (answered - before).clamp(min=1)  # of no rows, where a weighting repeats its last cut
    harmonic = torch.digamma(with_origin(answered) + 1).diff()
    area = (block_loss + (loss_before - slope * before) * harmonic).sum(-1) / answered[..., -1]
    if convention == "mean":
        return area
    # The trapezoid rule gives both ends half a step; R_1 is the mean risk of the first block.
    return area - (blocks.mean[..., 0] + blocks.mean[..., -1]) / (2 * answered[..., -1])
