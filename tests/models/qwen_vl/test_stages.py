"""The original's three stages from their own configurations, small: each lowers its loss and hands on its weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from safetensors.torch import load_file
from torch import Tensor

from lit_vlr.adapters import SaveModel
from lit_vlr.data.scenes import make_scenes
from lit_vlr.data.targets import majority
from lit_vlr.errors import UserError
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.models import Llava, Quantization, QwenVL
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from tests._qwen_vl import make_checkpoint
from tests._tiny import CONFIGS

STEPS = 8
SIDES = {1: 32, 2: 64, 3: 64}  # of patches of 2 pixels: 16 a side as stored, then 32, as 224 and 448 have of 14
RATES = {1: (2e-4, 1e-6), 2: (5e-5, 1e-5), 3: (1e-5, 1e-6)}


class Stage:
    """A finished run: where it began, what it wrote, and its optimiser."""

    def __init__(self, number: int, start: Path, root: Path) -> None:
        names = ("base", "model/qwen_vl", "data/scenes", "objective/sft", f"experiment/qwen_vl_stage{number}")
        files = [part for name in names for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
        family, data = "--model.family.init_args", "--data.init_args"
        small = [
            *(f"{family}.name_or_path={start}", f"{family}.image_size={SIDES[number]}"),
            *(f"{family}.gradient_checkpointing=false", f"--trainer.default_root_dir={root}"),
            *(f"{data}.train_size=8", f"{data}.batch_size=8", f"{data}.calibration_size=2"),
            *(f"--trainer.max_steps={STEPS}", "--trainer.limit_val_batches=0", "--trainer.val_check_interval=1"),
            *("--trainer.enable_progress_bar=false", "--trainer.logger=false"),
        ]
        self.number, self.start, self.folder = number, start, root / "model"
        self.cli = VLRCLI.run(["fit", *files, *small])

    @property
    def settings(self) -> Any:
        return self.cli.config.fit.model.family.init_args

    def loss(self, folder: Path) -> float:
        """On the training batch, with this stage's prompt and size of pictures."""
        made = QwenVL(str(folder), Quantization(16), None, prompt=self.settings.prompt, image_size=SIDES[self.number])
        made.load(torch.device("cpu"))
        samples = make_scenes("train", 8)
        rows = made.collate(samples, [majority(sample) for sample in samples])
        with torch.no_grad():
            return float(SFT()(made.eval()(rows), rows).mean())


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict[int, Stage]:
    root = tmp_path_factory.mktemp("stages")
    make_checkpoint(root / "start")
    found: dict[int, Stage] = {}
    folder = root / "start"
    for number in (1, 2, 3):
        found[number] = Stage(number, folder, root / f"stage{number}")
        folder = found[number].folder
    return found


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def tower(name: str) -> str:
    """Of an original name."""
    if not name.startswith("transformer.visual"):
        return "language"
    behind = ("attn_pool", "ln_post", "proj")
    return "projector" if name.split(".")[2] in behind else "vision"


TRAINED = {1: {"vision", "projector"}, 2: {"vision", "projector", "language"}, 3: {"projector", "language"}}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_stage_lowers_its_loss(stages: dict[int, Stage], number: int) -> None:
    stage = stages[number]
    assert stage.loss(stage.folder) < stage.loss(stage.start) - 1e-3


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_stage_changes_what_it_trains_and_nothing_else(stages: dict[int, Stage], number: int) -> None:
    before, after = weights(stages[number].start), weights(stages[number].folder)
    assert set(before) == set(after)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    frozen = "transformer.visual.attn_pool.pos_embed"
    assert moved == {name for name in before if tower(name) in TRAINED[number]} - {frozen}
    # AdamW moves a number by about its rate a step: had a stage begun elsewhere, the weights would be far away.
    furthest = max(float((before[name] - after[name]).abs().max()) for name in moved)
    assert furthest < 2 * STEPS * RATES[number][0]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_rates_and_optimiser_are_the_papers(stages: dict[int, Stage], number: int) -> None:
    (optimizer,) = stages[number].cli.trainer.optimizers
    peak, last = RATES[number]
    groups = optimizer.param_groups
    assert max(group["initial_lr"] for group in groups) == pytest.approx(peak)
    assert max(group["lr"] for group in groups) == pytest.approx(last)  # after the last step
    assert {tuple(group["betas"]) for group in groups} == {(0.9, 0.98)}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}
    assert stages[number].cli.trainer.gradient_clip_val == 1.0
    # .95 a block from the last to the first of the vision tower, and once more to the patches.
    blocks = range(4) if number < 3 else range(1)
    rates = {round(math.log(group["initial_lr"] / peak, 0.95)) for group in groups}
    assert rates == set(blocks)


def test_the_second_stage_sees_interpolated_positions(stages: dict[int, Stage]) -> None:
    assert [stages[n].settings.image_size for n in (1, 2)] == [32, 64]
    name = "transformer.visual.positional_embedding"
    assert weights(stages[2].folder)[name].shape == (256, 64)  # trained through the interpolation, stored as before


def test_a_stage_writes_an_original_folder(stages: dict[int, Stage]) -> None:
    for stage in stages.values():
        names = {path.name for path in stage.folder.iterdir()}
        assert {"config.json", "model.safetensors", "qwen.tiktoken", "tokenizer_config.json"} <= names
        assert not stage.folder.with_name("model.part").exists()


def test_exception_a_family_that_saves_adapters_only() -> None:
    module = SelectiveVLM(Llava("tiny-llava"), SFT())
    with pytest.raises(UserError, match=r"Expected a family that saves whole models but Llava saves adapters"):
        SaveModel().setup(Trainer(logger=False, accelerator="cpu"), module, "fit")
