"""What answers to benchmarks are worth, one class a metric: objects that travel with each sample.

The maths is in `lit_vlr.functional`; here it is applied to an answer and the `Sample` that it answers.
"""

from __future__ import annotations

from lit_vlr.tasks.base import PerAnswer, answer_limits, score_answer, summarise
from lit_vlr.tasks.boxes import BoxOverlap, box_text, parse_box
from lit_vlr.tasks.captions import Captions
from lit_vlr.tasks.refusal import Refusal
from lit_vlr.tasks.unscored import Unscored
from lit_vlr.tasks.vqa import DirectAnswers, VQAAccuracy
from lit_vlr.tasks.words import ANLS, ExactMatch, OptionChoice, RelaxedAccuracy
from lit_vlr.tasks.yes_no import MMEScore, YesNo

__all__ = [
    "ANLS",
    "BoxOverlap",
    "Captions",
    "DirectAnswers",
    "ExactMatch",
    "MMEScore",
    "OptionChoice",
    "PerAnswer",
    "Refusal",
    "RelaxedAccuracy",
    "Unscored",
    "VQAAccuracy",
    "YesNo",
    "answer_limits",
    "box_text",
    "parse_box",
    "score_answer",
    "summarise",
]
