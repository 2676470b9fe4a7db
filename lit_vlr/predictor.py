"""Using a fine-tuned model from Python: a picture and a question in, an answer or none out."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image

from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.data.images import load_image, pixels_of
from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.functional.operating_point import check_threshold
from lit_vlr.module import SelectiveVLM
from lit_vlr.threshold_file import read_threshold
from lit_vlr.thresholding import apply_threshold
from lit_vlr.types import Prediction, Sample

Picture: TypeAlias = str | Path | np.ndarray | Image.Image
"""A file (JPEG, PNG, WEBP), an array (H, W, 3) of uint8, or a Pillow image, which is read as its file would be."""


@dataclass(frozen=True)
class SelectivePrediction:
    """One answer, or none.

    There is none where the confidence is below the threshold, and where the model declines in words and its confidence
    takes that for abstaining (`ExplicitAbstention`), whatever the threshold.

    Attributes:
        answer: what the model says; None where it abstains.
        confidence: how sure it is; higher is surer.
        threshold: what it abstains below; -inf withholds nothing that is an answer, +inf everything.
        withheld: what it would have said, or the words that it declines in; None where it answers.
        expected_accuracy: what a calibrator makes of the confidence, in [0, 1]; None without one.
    """

    answer: str | None
    confidence: float
    threshold: float
    withheld: str | None = None
    expected_accuracy: float | None = None

    @classmethod
    def of(cls, prediction: Prediction, threshold: float) -> SelectivePrediction:
        """What a module's own prediction amounts to under its threshold."""
        return cls(
            answer=None if prediction.abstained else prediction.answer,
            confidence=prediction.confidence,
            threshold=threshold,
            withheld=prediction.answer if prediction.abstained else None,
            expected_accuracy=prediction.calibrated,
        )


class SelectivePredictor:
    """Answers questions on pictures, and abstains where it is not sure enough.

    Args:
        module: with its weights and its threshold.

    Example:
        >>> predictor = SelectivePredictor.from_checkpoint("best.ckpt", threshold="threshold.json")  # doctest: +SKIP
        >>> predictor("kitchen.jpg", "What is the pan made of?").answer  # doctest: +SKIP
        'copper'
    """

    def __init__(self, module: SelectiveVLM) -> None:
        self.module = module.eval()
        self.module.configure_model()
        self.applied = ""

    @classmethod
    def from_checkpoint(
        cls, checkpoint: str | Path, threshold: str | Path | float | None = None, device: str = "auto"
    ) -> SelectivePredictor:
        """Load a checkpoint that `lit-vlr fit` made.

        Args:
            checkpoint: a file of <run>/checkpoints; nothing in it is executed.
            threshold: a file of `lit-vlr calibrate`, or a number; None keeps the checkpoint's own.
            device: where to run; ``auto`` takes a GPU if there is one.

        Raises:
            CheckpointError: if the file is missing, damaged, or was not made through the command line.
            UserError: if the threshold file cannot be used, or is of another confidence score.
        """
        # A threshold file is read first: its mistakes are cheaper than loading a model.
        is_number = isinstance(threshold, int | float)
        file = None if threshold is None or is_number else read_threshold(Path(threshold))  # type: ignore[arg-type]
        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        made = cls(load_module(Path(checkpoint), where))
        if file is not None:
            made.applied = apply_threshold(made.module, file)
        elif is_number:
            made.module.threshold.fill_(check_threshold(threshold))  # type: ignore[arg-type]
        return made

    @property
    def threshold(self) -> float:
        """What it abstains below."""
        return float(self.module.threshold)

    def __call__(self, image: Picture, question: str) -> SelectivePrediction:
        """Answer one question.

        Raises:
            ImageError: if the picture cannot be read.
            UserError: if the question is empty.
        """
        return self.answer([(image, question)])[0]

    def answer(self, asked: Sequence[tuple[Picture, str]]) -> list[SelectivePrediction]:
        """Answer several questions in one batch; the others do not change an answer.

        Raises:
            ImageError: if a picture cannot be read.
            UserError: if a question is empty, or none is asked.
        """
        if not asked:
            raise UserError("Expected at least one picture with a question but got none")
        samples = [sample_of(image, question) for image, question in asked]
        batch = self.module.family.collate(samples, [""] * len(samples)).to(self.module.device)
        return [SelectivePrediction.of(prediction, self.threshold) for prediction in self.module.answer(batch)]


def load_module(checkpoint: Path, device: str = "cpu") -> SelectiveVLM:
    """A module with its trained weights and threshold, ready to answer.

    The base is held in the dtype that it was trained in, also where ``compute_dtype: auto`` means another on this
    device: rounded otherwise before it is quantised, it would be another base.

    Args:
        checkpoint: a file of <run>/checkpoints.
        device: where it is loaded, quantised and run.

    Raises:
        CheckpointError: if the file is missing, damaged, or was not made through the command line.
    """
    found = read_checkpoint(checkpoint)
    settings = found.get("hyper_parameters", {})
    if "family" not in settings:
        raise CheckpointError(
            f"Expected a checkpoint that holds its model's settings but {checkpoint} was saved by a module made in "
            "Python; build the module as it was built then and load the weights into it"
        )
    changed = {}
    if "compute_dtype" in found:
        changed["family"] = deepcopy(settings["family"])
        changed["family"]["init_args"]["quantization"]["compute_dtype"] = found["compute_dtype"]
    # A module that is made elsewhere and moved afterwards would load and quantise its base elsewhere: `configure_model`
    # asks the module where it is. A Trainer makes its modules within such a context, too.
    with warnings.catch_warnings(), torch.device(device):
        # Eight thousand characters of names: the frozen base. `check_adapter_state` has checked everything else.
        warnings.filterwarnings("ignore", message="Found keys that are in the model state dict but not in the check")
        return SelectiveVLM.load_from_checkpoint(checkpoint, map_location=device, weights_only=True, **changed).eval()


def sample_of(image: Picture, question: str) -> Sample:
    """A question on a picture; its uid is the picture's digest, so that what it seeds does not change with the path.

    Raises:
        UserError: if the question is empty.
        ImageError: if the picture cannot be read.
    """
    if not question.strip():
        raise UserError("Expected a question but it is empty")
    if isinstance(image, str | Path):
        image = Path(image)
        load_image(image)  # names what is wrong with it
        uid = hashlib.sha256(image.read_bytes()).hexdigest()
        return Sample(uid=uid, image=image, image_id=uid, question=question)
    pixels = pixels_of(image, "the Pillow image") if isinstance(image, Image.Image) else image
    load_image(pixels)
    uid = hashlib.sha256(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return Sample(uid=uid, image=pixels, image_id=uid, question=question)
