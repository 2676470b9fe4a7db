"""`lit-vlr export`: a checkpoint as a folder that plain transformers, or plain peft, loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers.utils.hub import cached_file

from lit_vlr.errors import UserError
from lit_vlr.infinities import to_json
from lit_vlr.models.hf import TransformersFamily
from lit_vlr.models.merging import merge_exactly
from lit_vlr.models.tiny import resolve
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictor import load_module
from lit_vlr.verbs.parser import Parser
from lit_vlr.versions import versions

MANIFEST = "lit_vlr.json"
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Beside weights, configuration and tokenizer, which write themselves. Copied instead of loaded and saved: several
# processors cannot be constructed without torchvision.
_PROCESSOR_FILES = (
    "processor_config.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "chat_template.jinja",
    "chat_template.json",
)


def main(args: list[str]) -> None:
    """Export and say what is where.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: if the folder is not empty, or there are no adapters to be written alone.
        CheckpointError: if the checkpoint cannot be read.
    """
    given = _parser().parse_args(args)
    if given.adapter_only and given.dtype is not None:
        raise UserError(
            "Expected no --dtype with --adapter-only but got both; adapters are written as they were trained"
        )
    out: Path = given.out
    checkpoint: Path = given.checkpoint
    _check_folder(out, checkpoint, given.overwrite)
    module = load_module(checkpoint)
    family = module.family
    if not isinstance(family, TransformersFamily):
        raise UserError(f"Expected a family that transformers implements but got {type(family).__name__}")
    # Beside, then renamed: a killed export leaves no half of a model under the name that was asked for.
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    if given.adapter_only:
        family.save_adapter(str(part))
        said = "PeftModel.from_pretrained(base, folder)"
    else:
        export_model(family, part, _DTYPES[given.dtype or "float32"])
        said = "AutoModelForImageTextToText.from_pretrained(folder)"
    manifest = json.dumps(_manifest(module, family, checkpoint), indent=2, allow_nan=False, ensure_ascii=False)
    (part / MANIFEST).write_text(manifest + "\n", encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    part.replace(out)
    print(f"exported {family.describe()}\n{said}: {out}")


def export_model(family: TransformersFamily, folder: Path, dtype: torch.dtype) -> None:
    """Write merged weights, configuration, tokenizer and processor files; the family given is used up.

    Args:
        family: loaded.
        folder: exists.
        dtype: of the weights; float32 is exact.
    """
    merged = merge_exactly(family.model, dtype)
    family.model = None  # it shares its weights with the result
    merged.save_pretrained(folder)
    family.tokenizer.save_pretrained(folder)
    for name in _PROCESSOR_FILES:
        found = cached_file(
            resolve(family.name_or_path),
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        if found is not None and not (folder / name).exists():
            shutil.copyfile(found, folder / name)


def _parser() -> Parser:
    parser = Parser(
        prog="lit-vlr export",
        description="Write a checkpoint as a folder that plain transformers loads, without peft and bitsandbytes. "
        "Adapters are merged into the dequantised weights, which is the function that was trained.",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="a file of <run>/checkpoints")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder, new or empty")
    said = "of the weights; float32 (default) is exact, the others take half the room"
    parser.add_argument("--dtype", choices=tuple(_DTYPES), help=said)
    said = "write a PEFT folder with adapters and projector, for the quantised base"
    parser.add_argument("--adapter-only", action="store_true", help=said)
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that is not empty")
    return parser


def _check_folder(out: Path, checkpoint: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"Expected --out to be a folder but {out} is a file")
    if checkpoint.resolve().is_relative_to(out.resolve()):
        raise UserError(f"Expected --out outside of the run but {checkpoint} lies in {out}, which would be replaced")
    if any(place.is_relative_to(out.resolve()) for place in (Path.cwd(), Path.home())):
        raise UserError(f"Expected --out as a folder of its own but {out} holds the working or the home directory")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise UserError(f"Expected --out to be new or empty but {out} is not; choose another, or add --overwrite")


def _manifest(module: SelectiveVLM, family: TransformersFamily, checkpoint: Path) -> dict[str, Any]:
    """What the folder came from, and what plain transformers knows nothing of."""
    return {
        "model": family.describe(),
        "base": family.name_or_path,
        "checkpoint": str(checkpoint),
        "threshold": to_json(float(module.threshold)),
        "confidence": module.score_name,
        "prompt": family.prompt,
        "versions": versions(),
    }
