"""Two processes over gloo train like one process on both halves of each batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests._tiny import ROOT

SCRIPT = """
import sys
import torch
from lightning.pytorch import Callback, seed_everything
from torch.utils.data import DataLoader
from lit_vlr_callbacks import AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD
from lit_vlr_callbacks.perturbations import Linf
from tests.callbacks._modules import trainer
from tests.callbacks.test_training_modes import Indexed, Smooth

class Split(Smooth):
    # Every n-th picture for each of n processes: the rows of a batch of one process, dealt out.

    def train_dataloader(self):
        n = self.trainer.world_size
        return DataLoader(Indexed(16), batch_size=4 // n, sampler=range(self.global_rank, 16, n))

class Compare(Callback):
    # In each process: as in the other one, and as in a training without a second one.

    def __init__(self, alone):
        self.alone = alone

    def on_train_end(self, trainer, pl_module):
        assert trainer.world_size == 2
        for parameter, expected in zip(pl_module.parameters(), self.alone, strict=True):
            both = trainer.strategy.all_gather(parameter.detach())
            assert torch.equal(both[0], both[1])
            if expected is not None:
                torch.testing.assert_close(parameter.detach(), expected, rtol=0, atol=1e-5)

def fit(mode, folder, *callbacks, **settings):
    seed_everything(0, verbose=False)
    start = mode == "trades"
    attack = FGSM(Linf(8 / 255)) if mode == "free" else PGD(Linf(8 / 255), steps=2, random_start=start, keep_best=False)
    module = Split()
    training = AdversarialTraining(attack, mode=mode)
    settings = {"max_epochs": 2, "default_root_dir": folder, "use_distributed_sampler": False, **settings}
    run = trainer(training, *callbacks, **settings)
    run.fit(module)
    return [parameter.detach() for parameter in module.parameters()]

mode, folder = sys.argv[1:]
alone = fit(mode, folder)
if mode == "trades":  # its random starts differ with the number of processes
    alone = [None] * len(alone)
fit(mode, folder, Compare(alone), devices=2, strategy="ddp_fork")
print("same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["standard", "trades", "free", "warm"])
def test_two_processes(mode: str, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    path = os.pathsep.join([str(ROOT), str(ROOT / "callbacks")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), mode, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("same") == 1
