"""Self-evaluation: an adapter of its own learns to say whether the model's answers are right."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from lit_vlr.confidence import Confidence, PTrue
from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_number
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.models.generation import evaluating
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.judging import worth
from lit_vlr.objectives.sft import SFT
from lit_vlr.tasks import answer_limits
from lit_vlr.types import Batch, VLMOutput


class SelfEvaluation(Objective):
    r"""A model's own objective, plus the cross-entropy of P(True) against the accuracy of what it has generated.

    .. math:: \ell = \ell_\text{model} + \lambda\, \text{BCE}(p_\text{true}(\hat a), \text{accuracy}(\hat a))

    In every step the greedy answers :math:`\hat a` are generated, and asked about with the prompt of the confidence
    `PTrue`, whose adapter alone learns from it: the model's gradient is that without a judge. With ``lora.dropout``
    above 0 the judge's pass draws masks from the same random stream, so that the model's own are others from the second
    step on. Under adversarial training it answers, and judges, attacked pictures.

    A step takes a generation and a second pass more.

    Args:
        model: what the model itself is trained with; None is `SFT`.
        weight: :math:`\lambda`, above 0.
        max_new_tokens: bound on the answers that are judged, where the sample's task does not bring its own. It should
            be the module's own (``model.max_new_tokens``), so that what is judged is what will be said.
        dialect: of VQA accuracy.

    Raises:
        ValueError: if the weight is out of range.
        UserError: when training starts, if the confidence is no `PTrue` with an adapter.

    Reference:
        Chen et al., "Adaptation with Self-Evaluation to Improve Selective Prediction in LLMs" (ASPIRE), Findings of
        EMNLP 2023, section 4. There the judge is trained afterwards, on sampled answers; here along with the model, on
        its greedy ones, which are those that will be judged.
    """

    def __init__(
        self,
        model: Objective | None = None,
        weight: float = 1.0,
        max_new_tokens: int = 10,
        dialect: VQADialect = "no_skip",
    ) -> None:
        super().__init__()
        if max_new_tokens < 1:
            raise UserError(f"Expected `max_new_tokens` of at least 1 but got {max_new_tokens}")
        self.model = SFT() if model is None else model
        self.weight = check_number("weight", weight, 0, float("inf"), "1 is usual", low_open=True)
        self.max_new_tokens = max_new_tokens
        self.dialect: VQADialect = dialect
        self._prepared: tuple[ModelFamily, PTrue] | None = None  # in a tuple: no part of it, see `TrainSelector`

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Remember what is trained."""
        scorer = confidence.scorer
        if not isinstance(scorer, PTrue) or scorer.adapter is None:
            raise UserError(
                "Expected the confidence `PTrue` with an `adapter` for the objective SelfEvaluation but got "
                f"{confidence!r}; add --config configs/confidence/self_evaluation.yaml"
            )
        self.model.prepare(family, confidence)
        self._prepared = family, scorer

    def trains(self, confidence: Confidence) -> bool:
        """It is what it is there for."""
        return isinstance(confidence.scorer, PTrue)

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        family, confidence = prepared(self._prepared)
        limits = answer_limits(batch.samples, self.max_new_tokens)
        with evaluating(family):
            generated = family.generate(batch, max(limits))
        # What is generated with a lower bound is the beginning; behind an end token there is padding, which is no text.
        texts = [family.answer_text(row[:limit]) for row, limit in zip(generated.tokens.tolist(), limits, strict=True)]
        right = [worth(text, sample, self.dialect) for text, sample in zip(texts, batch.samples, strict=True)]
        odds = confidence.log_odds(texts, family, batch)
        judged = F.binary_cross_entropy_with_logits(odds, odds.new_tensor(right), reduction="none")
        loss: Tensor = self.model(output, batch) + self.weight * judged
        return loss
