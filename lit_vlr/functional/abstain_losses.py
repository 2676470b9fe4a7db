r"""Losses that teach when not to answer: a selector's, and two that give the classifier one more class, to abstain.

Convention: logits have V + 1 columns, one of which (``abstain``, the last by default) is no answer. Of a language model
that column is a spare token, and the losses are taken where it would stand. Every loss comes row by row, (B,), in the
dtype of the logits (at least float32), and is differentiable; each is computed from log-probabilities, so that adding a
constant to a row of logits changes nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from lit_vlr.functional._validation import check_number


def selector_loss(logits: Tensor, correctness: Tensor) -> Tensor:
    r"""Binary cross-entropy of a selector's two outputs against soft correctness, summed over both.

    .. math:: \ell = -\sum_{k \in \{0, 1\}} t_k \log \sigma(z_k) + (1 - t_k) \log(1 - \sigma(z_k)), \quad t = (a, 1 - a)

    The least loss is at :math:`\sigma(z_0) = a = 1 - \sigma(z_1)`: twice the entropy of a, not 0, where a is soft. The
    two outputs are redundant; the first, through a sigmoid, is the confidence.

    Args:
        logits: right and wrong, (B, 2), floating point.
        correctness: soft accuracies a in [0, 1], (B,); no gradient is taken.

    Returns:
        The loss of each row, (B,).

    Raises:
        TypeError: for logits that are no floating-point numbers.
        ValueError: for other shapes, or correctness outside [0, 1].

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 4 (Selector).

    Example:
        >>> selector_loss(torch.zeros(1, 2), torch.tensor([0.3]))  # 2 ln 2
        tensor([1.3863])
    """
    scores = _check_logits(logits)
    if scores.shape[1] != 2:
        raise ValueError(f"Expected `logits` of shape (B, 2), right and wrong, but got {tuple(scores.shape)}")
    accuracy = _check_rows("correctness", correctness, scores, "pass soft accuracies")
    targets = torch.stack([accuracy, 1 - accuracy], dim=1)
    return F.binary_cross_entropy_with_logits(scores, targets, reduction="none").sum(1)


def deep_gamblers_loss(logits: Tensor, labels: Tensor, payoff: float = 2.2, abstain: int = -1) -> Tensor:
    r"""Log-wealth of a gambler who bets on the answers and may keep a share back.

    .. math:: \ell = -\log\left(p_y + \frac{p_\text{abs}}{o}\right)

    With a payoff o close to 1 keeping back costs nothing, and with :math:`o \to \infty` this is cross-entropy. It pays
    to abstain where no answer is likelier than 1/o.

    Args:
        logits: V answers and abstaining, (B, V + 1), floating point.
        labels: the right answers, whole numbers, never ``abstain``, (B,).
        payoff: o, above 1.
        abstain: the column that abstains.

    Returns:
        The loss of each row, (B,).

    Raises:
        TypeError: for logits that are no floating-point numbers.
        ValueError: for other shapes, labels out of range or equal to ``abstain``, or a payoff of 1 or less.

    Reference:
        Liu et al., "Deep Gamblers: Learning to Abstain with Portfolio Theory", NeurIPS 2019, Section 4. Cross-entropy
        comes first there, for some epochs: from the start on, keeping everything back is a trap.

    Example:
        Probabilities 1/3 each, and 1/3 + 1/6 with a payoff of 2:

        >>> deep_gamblers_loss(torch.zeros(1, 3), torch.tensor([0]), payoff=2.0)
        tensor([0.6931])
    """
    scores, column, right = _check_abstaining(logits, labels, abstain)
    check_number("payoff", payoff, 1, math.inf, "abstaining has to cost something; 2.2 is usual", low_open=True)
    log_probs = scores.log_softmax(1)
    bet = log_probs.gather(1, right[:, None])[:, 0]
    return -torch.logaddexp(bet, log_probs[:, column] - math.log(payoff))


def self_adaptive_loss(logits: Tensor, labels: Tensor, target: Tensor, abstain: int = -1) -> Tensor:
    r"""Cross-entropy that is shared between the right answer and abstaining, as the model itself has come to believe.

    .. math:: \ell = -t \log p_y - (1 - t) \log p_\text{abs}

    with t from :func:`self_adaptive_target`. At t = 1 this is cross-entropy over V + 1 classes.

    Args:
        logits: V answers and abstaining, (B, V + 1), floating point.
        labels: the right answers, whole numbers, never ``abstain``, (B,).
        target: t, in [0, 1], (B,); no gradient is taken.
        abstain: the column that abstains.

    Returns:
        The loss of each row, (B,).

    Raises:
        TypeError: for logits that are no floating-point numbers.
        ValueError: for other shapes, labels out of range or equal to ``abstain``, or t outside [0, 1].

    Reference:
        Huang, Zhang and Zhang, "Self-Adaptive Training: beyond Empirical Risk Minimization", NeurIPS 2020, Section 4
        (selective classification).

    Example:
        >>> self_adaptive_loss(torch.zeros(1, 4), torch.tensor([2]), torch.tensor([0.5]))  # ln 4, whatever t is
        tensor([1.3863])
    """
    scores, column, right = _check_abstaining(logits, labels, abstain)
    share = _check_rows("target", target, scores, "keep what `self_adaptive_target` returned")
    log_probs = scores.log_softmax(1)
    return -share * log_probs.gather(1, right[:, None])[:, 0] - (1 - share) * log_probs[:, column]


def self_adaptive_target(
    previous: Tensor, logits: Tensor, labels: Tensor, momentum: float = 0.9, abstain: int = -1
) -> Tensor:
    r"""How far a row's answer is believed in after one more look at it.

    .. math:: t \leftarrow m\,t + (1 - m)\,\frac{p_y}{1 - p_\text{abs}}

    A moving average of the probability of the right answer *among the answers*; it starts at 1 and is kept for each
    training sample between epochs.

    Args:
        previous: t, in [0, 1], (B,).
        logits: V answers and abstaining, (B, V + 1), floating point; no gradient is taken.
        labels: the right answers, whole numbers, never ``abstain``, (B,).
        momentum: m, in [0, 1].
        abstain: the column that abstains.

    Returns:
        The new t, (B,), without a gradient.

    Raises:
        TypeError: for logits that are no floating-point numbers.
        ValueError: for other shapes, labels out of range or equal to ``abstain``, or numbers outside [0, 1].

    Reference:
        Huang, Zhang and Zhang, "Self-Adaptive Training: beyond Empirical Risk Minimization", NeurIPS 2020, Algorithm 1.

    Example:
        >>> self_adaptive_target(torch.ones(1), torch.zeros(1, 3), torch.tensor([0]))  # .9 + .1 / 2
        tensor([0.9500])
    """
    scores, column, right = _check_abstaining(logits, labels, abstain)
    share = _check_rows("previous", previous, scores, "keep what this function returned; 1 at first")
    check_number("momentum", momentum, 0, 1, "0.9 is usual")
    among = scores.detach().index_fill(1, torch.tensor([column], device=scores.device), -math.inf).log_softmax(1)
    return momentum * share + (1 - momentum) * among.gather(1, right[:, None])[:, 0].exp()


def _check_logits(logits: Tensor) -> Tensor:
    """Floating-point logits (B, C), B >= 1, in float32 at least."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        kind = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise TypeError(f"Expected `logits` to be a floating-point tensor but got {kind}; gradients flow through it")
    if logits.ndim != 2 or len(logits) == 0:
        raise ValueError(f"Expected `logits` of shape (B, C) with B >= 1 but got {tuple(logits.shape)}")
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _check_rows(name: str, value: Tensor, scores: Tensor, remedy: str) -> Tensor:
    """Numbers in [0, 1], one a row, detached."""
    if value.shape != scores.shape[:1]:
        raise ValueError(f"Expected `{name}` of shape {tuple(scores.shape[:1])} but got {tuple(value.shape)}; {remedy}")
    rows = value.detach().to(scores)
    outside = (~((rows >= 0) & (rows <= 1))).nonzero()
    if outside.numel():
        first = int(outside[0])
        raise ValueError(f"Expected `{name}` in [0, 1] but got {float(rows[first]):g} at index {first}; {remedy}")
    return rows


def _check_abstaining(logits: Tensor, labels: Tensor, abstain: int) -> tuple[Tensor, int, Tensor]:
    """Logits, the column that abstains counted from the left, and labels of answers."""
    scores = _check_logits(logits)
    n_columns = scores.shape[1]
    if not -n_columns <= abstain < n_columns:
        raise ValueError(f"Expected `abstain` to be one of {n_columns} columns but got {abstain}")
    column = abstain % n_columns
    if labels.shape != scores.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"Expected `labels` to be whole numbers of shape {tuple(scores.shape[:1])} but got {labels.dtype} of "
            f"{tuple(labels.shape)}; give the index of each right answer"
        )
    wrong = ((labels < 0) | (labels >= n_columns) | (labels == column)).nonzero()
    if wrong.numel():
        first = int(wrong[0])
        raise ValueError(
            f"Expected `labels` to be answers in [0, {n_columns}) other than the abstaining {column} but got "
            f"{int(labels[first])} at index {first}; abstaining is never the right answer here"
        )
    return scores, column, labels
