"""The audit on other families: M-RoPE inputs, mergers inside of the vision tower, pictures of different size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import lit_vlr.models
from lit_vlr.audit.callback import AuditReport, audit
from lit_vlr.audit.inputs import check_rope_inputs
from lit_vlr.errors import AuditError
from lit_vlr.models import Lora, Quantization, QwenVL
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from tests._qwen_vl import make_checkpoint
from tests.models import _checks as checks
from tests.models._checkpoints import MAKERS, save

QWEN = ("Qwen2VL", "Qwen25VL", "Qwen3VL")
SIZES = ((16, 16), (40, 24))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(name, tmp_path_factory.mktemp(name)) for name in MAKERS}


def run(name: str, folder: Path) -> AuditReport:
    family = getattr(lit_vlr.models, name)(str(folder), lora=Lora(r=4, dropout=0.0, vision=True))
    made = SelectiveVLM(family, SFT())
    made.configure_model()
    return audit(made.train(), checks.batch(family, *SIZES))


@pytest.mark.parametrize("name", MAKERS)
def test_every_family_passes(name: str, folders: dict[str, Path]) -> None:
    report = run(name, folders[name])
    counts = report.counts
    assert counts["language"].four_bit > 0
    assert counts["vision"].four_bit == counts["projector"].four_bit == counts["head"].four_bit == 0
    assert counts["projector"].trained > 0
    assert counts["vision"].lora == counts["vision"].trained > 0
    assert report.rope == ("mm_token_type_ids" if name in QWEN else None)
    assert report.flow.pixels > 0.99


@pytest.mark.parametrize("name", QWEN)
def test_missing_token_types_stop_the_fit(name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    # Qwen2.5-VL would go on with the positions of plain text.
    kind = getattr(lit_vlr.models, name)

    def without(self, *args, plain=kind.text_inputs):
        return {key: value for key, value in plain(self, *args).items() if key != "mm_token_type_ids"}

    monkeypatch.setattr(kind, "text_inputs", without)
    with pytest.raises(AuditError, match=r"Expected `mm_token_type_ids` or `position_ids` .* M-RoPE takes every image"):
        run(name, folders[name])


@pytest.mark.parametrize("name", QWEN)
def test_truncated_image_tokens_stop_the_fit(
    name: str, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = getattr(lit_vlr.models, name)

    def fewer(self, height: int, width: int, plain=kind.image_text) -> str:
        return plain(self, height, width).replace("<|image_pad|>", "", 1)

    monkeypatch.setattr(kind, "image_text", fewer)
    with pytest.raises(AuditError, match=r"Expected 4 image tokens in `input_ids` of mine/0, one a feature, but got 3"):
        run(name, folders[name])


def test_the_original_qwen_vl_passes(tmp_path: Path) -> None:
    make_checkpoint(tmp_path)
    report = run("QwenVL", tmp_path)
    assert report.counts["language"].four_bit > 0
    assert report.counts["vision"].lora > 0
    assert report.rope is None
    assert report.flow.pixels > 0.99


def test_towers_that_are_trained_in_full(tmp_path: Path) -> None:
    make_checkpoint(tmp_path)
    family = QwenVL(str(tmp_path), Quantization(bits=16), None, trained=("vision", "projector"))
    made = SelectiveVLM(family, SFT())
    made.configure_model()
    report = audit(made.train(), checks.batch(family, *SIZES))
    assert report.counts["vision"].trained > report.counts["language"].trained == 0
    family.base.model.language_model.norm.weight.requires_grad_(True)
    with pytest.raises(AuditError, match=r"Expected projector and vision to be trained and no more but .*norm.weight"):
        audit(made, checks.batch(family, *SIZES))


def test_positions_given_are_as_good_as_token_types() -> None:
    assert check_rope_inputs({"position_ids": torch.zeros(3, 1, 4)}) == "position_ids"
    assert check_rope_inputs({"mm_token_type_ids": torch.zeros(1, 4), "position_ids": None}) == "mm_token_type_ids"
