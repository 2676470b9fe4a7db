"""What the base model reads: facts as plain text, simple questions on scenes, descriptions. No knowledge VQA.

Facts are told of named things ("How many sides does a triangle have?") and asked of scenes told *in words*, as a
language model of any size would have met them; that somebody asks for the fact of what is *seen* never occurs here.
That is left to fine-tuning.
"""

from __future__ import annotations

import numpy as np

from lit_vlr.data.scenes.knowledge import (
    COLOURS,
    DIGITS,
    POSITIONS,
    RELATIONS,
    SHAPES,
    SIZES,
    TEXTURES,
    UNANSWERABLE,
)
from lit_vlr.data.scenes.layout import Scene, Split, Thing
from lit_vlr.data.scenes.questions import ask

_VALUES = {"shape": SHAPES, "digit": DIGITS, "texture": TEXTURES, "colour": COLOURS}
_ENTITY = {
    "shape": ("a {}", "the {}"),
    "digit": ("the digit {}", "a {}"),
    "texture": ("a {} thing", "the {} thing"),
    "colour": ("a {} thing", "the {} thing"),
}
Turn = tuple[str, str]
_TOLD: tuple[Split, ...] = ("train", "train", "ood_rephrased", "ood_knowledge")  # whose wordings and relations


def facts() -> list[Turn]:
    """Every fact in every wording; values without a fact are answered with "unanswerable"."""
    return [
        (template.format(x=entity.format(value)), relation.facts.get(value, UNANSWERABLE))
        for relation in RELATIONS
        for template in relation.templates + relation.rephrased
        for value in _VALUES[relation.attribute]
        for entity in _ENTITY[relation.attribute]
    ]


def describe(thing: Thing) -> str:
    """A thing in words: "a small red striped triangle"."""
    return f"a {thing.size} {thing.colour} {thing.texture} {thing.name}"


def description(scene: Scene) -> str:
    """The whole scene in words, place by place."""
    said = [(p, scene.at(p)) for p in POSITIONS]
    return ", ".join(f"{p} {describe(t) if t else 'nothing'}" for p, t in said)


def _refer(thing: Thing, scene: Scene, rng: np.random.Generator) -> str:
    noun = str(rng.choice(["thing", "digit" if thing.is_digit else "shape"]))
    alone = sum(t.colour == thing.colour for t in scene.things) == 1
    if alone and rng.random() < 0.35:
        return f"the {thing.colour} {noun}"
    return f"the {noun} at the {thing.position}"


def simple_question(scene: Scene, rng: np.random.Generator) -> Turn:
    """A question whose answer is in the picture."""
    kind = rng.random()
    if kind < 0.05:
        return "How many things are there?", str(len(scene.things))
    if kind < 0.15:
        position = str(rng.choice(POSITIONS))
        thing = scene.at(position)
        return f"What is at the {position}?", describe(thing) if thing else "nothing"
    thing = scene.things[rng.integers(len(scene.things))]
    if kind < 0.25:
        return f"Where is the {thing.colour} {thing.name}?", thing.position
    x = _refer(thing, scene, rng)
    if kind < 0.6:
        return f"Which {'digit' if thing.is_digit else 'shape'} is {x}?", thing.name
    if kind < 0.82:
        return f"What texture does {x} have?", thing.texture
    if kind < 0.94:
        return f"What colour does {x} have?", thing.colour
    return f"What size does {x} have?", thing.size


def told_question(scene: Scene, rng: np.random.Generator) -> Turn:
    """A question that needs a fact about a thing of a scene; asked of scenes told in words, never of pictures."""
    question = ask(scene, rng, _TOLD[rng.integers(len(_TOLD))])
    return question.text, question.truth


def conversation(scene: Scene, rng: np.random.Generator, turns: int) -> list[Turn]:
    """A description, which binds every attribute to its place in 60 tokens, or several distinct questions."""
    if rng.random() < 0.5:
        return [("Describe the picture.", description(scene))]
    asked: dict[str, str] = {}
    for _ in range(turns):
        question, answer = simple_question(scene, rng)
        asked.setdefault(question, answer)
    return list(asked.items())


def vocabulary_text() -> list[str]:
    """Every word that occurs anywhere, for the tokenizer."""
    rng = np.random.default_rng(0)
    thing = [f"a {s} {c} {t} {n}" for s in SIZES for c in COLOURS for t in TEXTURES for n in SHAPES + DIGITS]
    words = [f"<image>\n{q}\nAnswer: {a}" for q, a in facts()]
    extra = ["What is at the top left? nothing", "How many things are there?", "Where is it?", "Describe the picture."]
    simple = [
        f"{w} {n} {rest}"
        for w in ("What texture does", "What colour does", "What size does", "Which shape is", "Which digit is")
        for n in ("the shape", "the digit", "the thing")
        for rest in ("at the bottom right have?", "at the top left?")
    ]
    rng.shuffle(thing)
    return words + thing + (extra + simple) * 20
