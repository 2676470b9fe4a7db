"""`lit-vlr ask`: one question on one picture."""

from __future__ import annotations

import sys
from pathlib import Path

from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.predictor import SelectivePredictor


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
    predictor = SelectivePredictor.from_checkpoint(checkpoint, threshold)
    if predictor.applied:
        print(f"lit-vlr: {predictor.applied}", file=sys.stderr)
    found = predictor(Path(image), question)
    least = found.threshold
    expected = "" if found.expected_accuracy is None else f", expected accuracy {found.expected_accuracy:.3f}"
    if found.answer is None and found.confidence >= least:
        said = f"{found.withheld!r} at confidence {found.confidence:.3f}, threshold {least:.3f}{expected}"
        return f"(abstains in words: {said})"
    if found.answer is None:
        return f"(abstains: confidence {found.confidence:.3f} is below the threshold {least:.3f}{expected})"
    return f"{found.answer}  (confidence {found.confidence:.3f}, threshold {least:.3f}{expected})"
