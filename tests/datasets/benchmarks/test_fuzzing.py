"""Whatever stands in a file: a reader gives samples, or says what is wrong; nothing else comes out."""

from __future__ import annotations

import csv
import itertools
import json
import os
import tempfile
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.labelled import LabelledDiagram
from lit_vlr.types import Sample
from tests.datasets.benchmarks._layouts import LAYOUTS, Files, build, write

ROWS = int(os.environ.get("LIT_VLR_FUZZED_ROWS", "20000"))
"""Mutated rows of all readers together."""
PER_READER = -(-ROWS // len(LAYOUTS))

NASTY = st.sampled_from(
    [
        *(
            "",
            " ",
            "\n",
            "\t",
            '"',
            "|",
            ",",
            "{",
            "NaN",
            "nan",
            "-1",
            "0",
            "1e999",
            "yes",
            "A",
            "{question}",
            "é",
            "a\rb",
        ),
        *("../../x", "/etc/passwd", "http://x/y.png", "a\0b", "\ud800", "\u2028", "\ufeffa", "9" * 30, "x" * 300),
    ]
)
PLAIN = st.one_of(
    NASTY,
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.sampled_from([10**30, -(10**400), 0.5, -1.0, 1e308, float("nan"), float("inf"), 2**63]),
)
VALUES = st.one_of(
    PLAIN,
    PLAIN,
    PLAIN,
    st.text(max_size=6),
    st.lists(PLAIN, max_size=3),
    st.dictionaries(st.sampled_from(["answer", "0", ""]), PLAIN, max_size=2),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index that leads to something."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    else:
        return [path]
    return [path, *itertools.chain.from_iterable(places(v, (*path, k)) for k, v in inner)]


def mutate(files: Files, path: tuple[Any, ...], how: str, value: Any) -> None:
    """Replace, remove, repeat or rename what a path leads to."""
    found: Any = files
    for key in path[:-1]:
        found = found[key]
    key = path[-1]
    if how == "remove" and len(path) > 1:
        del found[key]
    elif how == "repeat" and isinstance(found, list):
        found.append(deepcopy(found[key]))
    elif how == "rename" and isinstance(found, dict) and len(path) > 1:
        found[str(value)] = found.pop(key)
    else:
        found[key] = value


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a folder: 40,000 files are written."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as made:
        yield Path(made)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_sample_or_an_error(name: str, folder: Path) -> None:
    layout = LAYOUTS[name]
    paths = [path for path in places(layout.files()) if path]
    build(layout, folder)
    made = layout.make(folder)
    outcomes = {"samples": 0, "errors": 0}

    @settings(
        max_examples=PER_READER,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(paths), st.sampled_from(["replace"] * 4 + ["remove", "repeat", "rename"]), VALUES)
    def run(path: tuple[Any, ...], how: str, value: Any) -> None:
        files = deepcopy(layout.files())
        mutate(files, path, how, value)
        try:
            write(folder, files)
        except (TypeError, ValueError, AttributeError, csv.Error):  # a table or lines of something else
            write(folder, {name: repr(content).encode("utf-8", "replace") for name, content in files.items()})
        try:
            samples = made.read()
        except DataFormatError as error:
            outcomes["errors"] += 1
            text = str(error)
            assert "\n" not in text
            assert text.startswith(str(folder))
        else:
            outcomes["samples"] += 1
            check(samples, folder.resolve())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # another number of answers than ten
        run()
    assert min(outcomes.values()) > PER_READER / 50, outcomes  # both are really tried


def check(samples: list[Sample], root: Path) -> None:
    assert samples
    assert len({sample.uid for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.question.strip()
        assert sample.image_id
        sample.asked.encode()
        assert all(isinstance(answer, str) and answer.strip() for answer in sample.answers)
        image = sample.image.image if isinstance(sample.image, LabelledDiagram) else sample.image
        assert isinstance(image, Path)
        assert image.is_relative_to(root)
        json.dumps(dict(sample.metadata), allow_nan=False)
        sample.uid.encode()
