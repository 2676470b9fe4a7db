"""Training a selector: along with the model, or afterwards."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from lit_vlr.confidence import Confidence, Selector
from lit_vlr.errors import UserError
from lit_vlr.functional import selector_loss
from lit_vlr.functional._validation import check_number
from lit_vlr.functional._vqa_normalization import VQADialect
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective, prepared
from lit_vlr.objectives.peer_labels import PeerLabels, answer_accuracy
from lit_vlr.objectives.sft import SFT
from lit_vlr.types import Batch, VLMOutput

MOST_ATTACKED = 64
"""Training rows without a clean one before a selector that learns from clean rows alone is refused."""


class TrainSelector(Objective):
    r"""A model's own objective, plus the cross-entropy of the selector against the accuracy of the greedy answer.

    .. math:: \ell = \ell_\text{model} + \lambda\, \ell_\text{selector}

    Features are detached: the selector learns what the model shows anyway, and the model does not learn to please it.
    So the model's gradient is that without a selector, whatever :math:`\lambda` is, and without dropout in the model
    (``lora.dropout`` 0) it is trained exactly as without one. The selector's own dropout draws from the same random
    stream: a model with dropout gets other masks from the second step on, of the same distribution. Gradient clipping
    looks at the norm of all gradients together. Accuracies are those of `teacher_forced_accuracy`, so that nothing is
    generated while training.

    Args:
        model: what the model itself is trained with; None is `SFT`.
        weight: :math:`\lambda`, above 0.
        train_model: also train the model. False trains the selector afterwards, on a model that stays as it is.
        dialect: of VQA accuracy.
        labels: predictions of the training questions by models that were not trained on them ("peers"), as `lit-vlr
            test` writes them; their accuracies are what the selector learns, instead of the model's own on what it is
            being trained on, which soon is right about everything. None takes the model's own. A trained model is
            used without them: a file that is gone is missed in training only.
        robust: under adversarial training the selector sees the same pictures as the model, attacked ones included, and
            learns to doubt those too ("robust selector"). False trains it on the rows that are clean: of mode
            ``mixed``, for where every row is attacked none is left, and training is refused.

    Raises:
        ValueError: if the weight is out of range.
        UserError: if the labels cannot be used; when training starts, if the confidence is no `Selector`; and in
            training, if there are no labels, a question has none, or every row is attacked and ``robust`` is False.

    Reference:
        Whitehead et al., "Reliable Visual Question Answering: Abstain Rather Than Answer Incorrectly", ECCV 2022,
        Section 4; see :func:`~lit_vlr.functional.selector_loss`. There the selector is trained afterwards. Labels of
        peers: Dancette et al., "Improving Selective Visual Question Answering by Learning from Your Peers", CVPR 2023,
        Section 3.
    """

    def __init__(
        self,
        model: Objective | None = None,
        weight: float = 1.0,
        train_model: bool = True,
        dialect: VQADialect = "no_skip",
        labels: Path | None = None,
        robust: bool = True,
    ) -> None:
        super().__init__()
        self.model = SFT() if model is None else model
        self.weight = check_number("weight", weight, 0, float("inf"), "1 is usual", low_open=True)
        self.train_model = train_model
        self.dialect: VQADialect = dialect
        self.labels = None if labels is None else PeerLabels(Path(labels))
        self.robust = robust
        self._attacked: int | None = 0  # training rows so far, all of them attacked; None once one was clean
        # In a tuple, so that torch does not take them for parts of the objective: each is saved once, where it belongs.
        self._prepared: tuple[ModelFamily, Selector] | None = None

    def prepare(self, family: ModelFamily, confidence: Confidence) -> None:
        """Remember what is trained."""
        scorer = confidence.scorer
        if not isinstance(scorer, Selector):
            raise UserError(
                f"Expected the confidence `Selector` with the objective TrainSelector but got {confidence!r}; add "
                "--config configs/confidence/selector.yaml"
            )
        self.model.prepare(family, confidence)
        self._prepared = family, scorer

    def trains(self, confidence: Confidence) -> bool:
        """It is what it is there for."""
        return isinstance(confidence.scorer, Selector)

    def forward(self, output: VLMOutput, batch: Batch) -> Tensor:
        """The loss of each sample, (B,)."""
        family, selector = prepared(self._prepared)
        accuracy = answer_accuracy(self.labels, self.training, output, batch, family, self.dialect)
        loss = self.weight * selector_loss(selector.logits(output, len(batch)), accuracy)
        if not self.robust:
            self._expect_clean(batch)
            loss = loss if batch.attacked is None else loss * ~batch.attacked
        return loss + self.model(output, batch) if self.train_model else loss

    def _expect_clean(self, batch: Batch) -> None:
        """Refuse to train on where nothing is left to learn from.

        A small batch of mode ``mixed`` may be attacked in all its rows, so several of them are looked at.

        Raises:
            UserError: if training begins with `MOST_ATTACKED` attacked rows, and none is clean.
        """
        if not self.training or self._attacked is None:
            return
        if batch.attacked is None or not batch.attacked.all():
            self._attacked = None
            return
        self._attacked += len(batch)
        if self._attacked >= MOST_ATTACKED:
            raise UserError(
                f"Expected a clean row for `robust: false` but all of the first {self._attacked} rows of training are "
                "attacked, and the selector learns from none; attack in mode `mixed`, or set `robust: true`"
            )
