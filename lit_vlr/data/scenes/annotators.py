"""Ten simulated annotators: they agree where the picture is clear, and not where it is faint or covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lit_vlr.data.scenes.knowledge import LOOKALIKES, UNANSWERABLE

N_ANNOTATORS = 10
_SLIP = 0.02  # a clear thing is misread this often


def annotate(
    value: str | None, facts: Mapping[str, str], clarity: float, guesses: Sequence[str], rng: np.random.Generator
) -> tuple[str, ...]:
    """What ten people answer.

    Args:
        value: the true attribute value; None where the question has no answer in the picture.
        facts: attribute value -> answer.
        clarity: how surely the attribute is read, in [0, 1]; at 0 an annotator is right one time in seven.
        guesses: answers that somebody may give to a question that has none.
        rng: the scene's own generator.

    Returns:
        Ten answers, in the annotators' order.
    """
    answers = []
    for _ in range(N_ANNOTATORS):
        if value is None or value not in facts:
            answers.append(str(rng.choice(guesses)) if rng.random() < 0.12 else UNANSWERABLE)
            continue
        reads = (0.15 + 0.85 * clarity) * (1 - _SLIP)
        if rng.random() < reads:
            answers.append(facts[value])
        elif rng.random() < 0.45 * (1 - clarity):
            answers.append(UNANSWERABLE)
        else:
            answers.append(facts.get(str(rng.choice(LOOKALIKES[value])), UNANSWERABLE))
    return tuple(answers)
