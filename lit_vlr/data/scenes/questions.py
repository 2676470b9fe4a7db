"""Asks a scene something that needs both the picture and a fact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lit_vlr.data.scenes.annotators import annotate
from lit_vlr.data.scenes.knowledge import POSITIONS, SEEN_RELATIONS, UNANSWERABLE, UNSEEN_RELATIONS, Relation
from lit_vlr.data.scenes.layout import Scene, Split, Thing

_P_UNANSWERABLE = 0.08
_P_BY_COLOUR = 0.25


@dataclass(frozen=True)
class Question:
    """A question, the ten answers to it, and what it was about.

    Attributes:
        text: the question.
        answers: ten, in the annotators' order.
        relation: name of the relation asked about.
        truth: the right answer; "unanswerable" where the picture has none.
        clarity: how surely a person reads what is asked for, in [0, 1]; 1 on questions about nothing.
    """

    text: str
    answers: tuple[str, ...]
    relation: str
    truth: str
    clarity: float


def _noun(relation: Relation) -> str:
    return {"shape": "shape", "digit": "digit"}.get(relation.attribute, "thing")


def refer(thing: Thing, scene: Scene, noun: str, rng: np.random.Generator, may_name_colour: bool) -> tuple[str, bool]:
    """Words for a thing ("the shape at the top left", "the red shape"), and whether its colour was used.

    ``may_name_colour`` is False where the colour is what the question is about: naming it would answer it.
    """
    same_colour = [t for t in scene.things if t.colour == thing.colour]
    if may_name_colour and len(same_colour) == 1 and rng.random() < _P_BY_COLOUR:
        return f"the {thing.colour} {noun}", True
    return f"the {noun} at the {thing.position}", False


def ask(scene: Scene, rng: np.random.Generator, split: Split) -> Question:
    """Draw one question on a scene.

    ``ood_rephrased`` uses wordings, and ``ood_knowledge`` relations, that no other split has. About 8% of the questions
    are about nothing: an empty place, or a thing of the wrong kind.

    Args:
        scene: what stands where; at least one thing.
        rng: the scene's own generator.
        split: decides relations and wordings.
    """
    relations: Sequence[Relation] = UNSEEN_RELATIONS if split == "ood_knowledge" else SEEN_RELATIONS
    answerable = rng.random() >= _P_UNANSWERABLE
    for i in rng.permutation(len(relations)):  # the first relation that the scene has something for
        relation = relations[i]
        fitting = [t for t in scene.things if t.attribute(relation.attribute) in relation.facts]
        others = [p for p in POSITIONS if (t := scene.at(p)) is None or t not in fitting]
        if fitting if answerable else others:
            break
    templates = relation.rephrased if split == "ood_rephrased" else relation.templates
    template = templates[rng.integers(len(templates))]
    guesses = sorted(set(relation.facts.values()))
    if not answerable:
        position = others[rng.integers(len(others))]
        text = template.format(x=f"the {_noun(relation)} at the {position}")
        answers = annotate(None, relation.facts, 1.0, guesses, rng)
        return Question(text, answers, relation.name, UNANSWERABLE, 1.0)
    thing = fitting[rng.integers(len(fitting))]
    words, by_colour = refer(thing, scene, _noun(relation), rng, may_name_colour=relation.attribute != "colour")
    clarity = thing.clarity(relation.attribute)
    if by_colour:  # one has to find it first
        clarity *= 0.5 + 0.5 * thing.clarity("colour")
    value = thing.attribute(relation.attribute)
    assert value is not None  # `fitting` has things with the attribute only
    answers = annotate(value, relation.facts, clarity, guesses, rng)
    return Question(template.format(x=words), answers, relation.name, relation.facts[value], clarity)
