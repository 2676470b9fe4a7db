"""LLaVA-NeXT (LLaVA-1.6): LLaVA that also looks at tiles of the picture."""

from __future__ import annotations

from lit_vlr.models.hf.anyres import AnyResolutionFamily


class LlavaNext(AnyResolutionFamily):
    """A LLaVA-NeXT checkpoint; see `lit_vlr.models.hf.settings.Settings` for the arguments.

    Reference:
        Liu et al., LLaVA-NeXT, llava-vl.github.io/blog/2024-01-30-llava-next.
    """

    title = "LLaVA-NeXT"
    model_types = ("llava_next",)
