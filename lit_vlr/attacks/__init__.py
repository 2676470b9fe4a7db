"""What attacks need to know of questions and answers; the searches themselves are in `lit_vlr_callbacks.attacks`."""

from lit_vlr.attacks.stages import AnswerStage, TextStage, wrongness
from lit_vlr.attacks.vqa_cascade import VQACascade

__all__ = ["AnswerStage", "TextStage", "VQACascade", "wrongness"]
