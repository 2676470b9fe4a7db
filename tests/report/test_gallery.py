"""The gallery: what is joined and amplified, and which pictures and entries are refused."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lit_vlr.report.gallery import MAX_SIDE, Answer, Gallery, GalleryFormatError, read_gallery
from lit_vlr.report.runs import Run

Factory = dict[str, Callable[..., Any]]


def pixels(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def gallery(*folders: Path, limit: int = 24) -> Gallery:
    return read_gallery([Run(folder.name, folder, {}) for folder in folders], limit=limit)


def change(run: Path, **fields: Any) -> None:
    path = run / "gallery" / "index.json"
    entries = json.loads(path.read_text())
    entries[0] |= fields
    path.write_text(json.dumps(entries))


@pytest.fixture
def run(factory: Factory, tmp_path: Path) -> Path:
    factory["write_gallery"](tmp_path / "standard", "test+linf_pgd", 2)
    return tmp_path / "standard"


def test_difference_is_amplified_around_grey(run: Path) -> None:
    card = gallery(run).cards[0]
    clean, attacked = (pixels(uri).astype(int) for uri in (card.clean, card.views[0].attacked))
    assert card.factor == 16  # 16 * 8/255 is half of the range
    expected = np.clip(127.5 + 16 * (attacked - clean), 0, 255)
    assert np.abs(pixels(card.views[0].difference) - expected).max() <= 1
    assert card.pixelated
    assert (card.eps, card.attack) == (8 / 255, "linf_pgd")
    assert card.answers == (("seven", 7), ("triangle", 3))


def test_without_eps_the_largest_change_sets_the_factor(factory: Factory, tmp_path: Path) -> None:
    factory["write_gallery"](tmp_path / "standard", "test+rotation", 1, eps=None)
    card = gallery(tmp_path / "standard").cards[0]
    assert card.factor == 10  # 0.5 / 0.05


def test_equal_pictures_have_a_grey_difference(run: Path) -> None:
    change(run, attacked_png=json.loads((run / "gallery" / "index.json").read_text())[0]["clean_png"], eps=None)
    card = gallery(run).cards[0]
    assert card.factor == 1
    assert np.unique(pixels(card.views[0].difference)).tolist() == [128]


def test_arms_are_joined_and_limited(factory: Factory, tmp_path: Path) -> None:
    factory["write_gallery"](tmp_path / "standard", "test+linf_pgd", 4)
    factory["write_gallery"](tmp_path / "adversarial", "test+linf_pgd", 2)
    (tmp_path / "bare").mkdir()
    found = gallery(*(tmp_path / name for name in ("standard", "adversarial", "bare")), limit=3)
    assert found.total == 4
    assert [card.uid for card in found.cards] == [f"scenes/test/{i}" for i in range(3)]
    assert [[view.arm for view in card.views] for card in found.cards] == [["standard", "adversarial"]] * 2 + [
        ["standard"]
    ]
    assert gallery(tmp_path / "bare") == Gallery((), 0)


def test_large_pictures_are_scaled_down(factory: Factory, tmp_path: Path) -> None:
    factory["write_gallery"](tmp_path / "standard", "test+linf_pgd", 1, side=500)
    card = gallery(tmp_path / "standard").cards[0]
    assert pixels(card.clean).shape == pixels(card.views[0].difference).shape == (MAX_SIDE, MAX_SIDE, 3)
    assert not card.pixelated


@pytest.mark.parametrize(
    ("accuracy", "verdict"), [(None, "unlabelled"), (0.0, "wrong"), (0.3, "partly"), (0.5, "right"), (1.0, "right")]
)
def test_verdict(accuracy: float | None, verdict: str) -> None:
    assert Answer("a", 0.5, False, accuracy).verdict == verdict


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"clean_png": "../../secret.png"}, "a path inside the gallery"),
        ({"clean_png": "/etc/hostname"}, "a path inside the gallery"),
        ({"attacked_png": "gone.png"}, "a picture at 'gone.png' but there is none"),
        ({"attacked_png": "text.png"}, "expected a PNG but 'text.png' is broken"),
        ({"attacked_png": "cut.png"}, "expected a PNG but 'cut.png' is broken"),
        ({"attacked_png": "photo.jpg"}, "expected a PNG but 'photo.jpg' is broken"),
        ({"attacked_png": "small.png"}, r"the clean picture's size \(64, 64\) but got \(8, 8\)"),
        ({"clean_confidence": math.nan}, "field 'clean_confidence': got nan"),
        ({"attacked_accuracy": 2}, "field 'attacked_accuracy': got 2"),
        ({"clean_abstained": 0}, "field 'clean_abstained': got 0"),
        ({"answers": "seven"}, "field 'answers': got 'seven'"),
        ({"question": None}, "field 'question': got None"),
        ({"eps": -1}, "field 'eps': got -1"),
        ({"uid": "scenes/test/1"}, "but it is there twice"),
    ],
)
def test_refusals(factory: Factory, run: Path, fields: dict[str, Any], message: str) -> None:
    folder = run / "gallery"
    (folder / "text.png").write_text("<html>")
    factory["save"](folder / "whole.png", factory["make_picture"](0))
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:400])
    factory["save"](folder / "photo.jpg", factory["make_picture"](0))
    factory["save"](folder / "small.png", factory["make_picture"](0, 8))
    change(run, **fields)
    with pytest.raises(GalleryFormatError, match=message) as caught:
        gallery(run)
    assert caught.value.file == folder / "index.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "expected JSON"), ("{}", "expected a list but got dict"), ("[1]", "an object but got int")],
)
def test_broken_index(run: Path, text: str, message: str) -> None:
    (run / "gallery" / "index.json").write_text(text)
    with pytest.raises(GalleryFormatError, match=message):
        gallery(run)


def test_missing_field(run: Path) -> None:
    path = run / "gallery" / "index.json"
    path.write_text(json.dumps([{"uid": "u"}]))
    with pytest.raises(GalleryFormatError, match=r"entry 0, field 'set': expected 'set' but it is missing"):
        gallery(run)


def test_huge_pictures_are_refused_before_decoding(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lit_vlr.report.gallery._MAX_PIXELS", 1000)
    with pytest.raises(GalleryFormatError, match=r"at most 1000 pixels but .* is 64 x 64; resize it"):
        gallery(run)
