"""Learning from peers on the embedded model, killed between two peers: the same command goes on and ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
import yaml

from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.cli import main
from lit_vlr.predictions import read_manifest, read_predictions
from lit_vlr.predictor import load_module
from lit_vlr.study.datasets import data_module, samples_of, training_samples
from tests.study._processes import start, wait_for
from tests.study._studies import COMMON, SELECTOR, SHORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    files = [part for file in COMMON for part in ("--config", file)]
    root = tmp_path_factory.mktemp("peers") / "out"
    # A blind control among the callbacks, as in the shipped studies: a fold is answered without it.
    blind = '--trainer.callbacks+=[{"class_path": "lit_vlr.recording.RecordShuffledPredictions"}]'
    return ["peers", *files, "--selector", *SELECTOR, "--folds=2", f"--root={root}", *SHORT, blind]


@pytest.fixture(scope="module")
def cell(command: list[str]) -> Path:
    """A run that was killed when the first peer was through, and went on."""
    folder = Path(next(given for given in command if given.startswith("--root=")).removeprefix("--root="))
    folder /= "learning_from_peers-0"
    process = start(command)
    wait_for(lambda: (folder / "peers/1/fit.log").exists(), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path: path.stat().st_mtime_ns for path in (folder / "peers/0").rglob("*") if path.is_file()}
    assert folder / "peers/0/predictions/held.jsonl" in before
    assert not (folder / "peers/labels.jsonl").exists()
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in (folder / "peers/0").rglob("*") if path.is_file()} == before
    return folder


def test_each_question_is_labelled_by_the_peer_that_never_saw_its_picture(cell: Path) -> None:
    labels = {p.uid: p for p in read_predictions(cell / "peers/labels.jsonl")}
    everything = [f"scenes/train/{i}" for i in range(16)]
    assert sorted(labels) == sorted(everything)
    labelled: list[str] = []
    for fold in range(2):
        peer = cell / "peers" / str(fold)
        held = read_predictions(peer / "predictions/held.jsonl")
        assert [labels[p.uid] for p in held] == held
        labelled += [p.uid for p in held]
        # What its fit was run with, as Lightning wrote it down.
        config = yaml.safe_load((peer / "logs/config.yaml").read_text())
        trained = list(training_samples(data_module([config["data"]], [])))
        assert {s.image_id for s in trained}.isdisjoint(p.image_id for p in held)
        assert sorted([*(s.uid for s in trained), *(p.uid for p in held)]) == sorted(everything)
        _, tests = samples_of(data_module([config["data"]], []))
        assert {name: [s.uid for s in samples] for name, samples in tests.items()} == {"held": [p.uid for p in held]}
        assert config["model"]["objective"]["class_path"] == "lit_vlr.objectives.SFT"
        assert read_manifest(peer / "predictions/held.jsonl")["checkpoint"] == str(peer / "checkpoints/last.ckpt")
        assert [path.name for path in (peer / "predictions").glob("*.jsonl")] == ["held.jsonl"]
    assert sorted(labelled) == sorted(everything)


def test_peers_leave_adapters_that_differ(cell: Path) -> None:
    first, second = (read_checkpoint(cell / f"peers/{fold}/checkpoints/last.ckpt")["state_dict"] for fold in range(2))
    assert set(first) == set(second)
    assert all("lora" in name or "projector" in name or name == "threshold" for name in first)
    assert any(not torch.equal(first[name], second[name]) for name in first if "lora" in name)


def test_the_model_learnt_from_the_labels_and_is_used_without_them(cell: Path, tmp_path: Path) -> None:
    checkpoint = cell / "checkpoints/last.ckpt"
    objective = read_checkpoint(checkpoint)["hyper_parameters"]["objective"]["init_args"]
    assert objective["labels"] == str(cell / "peers/labels.jsonl")
    (cell / "peers").rename(tmp_path / "peers")
    try:
        module = load_module(checkpoint)
    finally:
        (tmp_path / "peers").rename(cell / "peers")
    assert module.score_name.startswith("Selector")
    assert (cell.parent / "report.html").is_file()
    assert {path.stem for path in (cell / "predictions").glob("*.jsonl")} == {"test", "test_shuffled"}


def test_nothing_is_repeated_and_other_folds_are_refused(cell: Path, command: list[str], capsys) -> None:
    before = {path: path.stat().st_mtime_ns for path in cell.rglob("*")}
    assert main(command) == 0
    assert "== " not in capsys.readouterr().out
    assert main([given.replace("--folds=2", "--folds=3") for given in command]) == 2
    assert "learning_from_peers-0 as it was begun but its configuration differs: peers.folds was 2 and is 3" in (
        capsys.readouterr().err
    )
    assert {path: path.stat().st_mtime_ns for path in cell.rglob("*")} == before
