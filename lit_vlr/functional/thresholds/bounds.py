"""The statistics under the guarantees: an exact binomial bound, and a p-value for losses in [0, 1]."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, betaincinv, rel_entr

from lit_vlr.functional.operating_point import RISK_TOLERANCE
from lit_vlr.functional.thresholds.choice import check_certifiable_risk, check_delta


def binomial_upper_bound(errors: int, n: int, delta: float) -> float:
    r"""Exact upper confidence bound of an error rate (Clopper-Pearson): at most this with probability 1 - delta.

    .. math:: b: \quad \sum_{j=0}^{k} \binom nj b^j (1 - b)^{n - j} = \delta

    Args:
        errors: k, a whole number; a count, since a rate that is multiplied again may be cut to one less.
        n: trials, at least 1.
        delta: probability of being wrong, in (0, 1).

    Raises:
        ValueError: for counts that are not whole, or not 0 <= k <= n, or ``delta`` outside (0, 1).

    Reference:
        Clopper and Pearson, "The Use of Confidence or Fiducial Limits", Biometrika 1934; Geifman and El-Yaniv,
        "Selective Classification for Deep Neural Networks", NeurIPS 2017, Lemma 3.1.

    Example:
        >>> round(binomial_upper_bound(13, 45, 0.001), 4)
        0.5281
    """
    if errors != int(errors) or n != int(n) or not 0 <= errors <= n or n < 1:
        raise ValueError(f"Expected whole counts 0 <= `errors` <= `n` but got {errors} of {n}; pass counts, not rates")
    check_delta(delta)
    return 1.0 if errors == n else float(betaincinv(errors + 1, n - errors, 1 - delta))


def hoeffding_bentkus_p_value(
    loss: npt.ArrayLike, n: npt.ArrayLike, max_risk: float, *, binary: bool = False
) -> npt.NDArray[np.float64]:
    r"""P-value of the hypothesis that the mean of losses in [0, 1] exceeds ``max_risk``; small where it does not.

    .. math::
        p = \min\left(1,\ e^{-n\, h_1(\min(\hat r, r), r)},\ e\, P[\text{Bin}(n, r) \le \lceil n \hat r \rceil]\right),
        \quad h_1(a, b) = a \ln\frac ab + (1 - a) \ln\frac{1 - a}{1 - b}

    For losses of 0 and 1 the binomial probability alone is the p-value, without the factor e.

    Args:
        loss: sums :math:`n \hat r` of the losses, any shape.
        n: how many losses were summed, of the same shape.
        max_risk: r in (0, 1].
        binary: every loss is 0 or 1.

    Returns:
        P-values of that shape.

    Raises:
        ValueError: for ``max_risk`` outside (0, 1].

    Reference:
        Bates et al., "Distribution-Free, Risk-Controlling Prediction Sets", JACM 2021, Section 3.1 (the two bounds);
        Angelopoulos et al., "Learn then Test", arXiv 2110.01052, Section 2 (as a p-value).

    Example:
        >>> hoeffding_bentkus_p_value([0.0, 1.3], [29, 100], 0.1).round(4)
        array([0.0471, 0.0016])
    """
    check_certifiable_risk(max_risk)
    total, trials = np.asarray(loss, dtype=np.float64), np.asarray(n, dtype=np.int64)
    if max_risk >= 1:  # the hypothesis cannot be true
        return np.zeros_like(total)
    # 1 - .9 in float32 is .1000000238: ten of these are one error, not two.
    errors = np.ceil(total - RISK_TOLERANCE * trials).clip(0, trials)
    binomial: npt.NDArray[np.float64] = bdtr(errors, trials, max_risk)
    if binary:
        return binomial
    risk = np.minimum(total / trials, max_risk)
    hoeffding = np.exp(-trials * (rel_entr(risk, max_risk) + rel_entr(1 - risk, 1 - max_risk)))
    smaller: npt.NDArray[np.float64] = np.minimum(hoeffding, math.e * binomial)
    return np.minimum(1.0, smaller)


def minimum_without_error(max_risk: float, delta: float) -> int:
    r"""How many answers without any error it takes to prove a risk of at most ``max_risk``.

    .. math:: n = \lceil \ln\delta / \ln(1 - r) \rceil, \quad\text{since}\quad (1 - r)^n \le \delta

    Args:
        max_risk: r in (0, 1].
        delta: in (0, 1).

    Raises:
        ValueError: outside these.

    Example:
        >>> [minimum_without_error(r, 0.05) for r in (0.01, 0.05, 0.1, 0.2)]
        [299, 59, 29, 14]
    """
    check_certifiable_risk(max_risk)
    check_delta(delta)
    # The slack keeps ln(1/8) / ln(1/2) at 3.
    return 1 if max_risk >= 1 else max(1, math.ceil(math.log(delta) / math.log1p(-max_risk) - 1e-9))
