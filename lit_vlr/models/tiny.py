"""The embedded base model: a LLaVA of 2.2 million parameters that ships in the wheel. See its model card."""

from __future__ import annotations

from pathlib import Path

TINY_LLAVA = Path(__file__).parent.parent / "assets" / "tiny_llava"
EMBEDDED = {"tiny-llava": TINY_LLAVA}


def resolve(name_or_path: str) -> str:
    """Turn the name of an embedded model into its folder; leave anything else as it is."""
    return str(EMBEDDED.get(name_or_path, name_or_path))
