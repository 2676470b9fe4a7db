"""The records that travel through the package: Sample (with its Task) -> Batch -> VLMOutput -> Prediction.

Shape suffixes used across the package: B samples, T tokens, N answer tokens of the whole batch, V vocabulary,
D hidden size, H and W pixels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:  # these records import torch and nothing of the package
    from lit_vlr.functional._vqa_normalization import VQADialect


@runtime_checkable
class PictureSource(Protocol):
    """A picture that is made or fetched when it is needed; small to pickle, so that workers can be sent it."""

    def pixels(self, uid: str) -> np.ndarray:
        """The picture as (H, W, 3) of uint8, the same at each call; ``uid`` is whose it is, for errors."""


ImageRef: TypeAlias = Path | np.ndarray | PictureSource
"""A picture as a file, as an array (H, W, 3) of uint8, or as what makes one. Never a URL."""
Box: TypeAlias = tuple[float, float, float, float]
"""Corners (x1, y1, x2, y2) in pixels of the picture, x1 < x2 and y1 < y2."""


class AnswerMetric(ABC):
    """What an answer is worth; see `lit_vlr.tasks`."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What tables call it."""

    @abstractmethod
    def score(self, answer: str, sample: Sample, dialect: VQADialect) -> float | None:
        """The worth of one answer in [0, 1]; None where one answer alone has none, or the sample has no labels."""

    def labelled(self, sample: Sample) -> bool:
        """Whether there is something to compare an answer with."""
        return bool(sample.answers)

    @abstractmethod
    def summary(self, answers: Sequence[str], samples: Sequence[Sample], dialect: VQADialect) -> dict[str, float]:
        """The benchmark's own figures for answers to a whole labelled set, in row order."""


@dataclass(frozen=True)
class Task:
    """How a benchmark asks and scores.

    Attributes:
        metric: what an answer is worth.
        prompt: the text around the question, in which ``{question}`` and ``{options}`` stand for the sample's; the
            family puts its own template, with the picture, around all of it.
        max_new_tokens: bound on a generated answer.
    """

    metric: AnswerMetric
    prompt: str = "{question}"
    max_new_tokens: int = 10


@dataclass(frozen=True, eq=False)
class Sample:
    """One question on one picture, as a reader returns it.

    Attributes:
        uid: ``dataset/split/question_id``, unique within a run.
        image: where the picture is, or the picture.
        image_id: what questions on one picture share; intervals are resampled by it.
        question: the question as asked.
        answers: what the annotators said, in their order; empty where the split has no labels.
        metadata: whatever else the benchmark says of the sample (``question_type``, …); JSON-serialisable.
        choices: options of a multiple-choice question, A first; ``answers`` then holds the letter of the right one.
        box: the region that is asked for, where there is one.
        task: how the sample is asked and scored; None is VQA accuracy and the module's own settings.
        image_source: within which ``image_id`` says which picture it is (``coco``, …); empty where that is not known.
    """

    uid: str
    image: ImageRef
    image_id: str
    question: str
    answers: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    choices: tuple[str, ...] = ()
    box: Box | None = None
    task: Task | None = None
    image_source: str = ""

    @property
    def asked(self) -> str:
        r"""The question in the words of its task, with its options.

        >>> asks = Task(metric=None, prompt="{question}\n{options}\nLetter:")
        >>> print(Sample("u", Path("i"), "i", "What {colour}?", choices=("red", "blue"), task=asks).asked)
        What {colour}?
        A. red
        B. blue
        Letter:
        """
        if self.task is None:
            return self.question
        options = "\n".join(f"{letter}. {text}" for letter, text in zip(ascii_uppercase, self.choices, strict=False))
        before, _, after = self.task.prompt.partition("{question}")  # not `format`: a question may hold braces
        return before.replace("{options}", options) + self.question + after.replace("{options}", options)

    def as_asked(self) -> Sample:
        """The same sample with `asked` as its question: what families lay out, scores ask about and predictions keep.

        Doing it twice changes nothing.
        """
        if self.task is None or self.task.prompt == "{question}":
            return self
        return replace(self, question=self.asked, task=replace(self.task, prompt="{question}"))


@dataclass
class Batch:
    """A collated batch; entries can also be read and written as ``batch["images"]``.

    It is the one record that is *not* frozen: a Lightning callback can change a batch only in place, and the
    adversarial callback has to replace ``images``.

    Attributes:
        images: float32 pixels in [0, 1], **not normalised**, (B, 3, H, W); or a list of (3, H_i, W_i).
        input_ids: prompt and answer, right-padded, (B, T).
        attention_mask: 1 on real tokens, (B, T).
        labels: token ids on the answer (end token included), -100 elsewhere, (B, T).
        prompt_ids: prompt alone, **left-padded**, for generation, (B, T').
        prompt_mask: 1 on real tokens, (B, T').
        samples: the samples, in row order.
        targets: the answer that each row is trained on, in row order.
        attacked: which rows' pictures adversarial training has changed, (B,), bool; None where nobody attacked.
    """

    images: Tensor | list[Tensor]
    input_ids: Tensor
    attention_mask: Tensor
    labels: Tensor
    prompt_ids: Tensor
    prompt_mask: Tensor
    samples: tuple[Sample, ...]
    targets: tuple[str, ...]
    attacked: Tensor | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def uids(self) -> tuple[str, ...]:
        """What tells a sample from all others, in row order; also read as ``batch["uids"]``."""
        return tuple(sample.uid for sample in self.samples)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - the entries have different types
        return self.uids if key == "uids" else getattr(self, self._field(key))

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401
        setattr(self, self._field(key), value)

    def _field(self, key: str) -> str:
        if key not in {f.name for f in fields(self)}:
            raise KeyError(f"Expected one of {[f.name for f in fields(self)]} but got {key!r}")
        return key

    def with_images(self, images: Tensor | list[Tensor]) -> Batch:
        """The same questions on other pictures."""
        return replace(self, images=images)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Move every tensor; Lightning calls this instead of walking the record."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Every tensor in page-locked memory; a DataLoader calls this, and pins nothing of a record without it."""
        return self._with_tensors(lambda tensor: tensor.pin_memory())

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> Batch:
        def changed(value: Any) -> Any:  # noqa: ANN401
            if isinstance(value, Tensor):
                return change(value)
            if isinstance(value, list):
                return [changed(v) for v in value]
            return value

        return replace(self, **{f.name: changed(getattr(self, f.name)) for f in fields(self)})


@dataclass(frozen=True)
class VLMOutput:
    """What a family's forward pass returns: the answer positions only, never full-sequence logits.

    Attributes:
        answer_logits: logits that predict the answer tokens, (N, V), in row order.
        answer_labels: the answer tokens, (N,).
        answer_rows: the batch row of each answer token, (N,).
        answer_hidden: last hidden state at those positions, (N, D).
        image_features: mean of the projected image features of each row, (B, D).
        question_features: last hidden state at the last prompt token of each row, (B, D).
    """

    answer_logits: Tensor
    answer_labels: Tensor
    answer_rows: Tensor
    answer_hidden: Tensor
    image_features: Tensor
    question_features: Tensor

    def first_places(self, n: int) -> Tensor:
        """Where among the N answer tokens each of ``n`` samples begins, (n,); each has at least its end token."""
        return torch.searchsorted(self.answer_rows, torch.arange(n, device=self.answer_rows.device))


@dataclass(frozen=True)
class Prediction:
    """One answered (or declined) question: a line of a predictions JSONL file.

    Attributes:
        uid: the sample's.
        image_id: the sample's.
        question: the sample's.
        answer: the raw generated text, kept even when abstained.
        confidence: higher is surer; its range is the score's, [0, 1] for all built-in ones but negative entropy.
        abstained: whether ``confidence`` is below the threshold in force, or the answer declines in words.
        accuracy: soft VQA accuracy in [0, 1] of ``answer``; None where there are no labels.
        answers: the annotators' answers.
        metadata: the sample's.
        calibrated: the accuracy to expect, in [0, 1], which the calibrator of a threshold file makes of ``confidence``;
            None without one. ``confidence`` itself stays what the model said.
        declined: whether the answer declines in words under a confidence for which that is no answer
            (`lit_vlr.confidence.ExplicitAbstention`): no threshold gives it, and none is fitted on it.
    """

    uid: str
    image_id: str
    question: str
    answer: str
    confidence: float
    abstained: bool
    accuracy: float | None
    answers: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    calibrated: float | None = None
    declined: bool = False

    def to(self, device: torch.device | str) -> Prediction:
        """Itself: Lightning moves what `predict_step` returns, and takes a frozen dataclass without `to` apart."""
        return self
