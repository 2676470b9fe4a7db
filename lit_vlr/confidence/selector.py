"""A learned confidence: a small network that reads what the model was about to say and predicts whether it is right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lit_vlr.confidence.base import Confidence, scores_of_candidates
from lit_vlr.errors import UserError
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.types import Batch, VLMOutput

LOGIT_STATISTICS = 8
"""Numbers that the logits are summed up in: the five best log-probabilities, margin, entropy and scale."""


class Selector(Confidence):
    r"""Predicted probability that the answer is right, :math:`\sigma(z)` in [0, 1].

    It reads the model at the moment before it answers: the mean projected image feature, the hidden state at the last
    token of the prompt, and what the logits there look like. So it needs no further token of the answer, and nothing of
    it depends on which answer a batch was laid out with. It is trained by the objective `TrainSelector`; without
    training it is noise, and `SelectiveVLM` refuses to fit it with another objective.

    Each of the three is brought to one width by a layer of its own, then two more layers judge them together. The
    original reads, besides, the fused features of its answer classifier; a language model's last hidden state is one.

    Args:
        width: units of each layer.
        dropout: on the hidden units, in [0, 1).

    Raises:
        UserError: if an argument is out of range.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 4 (Selector).
    """

    def __init__(self, width: int = 256, dropout: float = 0.1) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"Expected `width` of at least 1 but got {width}")
        if not 0 <= dropout < 1:
            raise UserError(f"Expected `dropout` in [0, 1) but got {dropout}")
        self.width, self.dropout = width, dropout
        self.readers: nn.ModuleList | None = None
        self.judge: nn.Sequential | None = None

    def __repr__(self) -> str:
        """Without the layers: it names the score in checkpoints and threshold files, also before there are any."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def prepare(self, family: ModelFamily) -> None:
        """Make the layers: their sizes are the model's. A second call does nothing."""
        if self.readers is not None:
            return
        sizes = (family.hidden_size, family.hidden_size, LOGIT_STATISTICS)
        with torch.random.fork_rng():  # whoever trains without a selector draws the same numbers
            # Hidden states of language models differ in scale by orders of magnitude: each is normalised first.
            self.readers = nn.ModuleList(
                nn.Sequential(nn.LayerNorm(size), nn.Linear(size, self.width), nn.GELU()) for size in sizes
            )
            self.judge = nn.Sequential(
                nn.Dropout(self.dropout),
                nn.Linear(3 * self.width, self.width),
                nn.GELU(),
                nn.Dropout(self.dropout),
                nn.Linear(self.width, 2),
            )
        self.train(self.training)  # new layers are in training mode, whatever this is in

    def logits(self, output: VLMOutput, n: int) -> Tensor:
        """Right and wrong, (n, 2), float32; gradients reach the selector's layers and stop there."""
        return self._judged(tuple(feature.detach() for feature in selector_features(output, n)))

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Log of the confidence for the likeliest answer, less for others by as much as they are less likely, (B, K).

        A selector judges the question, whatever the answer: so the answer that is given has its score, and an attack
        has to win over both the model and the selector. Two passes.
        """
        likely = family.answer_log_probs(batch, answers)
        sure = self._judged(selector_features(family(batch), len(batch)))[:, 0]
        return scores_of_candidates(nn.functional.logsigmoid(sure), likely)

    def _judged(self, features: Sequence[Tensor]) -> Tensor:
        if self.readers is None or self.judge is None:
            raise RuntimeError("Expected a prepared selector; call `prepare` with the loaded model first")
        # In bfloat16 the confidence would have steps of 1/256 and be 1 above a logit of about 6: many ties, and
        # thresholds that mean something else wherever the same model is asked without autocast.
        with torch.autocast(features[0].device.type, enabled=False):
            return self.judge(torch.cat([read(x) for read, x in zip(self.readers, features, strict=True)], dim=1))  # type: ignore[no-any-return]

    @torch.no_grad()
    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,); one more pass over the prompts."""
        return self.logits(family(batch), len(batch))[:, 0].sigmoid()


def selector_features(output: VLMOutput, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """What a selector reads, in float32: image (n, D), question (n, D), logits (n, LOGIT_STATISTICS)."""
    statistics = logit_statistics(output.answer_logits[output.first_places(n)].float())
    return output.image_features.float(), output.question_features.float(), statistics


def logit_statistics(logits: Tensor) -> Tensor:
    """Five best log-probabilities, margin of the best two, entropy, and log of the scale of the logits, (n, 8).

    The scale is their standard deviation: all others do not change where the logits are multiplied and softened alike,
    and a model that is at a loss often has small ones. A vocabulary of fewer than five repeats its last.
    """
    log_probs = logits.log_softmax(-1)
    best = log_probs.topk(min(5, logits.shape[-1])).values
    best = torch.cat([best, best[:, -1:].expand(-1, 5 - best.shape[1])], dim=1)
    probs = log_probs.exp()
    entropy = -(probs * log_probs.masked_fill(probs == 0, 0.0)).sum(-1)
    margin = best[:, 0].exp() - best[:, 1].exp()
    # Tokens that are forbidden have logit -inf, and no scale.
    finite = logits.isfinite()
    mean = logits.where(finite, 0.0).sum(-1) / finite.sum(-1)
    spread = ((logits - mean[:, None]).where(finite, 0.0).square().sum(-1) / finite.sum(-1)).sqrt()
    scale = spread.clamp(min=1e-6).log()
    return torch.cat([best.clamp(min=-100.0), torch.stack([margin, entropy, scale], dim=1)], dim=1)
