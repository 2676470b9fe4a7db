"""Which modules of a transformers model are its vision tower, projector, language model and head."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

from torch import nn

Tower = Literal["vision", "projector", "language", "head"]


@dataclass(frozen=True)
class Towers:
    """Module names in the transformers model, by what the modules do.

    A projector may lie inside of the vision tower (Qwen's merger): a parameter belongs to the deepest module named.

    Attributes:
        vision: what turns pixels into features.
        projector: what brings them to the language model's width.
        language: the language model without its head.
        head: what turns hidden states into logits.
    """

    vision: tuple[str, ...]
    projector: tuple[str, ...]
    language: tuple[str, ...]
    head: tuple[str, ...] = ("lm_head",)

    def names(self) -> dict[Tower, tuple[str, ...]]:
        """Module names of each tower."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[misc]

    def modules(self, base: nn.Module) -> Mapping[Tower, list[nn.Module]]:
        """The modules themselves; ``base`` is the transformers model, adapters injected or not."""
        return {tower: [base.get_submodule(name) for name in names] for tower, names in self.names().items()}

    def of(self, parameter: str) -> Tower | None:
        """The tower of a parameter or module by its name, whatever stands before and behind; None if it is of none.

        >>> towers = Towers(("model.visual",), ("model.visual.merger",), ("model.language_model",))
        >>> towers.of("model.visual.blocks.0.attn.qkv.weight"), towers.of("lm_head.weight")
        ('vision', 'head')
        >>> towers.of("base_model.model.model.visual.merger.modules_to_save.default.mlp.0.weight")
        'projector'
        """
        found = [
            (len(name), tower)
            for tower, names in self.names().items()
            for name in names
            if re.search(rf"(?:^|\.){re.escape(name)}(?:\.|$)", parameter)
        ]
        return max(found)[1] if found else None
