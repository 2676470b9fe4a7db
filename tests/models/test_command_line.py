"""A family other than LLaVA through the command line: its file, a folder in place of the hub name, ask, test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lit_vlr.ask import ask
from lit_vlr.data.images import load_image
from lit_vlr.data.scenes import make_scenes
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.models import Qwen25VL
from lit_vlr.predictor import load_module
from lit_vlr.recording import save_png
from tests._tiny import arguments
from tests.models._checkpoints import save

pytestmark = pytest.mark.slow


def test_fit_ask_and_test(tmp_path: Path) -> None:
    folder = save("Qwen25VL", tmp_path / "checkpoint")
    configs = ("base", "model/qwen2_5_vl_3b", "data/scenes", "objective/sft", "attack/linf_pgd", "experiment/qlora")
    init = "--model.family.init_args"
    given = [f"{init}.name_or_path={folder}", f"{init}.image_size=32", f"{init}.processor={{max_pixels: 2304}}"]
    given += ["--trainer.accelerator=cpu", "--model.max_new_tokens=2", "--data.init_args.ood_size=0"]
    given += ["--trainer.enable_progress_bar=false", "--trainer.accumulate_grad_batches=1"]
    run = tmp_path / "run"
    short = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--data.init_args.train_size=16"]
    VLRCLI.run(arguments("fit", run, *given, *short, configs=configs))
    last = run / "checkpoints" / "last.ckpt"
    trained = torch.load(last, weights_only=True)["state_dict"]
    assert [n for n in trained if "lora_" in n and "language_model" in n]
    assert not [n for n in trained if "lora_" in n and "language_model" not in n]
    assert [n for n in trained if "visual.merger" in n]

    made = load_module(last)
    assert type(made.family) is Qwen25VL
    assert made.family.name_or_path == str(folder)
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter, trained[name]), name

    picture = tmp_path / "scene.png"
    (scene,) = make_scenes("test", 1)
    save_png(load_image(scene.image), picture)
    assert "confidence" in ask(last, picture, scene.question)
    VLRCLI.run(arguments("test", run, f"--ckpt_path={last}", *given, configs=configs))
    assert (run / "predictions" / "test.jsonl").is_file()
    assert (run / "report.html").is_file()
