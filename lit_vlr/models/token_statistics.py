"""What the scores of each generated token say, noted while generating: a few numbers a token, never (B, T, V)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LogitsProcessor


class Steps(NamedTuple):
    """One number a token each, (B, T), float32; columns behind the end token are noise and to be masked.

    Attributes:
        log_probs: log-probability of the chosen token.
        entropy: -Σ p log p over the vocabulary, in nats.
        margin: probability of the best token minus that of the second best.
    """

    log_probs: Tensor
    entropy: Tensor
    margin: Tensor


class TokenStatistics(LogitsProcessor):
    """Watches one ``generate(do_sample=False)`` call; draws the tokens if it is given draws. Put it last.

    At Qwen's vocabulary of 152 thousand, 20 tokens of full scores are 12 MB a sample; this keeps 240 bytes. Everything
    is computed in float32, whatever the scores are in, from log-probabilities: so it does not change if a constant
    is added to the scores.

    transformers' own sampling takes every row's randomness from one stream, so that a row's answer would depend on the
    rows before it. Here each row brings its own numbers and the token is read off the inverse of the cumulative
    distribution; the scores that are returned leave only that token.

    Args:
        draws: uniform in [0, 1), (B, T), one a token; None leaves the scores as they are, which is greedy.
        temperature: scores are divided by it before drawing. The statistics stay those of the model, undivided.
        first_ranks: begin each row with its token of this rank, (B,), 0 being the likeliest; greedy from there on, and
            not together with draws. None begins greedily too.
    """

    def __init__(
        self, draws: Tensor | None = None, temperature: float = 1.0, first_ranks: Tensor | None = None
    ) -> None:
        self._draws = draws
        self._temperature = temperature
        self._first_ranks = first_ranks
        self._steps: list[Steps] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Note one step."""
        logits = scores.float()
        chosen = self._choose(logits)
        is_free = self._draws is None and (self._first_ranks is None or len(self._steps) > 0)
        log_probs = logits.log_softmax(-1)  # takes the maximum off first: exactly the same after a shift
        probs = log_probs.exp()
        best, second = probs.topk(2).values.unbind(-1)
        self._steps.append(
            Steps(
                # `log_probs` at the token would differ in the last bit from what earlier runs recorded.
                log_probs=logits.gather(1, chosen[:, None])[:, 0] - torch.logsumexp(logits, -1),
                # Tokens that a processor forbade have score -inf, and 0 · -inf is no number.
                entropy=-(probs * log_probs.masked_fill(probs == 0, 0.0)).sum(-1),
                margin=best - second,
            )
        )
        if is_free:
            return scores
        return torch.full_like(scores, float("-inf")).scatter(1, chosen[:, None], 0.0)

    def _choose(self, logits: Tensor) -> Tensor:
        """The token of each row, (B,)."""
        if self._draws is not None:
            return self._draw(logits, self._draws[:, len(self._steps)])
        if self._first_ranks is not None and not self._steps:
            ranks = self._first_ranks[:, None]
            return logits.topk(int(ranks.max()) + 1).indices.gather(1, ranks)[:, 0]
        return logits.argmax(-1)

    def _draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        """The first token whose cumulative probability exceeds the draw, so never one of probability 0."""
        cumulative = (logits.double() / self._temperature).softmax(-1).cumsum(-1)
        wanted = uniform.to(cumulative)[:, None] * cumulative[:, -1:]  # the last is 1 up to rounding
        return torch.searchsorted(cumulative, wanted, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)

    def steps(self) -> Steps:
        """All steps so far, one column each."""
        return Steps(*(torch.stack(column, 1) for column in zip(*self._steps, strict=True)))
