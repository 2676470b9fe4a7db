"""Parts that share no picture, sets made of sets, and leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.data.corruptions import CorruptedPicture
from lit_vlr.data.derived import Corrupted, Mixture, Subset, Where
from lit_vlr.data.images import load_image
from lit_vlr.data.leakage import LeakageError, find_overlaps, refuse_overlaps
from lit_vlr.data.source import Source
from lit_vlr.data.splits import image_key, k_folds, split_by_image
from lit_vlr.errors import UserError
from lit_vlr.types import Sample


def asked(images: Sequence[int], name: str = "a", source: str = "coco") -> list[Sample]:
    picture = np.zeros((4, 4, 3), np.uint8)
    return [
        Sample(f"{name}/x/{i}", picture, str(image), "Why?", ("so",) * 10, {"level": i % 3}, image_source=source)
        for i, image in enumerate(images)
    ]


@dataclass(frozen=True)
class Given(Source):
    samples: tuple[Sample, ...]

    def read(self) -> Sequence[Sample]:
        return self.samples

    def __str__(self) -> str:
        return "given"


def uids(samples: Sequence[Sample]) -> list[str]:
    return [sample.uid for sample in samples]


IMAGES = st.lists(st.integers(0, 12), min_size=20, max_size=60).filter(lambda images: len(set(images)) > 4)


@settings(max_examples=50, deadline=None)
@given(IMAGES, st.floats(0.2, 0.8), st.integers(0, 5))
def test_what_is_held_back_shares_no_picture(images: list[int], fraction: float, seed: int) -> None:
    samples = asked(images)
    try:
        rest, held = split_by_image(samples, fraction, seed)
    except UserError:  # one picture with more questions than the fraction
        return
    assert {s.image_id for s in rest}.isdisjoint(s.image_id for s in held)
    assert sorted(uids(rest) + uids(held)) == sorted(uids(samples))
    assert 0 <= round(fraction * len(samples)) - len(held) < max(Counter(images).values())
    assert uids(split_by_image(samples, fraction, seed).held) == uids(held)


@settings(max_examples=50, deadline=None)
@given(IMAGES, st.integers(2, 4), st.integers(0, 5))
def test_folds_share_no_picture_and_are_of_one_size(images: list[int], k: int, seed: int) -> None:
    samples = asked(images)
    folds = k_folds(samples, k, seed)
    assert sorted(uid for fold in folds for uid in uids(fold)) == sorted(uids(samples))
    owners = {image: {n for n, fold in enumerate(folds) for s in fold if s.image_id == str(image)} for image in images}
    assert all(len(owner) == 1 for owner in owners.values())
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= max(Counter(images).values())


def test_seeds_hold_other_pictures_back() -> None:
    samples = asked(range(50))
    assert len({tuple(uids(split_by_image(samples, 0.2, seed).held)) for seed in range(5)}) == 5


@pytest.mark.parametrize("fraction", [0.0, 1.0, -1.0, 0.01])
def test_unusable_fractions_are_refused(fraction: float) -> None:
    with pytest.raises(UserError, match=r"Expected `fraction` between|leaves one part empty"):
        split_by_image(asked([1, 1, 2, 2]), fraction, 0)


@pytest.mark.parametrize("k", [0, 1, 3])
def test_unusable_numbers_of_folds_are_refused(k: int) -> None:
    with pytest.raises(UserError, match="Expected `folds` from 2 to the number of pictures, 2, but got"):
        k_folds(asked([1, 1, 2, 2]), k, 0)


def test_pictures_of_two_collections_are_two() -> None:
    here, there = asked([7])[0], asked([7], source="vizwiz")[0]
    assert image_key(here) != image_key(there)
    assert find_overlaps([image_key(here)], {"far": [image_key(there)]}) == []


def test_leakage_is_counted_and_refused_unless_allowed_by_name() -> None:
    train = [image_key(s) for s in asked(range(10))]
    sets = {name: [image_key(s) for s in asked(images)] for name, images in {"near": range(3, 30), "far": [99]}.items()}
    overlaps = find_overlaps(train, sets)
    assert [(o.name, o.images, o.of) for o in overlaps] == [("near", 7, 27)]
    expected = (
        r"near: 7 of 27 pictures \(coco 3, coco 4, coco 5, coco 6, coco 7, …\); leave those pictures out of training, "
        r"or say that it is meant with `allow_overlap: \[near\]`"
    )
    with pytest.raises(LeakageError, match=expected):
        refuse_overlaps(overlaps, ["far"])
    assert refuse_overlaps(overlaps, ["near"]) == ["near: 7 of 27 pictures (coco 3, coco 4, coco 5, coco 6, coco 7, …)"]


def test_mixtures_keep_their_proportions() -> None:
    parts = {"in": Given(tuple(asked(range(100), "in"))), "adv": Given(tuple(asked(range(40), "adv")))}
    mixed = Mixture(parts, {"in": 0.5, "adv": 0.5}, n=60).read()
    assert Counter(sample.metadata["part"] for sample in mixed) == {"in": 30, "adv": 30}
    assert len(set(uids(mixed))) == 60
    assert mixed[0].metadata["level"] in (0, 1, 2)  # what was there stays
    most = Mixture(parts, {"in": 2, "adv": 1}).read()  # 50 : 25 is bounded by the hundred, 80 : 40 by the forty
    assert Counter(sample.metadata["part"] for sample in most) == {"in": 80, "adv": 40}
    thirds = Mixture(parts, {"in": 1, "adv": 2}, n=50).read()
    assert Counter(sample.metadata["part"] for sample in thirds) == {"in": 17, "adv": 33}
    again = Mixture(parts, {"in": 1, "adv": 2}, n=50).read()
    assert uids(again) == uids(thirds)
    assert uids(Mixture(parts, {"in": 1, "adv": 2}, n=50, seed=1).read()) != uids(thirds)


@pytest.mark.parametrize(
    ("proportions", "n", "message"),
    [
        ({"in": 1.0}, None, r"Expected a proportion for each of \['adv', 'in'\] but got \['in'\]"),
        ({"in": 1.0, "adv": 0.0}, None, "Expected positive `proportions`"),
        ({"in": 1.0, "adv": float("nan")}, None, "Expected positive `proportions`"),
        ({"in": 1.0, "adv": 1.0}, 100, r"Expected 50 samples of `adv` for a mixture of 100 but it has 40"),
    ],
)
def test_unusable_mixtures_are_refused(proportions: dict[str, float], n: int | None, message: str) -> None:
    parts = {"in": Given(tuple(asked(range(100), "in"))), "adv": Given(tuple(asked(range(40), "adv")))}
    with pytest.raises(UserError, match=message):
        Mixture(parts, proportions, n).read()


def test_parts_of_a_mixture_share_no_sample() -> None:
    shared = Given(tuple(asked(range(3))))
    with pytest.raises(UserError, match=r"share no sample but a/x/0 was taken from `a` and from `b`; leave it out of"):
        Mixture({"a": shared, "b": shared}, {"a": 1, "b": 1}).read()


def test_subsets() -> None:
    source = Given(tuple(asked(range(30))))
    chosen = uids(Subset(source, 5).read())
    assert len(set(chosen)) == 5
    assert chosen == sorted(chosen, key=lambda uid: int(uid.rpartition("/")[2]))
    assert uids(Subset(source, 5, seed=1).read()) != chosen
    with pytest.raises(UserError, match="Expected `n` from 1 to the 30 samples of given but got 31"):
        Subset(source, 31).read()


def test_where() -> None:
    source = Given(tuple(asked(range(9))))
    assert uids(Where(source, "level", at_least=2).read()) == ["a/x/2", "a/x/5", "a/x/8"]
    assert uids(Where(source, "level", equals=0).read()) == ["a/x/0", "a/x/3", "a/x/6"]
    for made, message in (
        (Where(source, "level"), "Expected one of `at_least` and `equals` but got both or none"),
        (Where(source, "levels", equals=1), r"Expected `key` to be one of \['level'\] in given but got 'levels'"),
        (Where(source, "level", equals=7), "Expected samples of given with `level` as asked for but there are none"),
    ):
        with pytest.raises(UserError, match=message):
            made.read()


def test_corrupted_sets_keep_their_uids_and_nest(tmp_path: Path) -> None:
    source = Given(tuple(asked(range(9))))
    made = Corrupted(Subset(source, 2), "gaussian_noise", 5)
    samples = made.read()
    assert uids(samples) == uids(Subset(source, 2).read())
    assert samples[0].metadata == {**samples[0].metadata, "corruption": "gaussian_noise", "severity": 5}
    assert isinstance(samples[0].image, CorruptedPicture)
    assert load_image(samples[0].image, samples[0].uid).std() > 0.1
    assert str(made) == "2 of given under gaussian_noise 5"
    with pytest.raises(UserError, match="Expected `severity` from 1 to 5 but got 9"):
        Corrupted(source, "fog", 9).read()  # type: ignore[arg-type]
