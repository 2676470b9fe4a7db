"""From the names in a released checkpoint to the modules here, and back.

Registered with transformers, which applies it on load (before it quantises) and reverses it on save.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Chunk, WeightConverter, WeightRenaming

_LAYER = (r"^transformer\.h\.(\d+)\.", r"^model\.language_model\.layers\.(\d+)\.")
_IN_LAYER = {  # SwiGLU here is w1(x) · silu(w2(x)): w2 is the gate
    r"ln_1\.": r"input_layernorm\.",
    r"ln_2\.": r"post_attention_layernorm\.",
    r"attn\.c_proj\.": r"self_attn\.o_proj\.",
    r"mlp\.w1\.": r"mlp\.up_proj\.",
    r"mlp\.w2\.": r"mlp\.gate_proj\.",
    r"mlp\.c_proj\.": r"mlp\.down_proj\.",
    r"attn\.c_attn\.": r"attn\.c_attn\.",  # moved with its layer; `conversions` splits it
}
_ELSEWHERE = {
    r"^transformer\.wte\.": r"^model\.language_model\.embed_tokens\.",
    r"^transformer\.ln_f\.": r"^model\.language_model\.norm\.",
    r"^transformer\.visual\.(attn_pool|ln_post|proj)": r"^model\.multi_modal_projector\.(attn_pool|ln_post|proj)",
    r"^transformer\.visual\.(conv1|positional_embedding|ln_pre|transformer)": (
        r"^model\.vision_tower\.(conv1|positional_embedding|ln_pre|transformer)"
    ),
}
RENAMES = {**_ELSEWHERE, **{_LAYER[0] + old: _LAYER[1] + new for old, new in _IN_LAYER.items()}}
"""Regular expressions, original to ours; at most one matches a name."""

# No groups in these: `Chunk` takes the targets as they are written, and `\1` would stay in the names.
FUSED = "attn.c_attn"
SPLIT = tuple(f"self_attn.{part}_proj" for part in "qkv")


def conversions() -> list[WeightRenaming | WeightConverter]:
    """What transformers takes: renames, and queries, keys and values cut out of ``c_attn``."""
    renames = [WeightRenaming(old, new) for old, new in RENAMES.items()]
    return [*renames, WeightConverter([FUSED], list(SPLIT), operations=[Chunk(dim=0)])]


def original_names(names: Iterable[str]) -> list[str]:
    """What our parameters are called in a checkpoint, for messages; sorted, each once."""
    return sorted({_original_name(name) for name in names})


def _original_name(name: str) -> str:
    for part in SPLIT:
        name = name.replace(part, FUSED)
    for old, new in RENAMES.items():
        match = re.match(new, name)
        if match:
            plain = old.removeprefix("^").replace("\\.", ".")
            kept = match.group(1) if match.groups() else ""
            return re.sub(r"\(.*\)", lambda _: kept, plain) + name[match.end() :]  # noqa: B023 - used at once
    return name


def register(class_name: str) -> None:
    """Tell transformers; by class name, for plain Qwen has the same model type."""
    register_checkpoint_conversion_mapping(class_name, conversions(), overwrite=True)
