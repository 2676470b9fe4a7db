"""Questions, facts and annotators: the truth is in the picture, and people disagree where it is hard to see."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import numpy as np
import pytest

from lit_vlr.data.scenes import SPLITS, make_scenes
from lit_vlr.data.scenes.annotators import annotate
from lit_vlr.data.scenes.knowledge import (
    COLOURS,
    DIGITS,
    LOOKALIKES,
    POSITIONS,
    RELATIONS,
    SHAPES,
    TEXTURES,
    UNANSWERABLE,
    Relation,
)
from lit_vlr.functional import vqa_accuracy

VALUES = {"shape": SHAPES, "digit": DIGITS, "texture": TEXTURES, "colour": COLOURS}
FACTS = {relation.name: relation for relation in RELATIONS}


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
def test_facts_are_about_values_that_exist(relation: Relation) -> None:
    assert relation.facts
    assert set(relation.facts) <= set(VALUES[relation.attribute])
    assert all(answer.strip() == answer.lower() != "" for answer in relation.facts.values())
    assert UNANSWERABLE not in relation.facts.values()
    assert all(template.count("{x}") == 1 for template in relation.templates + relation.rephrased)
    assert len(relation.templates) >= 2
    assert relation.unseen or len(relation.rephrased) >= 2


def test_names_of_relations_are_unique() -> None:
    assert len(FACTS) == len(RELATIONS)


def test_lookalikes_are_of_the_same_kind_and_never_the_thing_itself() -> None:
    kind = {value: attribute for attribute, values in VALUES.items() for value in values}
    assert set(LOOKALIKES) == set(kind)
    for value, others in LOOKALIKES.items():
        assert value not in others
        assert {kind[other] for other in others} == {kind[value]}


def test_truth_is_what_the_scene_and_the_fact_table_say(everything: list) -> None:
    """Finds the thing again from the words of the question alone."""
    places = "|".join(POSITIONS)
    for one in everything:
        relation = FACTS[one.sample.metadata["relation"]]
        question = one.sample.question
        if place := re.search(f"the (?:shape|digit|thing) at the ({places})", question):
            found = [one.scene.at(place[1])]
        else:
            colour = re.search(f"the ({'|'.join(COLOURS)}) (?:shape|digit|thing)", question)
            found = [thing for thing in one.scene.things if thing.colour == colour[1]]
            assert len(found) == 1, f"{question!r} does not say which"
        value = found[0].attribute(relation.attribute) if found[0] else None
        assert one.truth == relation.facts.get(value, UNANSWERABLE)


@pytest.mark.parametrize("split", SPLITS)
def test_every_sample_has_ten_answers_and_a_small_picture(drawn: dict, split: str) -> None:
    for i, one in enumerate(drawn[split]):
        sample = one.sample
        assert (sample.uid, sample.image_id) == (f"scenes/{split}/{i}", str(i))
        assert (sample.image.shape, sample.image.dtype) == ((48, 48, 3), np.uint8)
        assert len(sample.answers) == 10
        assert all(isinstance(answer, str) and answer for answer in sample.answers)
        assert 0 <= sample.metadata["clarity"] <= 1


def test_eight_percent_have_no_answer(everything: list) -> None:
    rate = np.mean([one.truth == UNANSWERABLE for one in everything])
    assert rate == pytest.approx(0.08, abs=3 * np.sqrt(0.08 * 0.92 / len(everything)))


def test_annotators_agree_on_clear_things_and_not_on_faint_ones(everything: list) -> None:
    agreement = defaultdict(list)
    for one in everything:
        if one.truth != UNANSWERABLE:
            clarity = one.sample.metadata["clarity"]
            agreement[np.digitize(clarity, [0.4, 0.9])].append(Counter(one.sample.answers)[one.truth] / 10)
    faint, middling, clear = (np.mean(agreement[i]) for i in range(3))
    assert faint < 0.5 < middling < 0.9 < clear


def test_the_share_of_right_answers_is_the_one_that_the_docstring_states() -> None:
    rng, facts = np.random.default_rng(0), FACTS["tool"].facts
    for clarity in (0.0, 0.5, 1.0):
        right = np.mean([a == "saw" for _ in range(400) for a in annotate("striped", facts, clarity, ["saw"], rng)])
        assert right == pytest.approx((0.15 + 0.85 * clarity) * 0.98, abs=0.03)


def test_nobody_answers_what_has_no_fact() -> None:
    answers = annotate("circle", FACTS["sides"].facts, 1.0, ["3", "4"], np.random.default_rng(0))
    assert Counter(answers).most_common(1)[0][0] == UNANSWERABLE
    assert set(answers) <= {UNANSWERABLE, "3", "4"}


@pytest.mark.parametrize("split", SPLITS)
def test_the_best_guess_without_a_look_at_the_picture_scores_below_four_tenths(drawn: dict, split: str) -> None:
    """The most favourable constant answer of each relation, chosen on the same samples: an upper bound on a prior."""
    answers = defaultdict(list)
    for one in drawn[split]:
        answers[one.sample.metadata["relation"]].append(one.sample.answers)
    total = 0.0
    for given in answers.values():
        guesses = {answer for ten in given for answer in ten}
        total += max(sum(vqa_accuracy(guess, ten) for ten in given) for guess in guesses)
    assert total / len(drawn[split]) < 0.4


def test_a_question_about_a_colour_does_not_name_it() -> None:
    # Two in a hundred once did: "Which fruit has the colour of the red thing?".
    asked = [s for s in make_scenes("train", 600) if s.metadata["relation"] == "fruit"]
    assert len(asked) > 40
    assert not [s.question for s in asked if any(f" {colour} " in s.question for colour in COLOURS)]
