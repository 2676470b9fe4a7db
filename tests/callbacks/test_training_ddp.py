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

class InStep(Callback):
    def on_train_end(self, trainer, pl_module):
        for parameter in pl_module.parameters():
            both = trainer.strategy.all_gather(parameter.detach())
            assert torch.equal(both[0], both[1])

def fit(mode, folder, devices):
    seed_everything(0, verbose=False)
    start = mode == "trades"
    attack = FGSM(Linf(8 / 255)) if mode == "free" else PGD(Linf(8 / 255), steps=2, random_start=start, keep_best=False)
    module = Smooth()
    settings = {"devices": 2, "strategy": "ddp_fork"} if devices == 2 else {}
    extra = [InStep()] if devices == 2 else []
    run = trainer(AdversarialTraining(attack, mode=mode), *extra, max_epochs=2, default_root_dir=folder, **settings)
    run.fit(module, DataLoader(Indexed(16), batch_size=4 // devices))
    return module

if __name__ == "__main__":
    mode, folder = sys.argv[1:]
    two, one = fit(mode, folder, 2), fit(mode, folder, 1)
    if mode != "trades":  # its random starts differ with the number of processes
        for a, b in zip(two.parameters(), one.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    assert all(p.isfinite().all() for p in two.parameters())
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
    assert done.stdout.strip().endswith("same")
