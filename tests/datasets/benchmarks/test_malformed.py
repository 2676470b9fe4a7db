"""Every mistake in a benchmark's files is refused, in one line that names file, entry and field."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from lit_vlr.data.errors import DataFormatError
from tests.datasets.benchmarks._layouts import LAYOUTS, build
from tests.datasets.benchmarks._malformed import Variant
from tests.datasets.benchmarks._mistakes import variants

VARIANTS = {name: variants(name, layout) for name, layout in LAYOUTS.items()}
CASES = [(name, case) for name, cases in VARIANTS.items() for case in cases]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_reader_is_tried_with_at_least_twelve(name: str) -> None:
    assert len(VARIANTS[name]) >= 12


@pytest.mark.parametrize(("name", "case"), CASES, ids=[f"{name}-{case}" for name, case in CASES])
def test_malformed_files_are_refused(name: str, case: str, tmp_path: Path) -> None:
    layout, variant = LAYOUTS[name], VARIANTS[name][case]
    files = deepcopy(layout.files())  # layouts share rows
    variant.change(files)
    made = build(layout, tmp_path, files)
    with pytest.raises(DataFormatError, match=variant.match) as caught:
        made.read()
    error = caught.value
    check(error, variant, tmp_path / (variant.file or layout.main))


def check(error: DataFormatError, variant: Variant, file: Path) -> None:
    assert str(error).startswith(str(file))
    assert error.file == file
    assert "\n" not in str(error)
    if variant.field is not None:
        assert error.field == variant.field
    if variant.index != -1:
        assert error.index == variant.index
