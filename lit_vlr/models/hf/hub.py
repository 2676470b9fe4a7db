"""Checkpoints that cannot be had: what the hub, transformers and safetensors say, in one line with the remedy."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from lightning.pytorch.utilities import rank_zero_warn
from packaging.version import InvalidVersion, Version
from safetensors import SafetensorError
from transformers import CONFIG_MAPPING, PreTrainedConfig, __version__

from lit_vlr.errors import UserError

ALLOW_PICKLE = "LIT_VLR_ALLOW_PICKLE"
"""Environment variable; ``1`` reads weights that are pickles, with ``weights_only``."""
_INDEX = "model.safetensors.index.json"


@contextmanager
def reading(name_or_path: str) -> Iterator[None]:
    """Whatever goes wrong inside while a checkpoint is read is the user's to mend.

    Raises:
        UserError: with the cause in a few words, and the remedy.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"Expected a model at `name_or_path` {name_or_path!r} but {_said(error)}") from error
    except RuntimeError as error:
        if "ignore_mismatched_sizes" not in str(error):
            raise
        raise UserError(
            f"Expected a model at `name_or_path` {name_or_path!r} but its weights have other shapes than its "
            "config.json says; they are of different models: copy or download both again"
        ) from error


def _said(error: BaseException) -> str:
    causes = list(_causes(error))
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return "it is gated: accept its terms on its page and log in with `hf auth login`, or give a folder"
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return "the hub has no such model, or it is private: check the spelling, or log in with `hf auth login`"
    if any(isinstance(cause, HFValidationError) for cause in causes):
        return "there is no such folder, and it is no hub name (`owner/model`) either"
    if any(isinstance(cause, (LocalEntryNotFoundError, OfflineModeIsEnabled)) for cause in causes):
        if constants.HF_HUB_OFFLINE:
            return (
                "it is not in the local cache and HF_HUB_OFFLINE forbids to fetch it: unset that, or give the path of "
                "a folder that holds the model"
            )
        return "the hub cannot be reached: connect, or give the path of a folder that holds the model"
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "no file named" in reason or "does not appear to have a file named model.safetensors" in reason:
        return "it has no weights as safetensors; choose a revision or a conversion that has"
    return f"it cannot be read: {reason}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def read_config_dict(name_or_path: str, path: str) -> dict[str, Any]:
    """The checkpoint's configuration as it is written, of an architecture that is known.

    Args:
        name_or_path: what the user wrote.
        path: folder or hub name.

    Raises:
        UserError: if it cannot be read, or needs another transformers.
    """
    with reading(name_or_path):
        raw: dict[str, Any] = PreTrainedConfig.get_config_dict(path)[0]
    kind = raw.get("model_type")
    if not kind:
        raise UserError(
            f"Expected a model at `name_or_path` {name_or_path!r} but its config.json has no model_type; give one that "
            "transformers' `save_pretrained` wrote"
        )
    saved = raw.get("transformers_version")
    if kind not in CONFIG_MAPPING:
        newer = f"saved by transformers {saved}; " if _is_newer(saved) else ""
        raise UserError(
            f"Expected a model at `name_or_path` {name_or_path!r} of an architecture that transformers {__version__} "
            f"knows but it is of type {kind!r} ({newer}upgrade with `pip install -U transformers`)"
        )
    if _is_newer(saved):
        rank_zero_warn(
            f"{name_or_path} was saved by transformers {saved} and {__version__} is installed: settings that are new "
            "since are ignored; if its answers are odd, upgrade with `pip install -U transformers`"
        )
    return raw


def _is_newer(saved: str | None) -> bool:
    try:
        return saved is not None and Version(saved).release[:2] > Version(__version__).release[:2]
    except InvalidVersion:
        return False


def pickles_allowed() -> bool:
    """Whether the user trusts weights that are pickles."""
    return os.environ.get(ALLOW_PICKLE) == "1"


def check_weight_files(name_or_path: str, path: str) -> int | None:
    """Check that a folder holds all of its weights, whole, as safetensors.

    Args:
        name_or_path: what the user wrote.
        path: folder or hub name.

    Returns:
        Bytes of the weights' files; None for a hub name, where fetching checks them.

    Raises:
        UserError: naming a file and the remedy. Pickles (``.bin``) are refused unless they are allowed.
    """
    folder = Path(path)
    if not folder.is_dir():
        return None
    index = folder / _INDEX
    if index.is_file():
        try:
            names: list[str] = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        except (ValueError, KeyError, AttributeError) as error:
            raise UserError(f"Expected an index of weights in {index} but it cannot be read; copy it again") from error
    else:
        names = ["model.safetensors"]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing and index.is_file():
        raise UserError(
            f"Expected {len(names)} files of weights in {folder}, which {_INDEX} lists, but {len(missing)} are "
            f"missing, such as {missing[0]}; copy or download them again"
        )
    if missing:
        pickles = sorted(folder.glob("*.bin"))
        if pickles and pickles_allowed():
            return sum(file.stat().st_size for file in pickles)
        if pickles:
            raise UserError(
                f"Expected weights as safetensors in {folder} but there is only {pickles[0].name}, a pickle, a format "
                "that can run code when it is loaded; convert it where you trust it (`from_pretrained`, then "
                f"`save_pretrained` into another folder), or set {ALLOW_PICKLE}=1 to read it with torch's restricted "
                "unpickler"
            )
        raise UserError(f"Expected model.safetensors or {_INDEX} in {folder} but there are no weights; copy them there")
    return sum(_check_whole(folder / name) for name in names)


def check_complete(name_or_path: str, missing: Collection[str]) -> None:
    """Check that weights were found for everything; transformers makes up the others, with a warning.

    Raises:
        UserError: naming one.
    """
    if missing:
        raise UserError(
            f"Expected weights for all of {name_or_path!r} but {len(missing)} are missing, such as {min(missing)}, and "
            "would be random; config.json and weights are of different models: copy or download both again"
        )


def _check_whole(file: Path) -> int:
    """Compare the size with what the header says, without reading the weights; returns the size."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        if start == b"version ":
            raise UserError(f"Expected weights in {file} but it is a Git LFS pointer; run `git lfs pull` there")
        length = int.from_bytes(start, "little")
        try:
            if length > size:
                raise ValueError("header ends behind the file")
            header = json.loads(stream.read(length))
            end = 8 + length + max(v["data_offsets"][1] for k, v in header.items() if k != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"Expected safetensors in {file} but it is damaged; copy or download it again") from error
    if size < end:
        raise UserError(f"Expected {end} bytes in {file} but it has {size}; it was cut off: copy or download it again")
    return size
