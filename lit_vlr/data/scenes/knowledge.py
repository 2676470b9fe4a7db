"""What exists in a scene, and what one has to know about it that no picture shows.

A *relation* maps a visible attribute (the shape, the digit, the texture, the colour) to a fact. Relations with
``unseen=True`` are never asked in the training split: they make up the out-of-domain split ``ood_knowledge``. The
embedded base model has read every fact, also these, as plain text in pre-training, as any language model would have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHAPES = ("circle", "triangle", "square", "pentagon", "hexagon", "star", "cross")
DIGITS = tuple("0123456789")
COLOURS = ("red", "green", "blue", "yellow", "purple", "white")
TEXTURES = ("plain", "striped", "dotted", "checked")
SIZES = ("small", "large")
POSITIONS = ("top left", "top right", "bottom left", "bottom right")
UNANSWERABLE = "unanswerable"

# What an annotator who looks badly takes a thing for. Digits: the usual confusions of handwriting.
LOOKALIKES: Mapping[str, tuple[str, ...]] = {
    "circle": ("hexagon", "pentagon"),
    "triangle": ("square", "star"),
    "square": ("pentagon", "circle"),
    "pentagon": ("hexagon", "circle"),
    "hexagon": ("circle", "pentagon"),
    "star": ("cross", "pentagon"),
    "cross": ("star", "square"),
    "0": ("6", "8"),
    "1": ("7", "4"),
    "2": ("3", "7"),
    "3": ("8", "5"),
    "4": ("9", "1"),
    "5": ("6", "3"),
    "6": ("0", "5"),
    "7": ("1", "2"),
    "8": ("3", "9"),
    "9": ("4", "8"),
    "plain": ("dotted", "striped"),
    "striped": ("checked", "plain"),
    "dotted": ("checked", "plain"),
    "checked": ("dotted", "striped"),
    "red": ("purple", "yellow"),
    "green": ("blue", "yellow"),
    "blue": ("purple", "green"),
    "yellow": ("white", "green"),
    "purple": ("blue", "red"),
    "white": ("yellow", "blue"),
}


@dataclass(frozen=True)
class Relation:
    """One kind of fact.

    Attributes:
        name: what the relation is called in ``Sample.metadata["relation"]``.
        attribute: which attribute of an object it is about: ``shape``, ``digit``, ``texture`` or ``colour``.
        facts: attribute value -> answer; values without an entry make the question unanswerable.
        templates: wordings of the training and in-domain splits; ``{x}`` stands for the object.
        rephrased: wordings that only ``ood_rephrased`` uses.
        unseen: kept out of training.
    """

    name: str
    attribute: str
    facts: Mapping[str, str]
    templates: tuple[str, ...]
    rephrased: tuple[str, ...]
    unseen: bool = False


def _numbered(words: str, start: int = 1) -> dict[str, str]:
    return {str(i): word for i, word in enumerate(words.split(), start)}


RELATIONS: tuple[Relation, ...] = (
    Relation(
        "sides",
        "shape",
        {"triangle": "3", "square": "4", "pentagon": "5", "hexagon": "6"},
        ("How many sides does {x} have?", "What is the number of sides of {x}?"),
        ("Count the edges of {x}.", "Of how many sides is {x} made?"),
    ),
    Relation(
        "thing",
        "shape",
        {
            "circle": "wheel",
            "triangle": "pyramid",
            "square": "box",
            "pentagon": "house",
            "hexagon": "honeycomb",
            "star": "starfish",
            "cross": "plus",
        },
        ("Which thing looks like {x}?", "What thing has the form of {x}?"),
        ("Name a thing that looks like {x}.", "Of which thing does {x} have the form?"),
    ),
    Relation(
        "material",
        "texture",
        {"striped": "wood", "dotted": "stone", "checked": "cloth", "plain": "glass"},
        ("What is {x} made of?", "Which material is {x}?"),
        ("Name the material of {x}.", "Of what material is {x} made?"),
    ),
    Relation(
        "tool",
        "texture",
        {"striped": "saw", "dotted": "hammer", "checked": "scissors", "plain": "diamond"},
        ("Which tool cuts {x}?", "What tool is used to cut {x}?"),
        ("Name a tool that cuts {x}.", "With which tool is {x} cut?"),
    ),
    Relation(
        "water",
        "texture",
        {"striped": "floats", "dotted": "sinks", "checked": "soaks", "plain": "sinks"},
        ("What does {x} do in water?", "What happens to {x} in water?"),
        ("In water, what does {x} do?", "Name what {x} does in water."),
    ),
    Relation(
        "month",
        "digit",
        _numbered("january february march april may june july august september"),
        ("Which month has the number of {x}?", "What month is the number of {x}?"),
        ("Name the month with the number of {x}.", "Of which month is {x} the number?"),
    ),
    Relation(
        "double",
        "digit",
        {str(i): str(2 * i) for i in range(10)},
        ("What is twice the number of {x}?", "What is the double of {x}?"),
        ("Count {x} twice.", "Name the double of {x}."),
    ),
    Relation(
        "day",
        "digit",
        _numbered("monday tuesday wednesday thursday friday saturday sunday"),
        ("Which day has the number of {x}?", "What day is the number of {x}?"),
        ("Name the day with the number of {x}.", "Of which day is {x} the number?"),
    ),
    Relation(
        "fruit",
        "colour",
        {
            "red": "cherry",
            "green": "lime",
            "blue": "blueberry",
            "yellow": "banana",
            "purple": "plum",
            "white": "coconut",
        },
        ("Which fruit has the colour of {x}?", "What fruit is like {x} in colour?"),
        ("Name a fruit with the colour of {x}.", "Of which fruit does {x} have the colour?"),
    ),
    Relation(
        "angles",
        "shape",
        {"triangle": "180", "square": "360", "pentagon": "540", "hexagon": "720"},
        ("What is the sum of the angles of {x}?", "How many degrees do the angles of {x} have?"),
        (),
        unseen=True,
    ),
    Relation(
        "maker",
        "texture",
        {"striped": "carpenter", "dotted": "mason", "checked": "tailor", "plain": "glazier"},
        ("Who makes {x}?", "Which maker works on {x}?"),
        (),
        unseen=True,
    ),
    Relation(
        "planet",
        "digit",
        _numbered("mercury venus earth mars jupiter saturn uranus neptune"),
        ("Which planet has the number of {x}?", "What planet is the number of {x}?"),
        (),
        unseen=True,
    ),
)

SEEN_RELATIONS = tuple(r for r in RELATIONS if not r.unseen)
UNSEEN_RELATIONS = tuple(r for r in RELATIONS if r.unseen)

# One colour in six of each shape and digit is kept for `ood_combinations`; no other split shows it.
HELD_OUT: frozenset[tuple[str, str]] = frozenset(
    (name, COLOURS[(2 * i + 1) % len(COLOURS)] if i < len(SHAPES) else COLOURS[(i * 5) % len(COLOURS)])
    for i, name in enumerate(SHAPES + DIGITS)
)
