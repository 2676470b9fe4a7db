r"""Whether confidence, read as a probability of being right, is what accuracy turns out to be.

Convention: ``confidence`` is in [0, 1] and ``correctness`` is *soft* accuracy in [0, 1], so a model that says .3 where
its answer earns .3 is calibrated. Rows that the model declined in words (``abstained``) gave no answer for a confidence
to be about: they are left out, and nothing remains where all were declined (NaN).

A monotone transform of confidence changes all of these, unlike the ranking metrics: that is what they measure.

Results are float64 on the CPU.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lit_vlr.functional._sums import ratio, sums_in_cells
from lit_vlr.functional._tied_blocks import TiedBlocks, tied_blocks, with_origin
from lit_vlr.functional._validation import ArrayLike, SelectiveColumns, check_answered_probability, check_selective


def expected_calibration_error(
    confidence: ArrayLike,
    correctness: ArrayLike,
    n_bins: int = 15,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Gap between confidence and accuracy over bins of equal width, in [0, 1]; lower is better.

    .. math::
        \text{ECE} = \sum_{m=1}^{M} \frac{W_m}{W} \left| \bar s_m - \bar a_m \right|
            = \frac1W \sum_{m=1}^{M} \Big| \sum_{i \in B_m} w_i (s_i - a_i) \Big|

    Bins: :math:`B_m = [\frac{m-1}{M}, \frac{m}{M})`, the last one closed, so 0 falls in the first and 1 in the last.
    Guo et al. write the other half open, which leaves confidence 0 in no bin. A gap of one bin may cancel inside it:
    more bins never give less when each splits an old one, and a single bin only compares two means.

    Args:
        confidence: s, probabilities in [0, 1], (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        n_bins: M, at least 1.
        weight: w, how often each row counts, fractions allowed, (N,).
        abstained: 1 where the model declined in words: left out, (N,).

    Returns:
        The error, a float64 scalar; NaN where everything was declined.

    Raises:
        ValueError: for confidence outside [0, 1], ``n_bins`` below 1, or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015, the
        definition of ECE; Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, Section 2.

    Example:
        Bins [0, .5) and [.5, 1] hold gaps of .3 - 0 and (.9 - 1) + (.5 - 1):

        >>> expected_calibration_error([0.9, 0.5, 0.3], [1.0, 1.0, 0.0], n_bins=2)
        tensor(0.3000, dtype=torch.float64)
    """
    return ece_of(bin_sums(check_selective(confidence, correctness, weight, abstained), check_bins(n_bins)))


def adaptive_calibration_error(
    confidence: ArrayLike,
    correctness: ArrayLike,
    n_bins: int = 15,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Gap between confidence and accuracy over bins of equal mass, in [0, 1]; lower is better.

    .. math::
        \text{ACE} = \sum_{m=1}^{M} \Big| G\big(\tfrac{m}{M}\big) - G\big(\tfrac{m-1}{M}\big) \Big|, \qquad
        G(c) = \frac1W \sum_{\text{most confident share } c} w_i (s_i - a_i)

    Bins hold exactly 1/M of the weight each: a row on an edge is shared between its two bins, and of a tied block every
    bin gets the block's mean (G is interpolated, as cumulative losses are elsewhere in this package). The order of the
    rows never matters, weight 2 is the row given twice, and where M divides N without ties across the edges these are
    the usual bins. Where N divides M it is the mean of :math:`|s_i - a_i|`.

    Args:
        confidence: s, probabilities in [0, 1], (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        n_bins: M, at least 1.
        weight: w, how often each row counts, fractions allowed, (N,).
        abstained: 1 where the model declined in words: left out, (N,).

    Returns:
        The error, a float64 scalar; NaN where everything was declined.

    Raises:
        ValueError: for confidence outside [0, 1], ``n_bins`` below 1, or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Nguyen and O'Connor, "Posterior Calibration and Exploratory Analysis for Natural Language Processing Models",
        EMNLP 2015, bins of equal mass; Nixon et al., "Measuring Calibration in Deep Learning", CVPR Workshops 2019,
        adaptive calibration error. Sharing ties and edge rows among bins is ours.

    Example:
        Two bins, one row and a half each: (.9 - 1) + (.5 - 1)/2 and (.5 - 1)/2 + .3, over three rows:

        >>> adaptive_calibration_error([0.9, 0.5, 0.3], [1.0, 1.0, 0.0], n_bins=2)
        tensor(0.1333, dtype=torch.float64)
    """
    columns = check_selective(confidence, correctness, weight, abstained)
    return ace_of(gap_blocks(columns), check_bins(n_bins))


def brier_score(
    confidence: ArrayLike,
    correctness: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    abstained: ArrayLike | None = None,
) -> Tensor:
    r"""Mean squared gap between confidence and accuracy, in [0, 1]; lower is better.

    .. math:: \text{Brier} = \frac{\sum_i w_i (s_i - a_i)^2}{\sum_i w_i}

    Against soft accuracy, 0 is reached by saying the accuracy itself. A Brier score of 0/1 outcomes drawn with
    probability a would be higher by the mean of a(1 - a), which no confidence can change.

    Args:
        confidence: s, probabilities in [0, 1], (N,).
        correctness: soft accuracies a in [0, 1], (N,).
        weight: w, how often each row counts, fractions allowed, (N,).
        abstained: 1 where the model declined in words: left out, (N,).

    Returns:
        The score, a float64 scalar; NaN where everything was declined.

    Raises:
        ValueError: for confidence outside [0, 1], or the reasons of
            :func:`~lit_vlr.functional.risk_coverage_curve`.

    Reference:
        Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather Review 1950, for one of
        the two classes right and wrong.

    Example:
        (.01 + .25 + .09) / 3:

        >>> brier_score([0.9, 0.5, 0.3], [1.0, 1.0, 0.0])
        tensor(0.1167, dtype=torch.float64)
    """
    return ratio(brier_sums(check_selective(confidence, correctness, weight, abstained)))


def bin_sums(columns: SelectiveColumns, n_bins: int) -> Tensor:
    """Weight of the answered rows and the gap of each bin, (1 + M,); see :func:`expected_calibration_error`."""
    rows = check_answered_probability(columns)
    gaps = sums_in_cells(bins_of(rows.confidence, n_bins), n_bins, rows.weight * (rows.confidence - rows.correctness))
    return torch.cat([rows.weight.sum().reshape(1), gaps[0]])


def bins_of(confidence: Tensor, n_bins: int) -> Tensor:
    """The bin of equal width that each probability is in, int64, (N,)."""
    edges = torch.arange(1, n_bins, dtype=torch.float64) / n_bins
    return torch.bucketize(confidence, edges, right=True)


def ece_of(sums: Tensor) -> Tensor:
    """ECE from the sums of :func:`bin_sums`, (..., 1 + M); 0 / 0 is NaN where nothing was answered."""
    return sums[..., 1:].abs().sum(-1) / sums[..., 0]


def brier_sums(columns: SelectiveColumns) -> Tensor:
    """Weight of the answered rows and their squared gaps, (2,); see :func:`brier_score`."""
    rows = check_answered_probability(columns)
    return torch.stack([rows.weight.sum(), (rows.weight * (rows.confidence - rows.correctness).square()).sum()])


def gap_blocks(columns: SelectiveColumns) -> TiedBlocks:
    """Gaps between confidence and accuracy of the answered rows, accumulated over tied blocks."""
    rows = check_answered_probability(columns)
    return tied_blocks(rows.confidence, rows.confidence - rows.correctness, rows.weight)


def ace_of(gaps: TiedBlocks, n_bins: int) -> Tensor:
    """ACE from accumulated gaps; see :func:`adaptive_calibration_error`."""
    if gaps.threshold.numel() == 0:
        return torch.tensor(float("nan"), dtype=torch.float64)
    answered = gaps.answered[-1]
    edges = np.arange(n_bins + 1) / n_bins
    share, gap = with_origin(gaps.answered / answered), with_origin(gaps.value / answered)
    return torch.from_numpy(np.interp(edges, share.numpy(), gap.numpy())).diff().abs().sum()


def check_bins(n_bins: int) -> int:
    """A whole number of bins, at least one."""
    if isinstance(n_bins, bool) or int(n_bins) != n_bins or n_bins < 1:
        raise ValueError(f"Expected `n_bins` to be a whole number of at least 1 but got {n_bins}; 15 is usual")
    return int(n_bins)
