"""The threshold that a validation fits, of several processes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.thresholding import FitThreshold, threshold_at_risk
from lit_vlr.types import Batch, Prediction
from tests._tiny import family

CONFIDENCE = [0.9, 0.8, 0.7, 0.6, 0.5]
ACCURACY = [1.0, 1.0, 1.0, 0.0, 1.0]
SHARES = ([0, 2, 4], [1, 3, 0])  # a sampler gives the first question twice, so that both have three


def _fit(rank: int, store: Path, out: Path) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        module = SelectiveVLM(family(), SFT())
        trainer: Any = SimpleNamespace(sanity_checking=False)
        rows = [
            Prediction(f"q/{i}", f"{i}", "", "", CONFIDENCE[i], abstained=False, accuracy=ACCURACY[i])
            for i in SHARES[rank]
        ]
        fit, no_batch = FitThreshold(max_risk=0.2), cast("Batch", None)
        fit.on_validation_batch_end(trainer, module, {"predictions": rows}, no_batch, 0)
        fit.on_validation_epoch_end(trainer, module)
        (out / str(rank)).write_text(repr(float(module.threshold)))
    finally:
        dist.destroy_process_group()


def test_every_process_has_the_threshold_of_all_predictions(tmp_path: Path) -> None:
    """One of five is wrong, which the risk allows; of the three of a share none is, or one, which it does not."""
    mp.spawn(_fit, args=(tmp_path / "store", tmp_path), nprocs=2)
    columns = torch.tensor([CONFIDENCE, ACCURACY], dtype=torch.float64)
    assert threshold_at_risk(*columns, 0.2) == 0.5
    assert [threshold_at_risk(*columns[:, share], 0.2) for share in SHARES] == [0.5, 0.8]
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["0.5", "0.5"]
