"""Writes scenes as files, so that anything that reads OK-VQA can use them."""

from __future__ import annotations

from pathlib import Path

from lit_vlr.data.okvqa import OKVQAFiles, write_okvqa
from lit_vlr.data.scenes.build import make_scenes
from lit_vlr.data.scenes.layout import Split


def export_scenes(folder: Path, split: Split, n: int, seed: int = 0) -> OKVQAFiles:
    """Draw the first ``n`` samples of a split and write them in the OK-VQA format; see `write_okvqa`.

    Several splits may go to one folder. ``export_scenes(…).read(dataset="scenes")`` gives the samples back, with
    ``Sample.image`` a file instead of an array.

    Args:
        folder: where to; made if missing.
        split: one of `SPLITS`.
        n: how many.
        seed: of the data set.

    Raises:
        UserError: on an unknown split, ``n`` below 1, a negative seed, or if the folder already has this split.
    """
    return write_okvqa(make_scenes(split, n, seed), folder, split)
