"""One question on one picture."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.data.images import load_image
from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.threshold_file import read_threshold
from lit_vlr.thresholding import apply_threshold
from lit_vlr.types import Sample


def load_module(checkpoint: Path) -> SelectiveVLM:
    """A module with its trained weights and threshold, ready to answer.

    Raises:
        CheckpointError: if the file is missing, damaged, or was not made through the command line.
    """
    if "family" not in read_checkpoint(checkpoint).get("hyper_parameters", {}):
        raise CheckpointError(
            f"Expected a checkpoint that holds its model's settings but {checkpoint} was saved by a module made in "
            "Python; build the module as it was built then and load the weights into it"
        )
    return SelectiveVLM.load_from_checkpoint(checkpoint, map_location="cpu", weights_only=True).eval()


def ask(checkpoint: Path, image: Path, question: str, threshold: Path | None = None) -> str:
    """Answer one question on one picture, or abstain.

    Args:
        checkpoint: a file of <run>/checkpoints.
        image: JPEG, PNG or WEBP.
        question: in words.
        threshold: a file of `lit-vlr calibrate`, to be used instead of the checkpoint's threshold.
    """
    if not question.strip():
        raise UserError("Expected a question in --question but it is empty")
    load_image(Path(image))  # cheap, and the likeliest mistake: before the model is loaded
    chosen = None if threshold is None else read_threshold(threshold)
    module = load_module(Path(checkpoint))
    if chosen is not None:
        print(f"lit-vlr: {apply_threshold(module, chosen)}", file=sys.stderr)
    (prediction,) = module.answer(module.family.collate([sample_of(Path(image), question)], [""]).to(module.device))
    least = float(module.threshold)
    expected = "" if prediction.calibrated is None else f", expected accuracy {prediction.calibrated:.3f}"
    if prediction.abstained:
        return f"(abstains: confidence {prediction.confidence:.3f} is below the threshold {least:.3f}{expected})"
    return f"{prediction.answer}  (confidence {prediction.confidence:.3f}, threshold {least:.3f}{expected})"


def sample_of(image: Path, question: str) -> Sample:
    """A question on a file; its uid is the file's digest, so that what it seeds does not change with the path."""
    uid = hashlib.sha256(image.read_bytes()).hexdigest()
    return Sample(uid=uid, image=image, image_id=uid, question=question)
