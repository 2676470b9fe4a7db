"""Reading what a checkpoint says of itself, before and without its weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from transformers import AutoConfig, AutoTokenizer
from transformers.image_processing_base import ImageProcessingMixin

from lit_vlr.errors import UserError
from lit_vlr.models.hf.hub import read_config_dict, reading
from lit_vlr.models.tiny import EMBEDDED, resolve


def is_local(name_or_path: str) -> bool:
    """Whether a checkpoint is embedded or a folder, so that reading it needs no hub."""
    return name_or_path in EMBEDDED or Path(name_or_path).is_dir()


def read_config(name_or_path: str, model_types: Sequence[str], family: str) -> Any:  # noqa: ANN401
    """The checkpoint's configuration.

    Args:
        name_or_path: embedded name, folder or hub name.
        model_types: what transformers calls the family's architectures.
        family: the family's name, for errors.

    Raises:
        UserError: if there is no such checkpoint or it is of another family.
    """
    path = resolve(name_or_path)
    if Path(path).is_dir() and not (Path(path) / "config.json").exists():
        raise UserError(f"Expected a checkpoint in {path} but it has no config.json; `name_or_path` is a model folder")
    kind = read_config_dict(name_or_path, path)["model_type"]
    if kind not in model_types:
        raise UserError(f"Expected a {family} checkpoint but {name_or_path!r} is of type {kind!r}; {_served_by(kind)}")
    with reading(name_or_path):
        return AutoConfig.from_pretrained(path)


def _served_by(kind: str) -> str:
    """Which family's class serves an architecture."""
    from lit_vlr.models.hf.family import TransformersFamily  # it imports this module

    kinds: list[Any] = [TransformersFamily]
    for family in kinds:  # grows on the way
        kinds += family.__subclasses__()
        if kind in getattr(family, "model_types", ()):
            return f"use {family.__module__.rsplit('.', 1)[0]}.{family.__name__}"
    return "no family serves that architecture"


def read_tokenizer(name_or_path: str) -> Any:  # noqa: ANN401
    """The checkpoint's tokenizer."""
    with reading(name_or_path):
        return AutoTokenizer.from_pretrained(resolve(name_or_path))


def read_preprocessing(name_or_path: str) -> dict[str, Any]:
    """What the checkpoint's image processor is configured with; empty, with a warning, if it has none.

    The processor itself is not made: several cannot be without torchvision.
    """
    try:
        found, _ = ImageProcessingMixin.get_image_processor_dict(resolve(name_or_path))
    except (OSError, ValueError):
        rank_zero_warn(
            f"{name_or_path} has no image processor configuration; the family's usual sizes and channel means are used"
        )
        return {}
    return dict(found)
