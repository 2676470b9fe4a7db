"""What an installed package must bring with it, wherever it is installed."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys

import pytest
import torch

import lit_vlr
from lit_vlr.models.tiny import TINY_LLAVA


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "README.md"])
def test_the_base_model_is_in_the_package(name: str) -> None:
    assert (TINY_LLAVA / name).is_file()


def test_the_base_model_is_small() -> None:
    assert (TINY_LLAVA / "model.safetensors").stat().st_size <= 8_000_000


def test_both_packages_are_typed_and_bring_their_files() -> None:
    for package in ("lit_vlr", "lit_vlr_callbacks"):
        assert importlib.resources.files(package).joinpath("py.typed").is_file()
    assert importlib.resources.files("lit_vlr.report").joinpath("template.html").is_file()
    for name in ("result.html", "page.css"):
        assert importlib.resources.files("lit_vlr.page").joinpath(name).is_file()
    assert importlib.resources.files("lit_vlr_callbacks.perturbations").joinpath("glyphs.npz").is_file()
    assert lit_vlr.__version__


def test_the_base_model_answers() -> None:
    from lit_vlr.data.scenes import make_scenes
    from lit_vlr.models import Llava

    half = (0.5, 0.5, 0.5)
    family = Llava("tiny-llava", lora=None, image_mean=half, image_std=half)
    family.load(torch.device("cpu"))
    samples = make_scenes("test", 2)
    generated = family.eval().generate(family.collate(samples, ["", ""]), 4)
    assert all(generated.texts)


def test_importing_the_package_imports_no_transformers() -> None:
    code = "import sys, lit_vlr; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
