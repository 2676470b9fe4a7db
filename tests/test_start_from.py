"""A fit that begins with the model of another one: a selector trained afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lit_vlr.confidence import Confidence, Selector
from lit_vlr.datamodule import ScenesDataModule
from lit_vlr.errors import CheckpointError
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.models import Llava, Lora
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT, TrainSelector
from lit_vlr.objectives.base import Objective
from lit_vlr.start_from import StartFrom
from tests._tiny import CONFIGS, SHORT, arguments

HALF = (0.5, 0.5, 0.5)


def module(objective: Objective, confidence: Confidence | None = None, r: int = 4) -> SelectiveVLM:
    made = Llava("tiny-llava", lora=Lora(r=r, dropout=0.0), image_mean=HALF, image_std=HALF)
    return SelectiveVLM(made, objective, confidence=confidence)


def fit(made: SelectiveVLM, folder: Path, steps: int, *callbacks, resume: Path | None = None) -> SelectiveVLM:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        max_steps=steps,
        logger=False,
        callbacks=[*callbacks, ModelCheckpoint(folder, filename="{step}", every_n_train_steps=1, save_top_k=-1)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    torch.manual_seed(1)
    data = ScenesDataModule(train_size=20, calibration_size=8, test_size=4, ood_size=0, batch_size=4)
    trainer.fit(made, data, ckpt_path=None if resume is None else str(resume))
    return made


def trained(made: SelectiveVLM, prefix: str) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in made.named_parameters() if p.requires_grad and n.startswith(prefix)}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[SelectiveVLM, Path]:
    folder = tmp_path_factory.mktemp("sft")
    return fit(module(SFT()), folder, 2), folder / "step=2.ckpt"


def afterwards() -> SelectiveVLM:
    return module(TrainSelector(train_model=False), Selector(16))


def test_a_selector_is_trained_on_a_model_that_stays_as_it_was_fine_tuned(before, tmp_path: Path) -> None:
    model, checkpoint = before
    made = fit(afterwards(), tmp_path, 2, StartFrom(checkpoint))
    expected, found = trained(model, "family."), trained(made, "family.")
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], value) for name, value in found.items())
    assert any(bool(value.any()) for name, value in found.items() if "lora_B" in name)  # a new adapter has zeros there
    assert float(made.threshold) == float("-inf")
    fresh = fit(afterwards(), tmp_path / "fresh", 2)
    learned, other = trained(made, "confidence."), trained(fresh, "confidence.")
    assert learned
    assert any(not torch.equal(value, other[name]) for name, value in learned.items())  # it saw another model
    # What is left behind is a checkpoint of both.
    state = torch.load(tmp_path / "step=2.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(state[name], value) for name, value in (expected | learned).items())


def test_a_resumed_fit_keeps_its_own_weights(before, tmp_path: Path) -> None:
    _, checkpoint = before
    whole = fit(module(TrainSelector(), Selector(16)), tmp_path, 3, StartFrom(checkpoint))
    again, half_way = module(TrainSelector(), Selector(16)), tmp_path / "step=2.ckpt"
    resumed = fit(again, tmp_path / "on", 3, StartFrom(checkpoint), resume=half_way)
    assert all(torch.equal(value, trained(resumed, "")[name]) for name, value in trained(whole, "").items())


def test_another_model_is_refused(before, tmp_path: Path) -> None:
    _, checkpoint = before
    with pytest.raises(CheckpointError, match="of another shape"):
        fit(module(SFT(), r=2), tmp_path, 1, StartFrom(checkpoint))
    content = torch.load(checkpoint, weights_only=True)
    torch.save(content | {"compute_dtype": "bfloat16"}, tmp_path / "gpu.ckpt")
    with pytest.raises(CheckpointError, match=r"base in float32 but .* in bfloat16; give --model\.family.*=bfloat16"):
        fit(module(SFT()), tmp_path, 1, StartFrom(tmp_path / "gpu.ckpt"))
    with pytest.raises(CheckpointError, match="there is no such file"):
        StartFrom(tmp_path / "none.ckpt")


@pytest.mark.slow
def test_the_command_line_starts_from_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("base", "model/tiny_llava", "data/scenes")
    VLRCLI.run(arguments("fit", tmp_path / "sft", *SHORT, configs=(*names, "objective/sft")))
    checkpoint = tmp_path / "sft" / "checkpoints" / "last.ckpt"
    selector = ["--config", str(CONFIGS / "confidence" / "selector.yaml")]
    after = ["--model.objective.init_args.train_model=false", f"--start_from={checkpoint}"]
    run = arguments("fit", tmp_path / "selector", *selector, *SHORT, *after, configs=(*names, "objective/selector"))
    VLRCLI.run(run)
    assert f"starts from the model of {checkpoint}" in capsys.readouterr().err
    expected, found = (
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("sft", "selector")
    )
    assert all(torch.equal(found[name], value) for name, value in expected.items() if name.startswith("family."))
    assert any(name.startswith("confidence.") for name in found)
