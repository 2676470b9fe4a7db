"""The predictor in Python: which base it loads, and where; how it reads pictures; what `ask` says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lit_vlr.ask
from lit_vlr.ask import ask
from lit_vlr.cli import main
from lit_vlr.data.images import load_image
from lit_vlr.errors import ImageError
from lit_vlr.models import Llava, Quantization
from lit_vlr.models.merging import dequantized
from lit_vlr.predictor import SelectivePrediction, SelectivePredictor, sample_of
from lit_vlr.types import Prediction
from tests._tiny import SHORT, arguments


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a fit on the command line, as if `compute_dtype: auto` had been a GPU's."""
    run = tmp_path_factory.mktemp("run")
    assert main(arguments("fit", run, *SHORT, "--trainer.callbacks=null")) == 0
    content = torch.load(next(run.rglob("*.ckpt")), weights_only=True)
    assert content["hyper_parameters"]["family"]["init_args"]["quantization"]["compute_dtype"] == "auto"
    torch.save(content | {"compute_dtype": "bfloat16"}, run / "gpu.ckpt")
    return run / "gpu.ckpt"


def test_what_was_trained_on_a_gpu_is_asked_on_the_base_that_it_was_trained_on(checkpoint: Path) -> None:
    def weights(made: Any) -> torch.Tensor:
        layer = made.base.model.language_model.layers[0].mlp.up_proj
        return dequantized(getattr(layer, "base_layer", layer))

    def expected(dtype: Any) -> torch.Tensor:
        made = Llava("tiny-llava", Quantization(compute_dtype=dtype), None)
        made.load(torch.device("cpu"))
        return weights(made)

    def found(path: Path) -> torch.Tensor:
        return weights(SelectivePredictor.from_checkpoint(path, device="cpu").module.family)

    assert torch.equal(found(checkpoint), expected("bfloat16"))
    assert not torch.equal(found(checkpoint), expected("float32"))
    content = torch.load(checkpoint, weights_only=True)
    del content["compute_dtype"]  # of before it was recorded: what `auto` means here
    torch.save(content, checkpoint.with_name("older.ckpt"))
    assert torch.equal(found(checkpoint.with_name("older.ckpt")), expected("float32"))


def test_the_base_is_loaded_where_it_will_run(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # No GPU is needed: the meta device stands in for it, and nothing is loaded.
    class StopError(Exception):
        pass

    def stop(_family: Llava, device: torch.device) -> None:
        raise StopError(f"{device}, tensors on {torch.empty(1).device}")

    monkeypatch.setattr(Llava, "load", stop)
    with pytest.raises(StopError, match=r"^meta, tensors on meta$"):
        SelectivePredictor.from_checkpoint(checkpoint, device="meta")


def test_a_pillow_image_is_read_as_its_file_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned
    halves = np.zeros((4, 8, 3), np.uint8)
    halves[:, :4] = 255
    Image.fromarray(halves).save(tmp_path / "turned.png", exif=exif)
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "transparent.png")
    Image.fromarray(halves).convert("P").save(tmp_path / "palette.png")
    for path in tmp_path.iterdir():
        expected = load_image(sample_of(path, "What?").image)
        assert torch.equal(load_image(sample_of(Image.open(path), "What?").image), expected), path.name


def test_a_pillow_image_is_refused_as_its_file_is(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 3000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ImageError, match="Expected 8 bits a channel but the Pillow image has mode I;16"):
        sample_of(Image.open(tmp_path / "deep.png"), "What?")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="Expected a whole picture but the Pillow image cannot be read"):
        sample_of(Image.open(tmp_path / "cut.png"), "What?")


@pytest.mark.parametrize(
    ("confidence", "abstained", "threshold", "expected"),
    [
        (0.0, True, float("-inf"), "(abstains in words: 'unanswerable' at confidence 0.000, threshold -inf)"),
        (0.3, True, 0.5, "(abstains: confidence 0.300 is below the threshold 0.500)"),
        (0.3, True, float("inf"), "(abstains: confidence 0.300 is below the threshold inf)"),
        (0.8, False, 0.5, "unanswerable  (confidence 0.800, threshold 0.500)"),
    ],
)
def test_ask_says_why_it_abstains(
    confidence: float,
    abstained: bool,
    threshold: float,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Stub:
        applied = ""

        def __call__(self, *_asked: object) -> SelectivePrediction:
            prediction = Prediction("u", "i", "What?", "unanswerable", confidence, abstained, None)
            return SelectivePrediction.of(prediction, threshold)

    Image.new("RGB", (4, 4)).save(tmp_path / "picture.png")
    monkeypatch.setattr(lit_vlr.ask.SelectivePredictor, "from_checkpoint", lambda *_given: Stub())
    assert ask(tmp_path / "none.ckpt", tmp_path / "picture.png", "What?") == expected
