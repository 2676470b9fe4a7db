"""Which versions a number came from."""

from __future__ import annotations

from importlib.metadata import version

PACKAGES = ("torch", "lightning", "transformers", "peft", "bitsandbytes", "torchmetrics", "kornia", "numpy")


def versions() -> dict[str, str]:
    """Installed versions of lit_vlr and what it stands on."""
    from lit_vlr import __version__

    return {"lit_vlr": __version__, **{name: version(name) for name in PACKAGES}}
