"""R-Tuning: the model is taught to say, after an answer, whether it was sure of it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from lit_vlr.confidence import Confidence, PTrue
from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_number
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.peer_labels import PeerLabels, answer_accuracy
from lit_vlr.objectives.sft import SFT
from lit_vlr.types import Batch, VLMOutput


class RTuning(Objective):
    r"""A model's own objective, plus cross-entropy of "sure" or "unsure" after the true answer.

    .. math:: \ell = \ell_\text{model} + \lambda\, \text{BCE}(p_\text{sure}(a^*), \text{accuracy}(\hat a))

    The *true* answer :math:`a^*` is shown, and the model says that it is sure where its own greedy answer
    :math:`\hat a` is right. Asked about its own answer, it then says whether it would have known. Both the answer and
    the judgement train the whole model. `SelfEvaluation` judges the generated answer instead, with an adapter of its
    own.

    Args:
        model: what the model itself is trained with; None is `SFT`.
        weight: :math:`\lambda`, above 0.
        labels: predictions of the training questions by the model *before* its training, as the paper has it, or by
            peers (see `PeerLabels`). None takes the accuracy of the model as it is (`teacher_forced_accuracy`), which
            changes while it learns.
        dialect: of VQA accuracy.

    Raises:
        ValueError: if the weight is out of range.
        UserError: if the labels cannot be used; when training starts, if the confidence is no `PTrue` without an
            adapter of its own.

    Reference:
        Zhang et al., "R-Tuning: Instructing Large Language Models to Say 'I Don't Know'", NAACL 2024, section 3. There
        sure or unsure is a sentence after the answer, and right or wrong is decided once; here it is one token after
        the confidence's prompt, and soft accuracies are soft targets.
    """

    def __init__(
        self,
        model: Objective | None = None,
        weight: float = 1.0,
        labels: Path | None = None,
        dialect: VQADialect = "no_skip",
    ) -> None:
        super().__init__()
        self.model = SFT() if model is None else model
        self.weight = check_number("weight", weight, 0, float("inf"), "1 is usual", low_open=True)
        self.labels = None if labels is None else PeerLabels(Path(labels))
        self.dialect: VQADialect = dialect
        self._prepared: tuple[ModelFamily, PTrue] | None = None  # in a tuple: no part of it, see `TrainSelector`

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Remember how the model is asked."""
        scorer = confidence.scorer
        if not isinstance(scorer, PTrue) or scorer.adapter is not None:
            raise UserError(
                "Expected the confidence `PTrue` without an `adapter` for the objective RTuning but got "
                f"{confidence!r}; add --config configs/confidence/r_tuning.yaml"
            )
        self.model.prepare(family, confidence)
        self._prepared = family, scorer

    def trains(self, confidence: Confidence) -> bool:
        """It teaches the model to answer the confidence's question."""
        return isinstance(confidence.scorer, PTrue)

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        family, confidence = prepared(self._prepared)
        right = answer_accuracy(self.labels, self.training, output, batch, family, self.dialect)
        odds = confidence.log_odds(batch.targets, family, batch)
        judged = F.binary_cross_entropy_with_logits(odds, right, reduction="none")
        loss: Tensor = self.model(output, batch) + self.weight * judged
        return loss
