"""Each out-of-domain split holds what no other split shows, and no picture is in two splits."""

from __future__ import annotations

import re

import numpy as np
import pytest

from lit_vlr.data.scenes import OOD_SPLITS, SPLITS, Scene, Thing, draw, draw_scene
from lit_vlr.data.scenes.knowledge import COLOURS, DIGITS, HELD_OUT, SEEN_RELATIONS, SHAPES, UNSEEN_RELATIONS
from lit_vlr.data.scenes.layout import TRAIN_BACKGROUNDS, UNSEEN_BACKGROUNDS
from lit_vlr.data.scenes.parts import digits, texture_pattern

OTHERS = {split: [s for s in SPLITS if s != split] for split in OOD_SPLITS}


def pairs(drawn: list) -> set[tuple[str, str]]:
    return {(thing.name, thing.colour) for one in drawn for thing in one.scene.things}


def test_held_out_combinations_are_one_colour_of_each_name() -> None:
    assert sorted(name for name, _ in HELD_OUT) == sorted(SHAPES + DIGITS)
    assert {colour for _, colour in HELD_OUT} == set(COLOURS)


@pytest.mark.parametrize("split", OTHERS["ood_combinations"])
def test_held_out_combinations_occur_nowhere_else(drawn: dict, split: str) -> None:
    assert not pairs(drawn[split]) & HELD_OUT


def test_ood_combinations_shows_held_out_combinations_only(drawn: dict) -> None:
    assert pairs(drawn["ood_combinations"]) == HELD_OUT


def test_backgrounds(drawn: dict) -> None:
    assert not set(TRAIN_BACKGROUNDS) & set(UNSEEN_BACKGROUNDS)
    for split, ones in drawn.items():
        expected = UNSEEN_BACKGROUNDS if split == "ood_backgrounds" else TRAIN_BACKGROUNDS
        assert {one.scene.background for one in ones} == set(expected)


def test_textures_of_ood_backgrounds_are_executed_differently() -> None:
    for texture in ("striped", "dotted", "checked"):
        rng = lambda: np.random.default_rng(3)  # noqa: E731
        assert not np.array_equal(texture_pattern(texture, rng(), False), texture_pattern(texture, rng(), True))


def test_unseen_relations_occur_in_ood_knowledge_only(drawn: dict) -> None:
    for split, ones in drawn.items():
        expected = UNSEEN_RELATIONS if split == "ood_knowledge" else SEEN_RELATIONS
        assert {one.sample.metadata["relation"] for one in ones} == {relation.name for relation in expected}


def matches(question: str, templates: list[str]) -> bool:
    patterns = (re.escape(template).replace(re.escape("{x}"), "the [a-z ]+") for template in templates)
    return any(re.fullmatch(pattern, question) for pattern in patterns)


def test_rephrased_wordings_occur_in_ood_rephrased_only(drawn: dict) -> None:
    relations = SEEN_RELATIONS + UNSEEN_RELATIONS
    usual, rephrased = ([t for r in relations for t in getattr(r, key)] for key in ("templates", "rephrased"))
    for split, ones in drawn.items():
        has, lacks = (rephrased, usual) if split == "ood_rephrased" else (usual, rephrased)
        for one in ones:
            assert matches(one.sample.question, has)
            assert not matches(one.sample.question, lacks)


def test_no_picture_is_in_two_places(everything: list) -> None:
    pictures = {one.sample.image.tobytes() for one in everything}
    assert len(pictures) == len(everything)


def test_hands_of_training_and_of_the_rest_are_disjoint() -> None:
    train, rest = ({ink.tobytes() for inks in hands.values() for ink in inks[::2]} for hands in digits())
    assert (len(train), len(rest)) == (1200, 597)
    assert not train & rest
    assert set(digits()[0]) == set(digits()[1]) == set(DIGITS)


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_drawn_from_its_own_hands(monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    thing = Thing("4", "red", "plain", "large", "top left", contrast=0.3, tint=0.2, occlusion=0.0)
    scene = Scene((thing,), clutter=0, background="smooth")
    picture = draw_scene(scene, np.random.default_rng(0), split)
    ours = int(split != "train")
    for side in (0, 1):  # wipe out one side's ink
        hands = [{d: [np.zeros_like(ink) for ink in v] for d, v in h.items()} if i == side else h
                 for i, h in enumerate(digits())]  # fmt: skip
        monkeypatch.setattr(draw, "digits", lambda hands=hands: hands)
        unchanged = np.array_equal(picture, draw_scene(scene, np.random.default_rng(0), split))
        assert unchanged is (side != ours)
