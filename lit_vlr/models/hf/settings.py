"""What a family is made of: its settings, and what its checkpoint says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE, ModelFamily
from lit_vlr.models.hf.checkpoint import is_local, read_config, read_preprocessing, read_tokenizer
from lit_vlr.models.hf.prompts import chat_prompt
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization

Triple = tuple[float, float, float]


class Settings(ModelFamily):
    """A family's settings and checkpoint. A family's file says what the class variables ask for.

    Constructing one reads a local checkpoint's configuration and nothing from a hub.

    Args:
        name_or_path: the name of an embedded model, a folder, or a hub name.
        quantization: how the language model is held; nothing else is ever quantised.
        lora: adapters; None trains none (evaluation of the base model).
        prompt: the text around the question, with ``{question}`` and one ``<image>``; None takes the checkpoint's chat
            template if it has one, else the family's usual text.
        image_size: side, or height and width, of the canvas that pictures are brought to before they are attacked; None
            takes the size at which the family looks at a picture. Give one to have canvases of one size in a batch.
        image_mean: channel means in [0, 1] units; None takes the checkpoint's.
        image_std: channel standard deviations; None takes the checkpoint's.
        gradient_checkpointing: recompute activations in the backward pass (non-reentrant, as attacks require).
        processor: settings that replace those of the checkpoint's image processor, under transformers' names
            (``size``, ``max_pixels``, ``do_image_splitting``, ``max_patches``, …).
        max_length: longest prompt in tokens; a longer question loses its end, never the picture. None is no bound.

    Raises:
        UserError: if a local checkpoint is missing or of another architecture, or the prompt lacks a field.
    """

    title: ClassVar[str]
    """What the family is called."""
    model_types: ClassVar[tuple[str, ...]]
    """What transformers calls its architectures."""
    plain_prompt: ClassVar[str] = "<image>\n{question}\nAnswer:"
    """The prompt where the checkpoint has no chat template."""
    instruction: ClassVar[str] = "{question}\nAnswer the question using a single word or phrase."
    """What the user says where it has one."""
    marker: ClassVar[str] = IMAGE
    """What the family's chat templates write for a picture."""
    begins: ClassVar[bool] = True
    """Whether a prompt begins with the tokenizer's begin token, if there is one."""
    end_tokens: ClassVar[tuple[str, ...]] = ()
    """Tokens that end an answer, if they are in the vocabulary; else the tokenizer's end of text does."""
    answer_specials: ClassVar[tuple[str, ...]] = ()
    """Special tokens that an answer may hold."""
    default_mean: ClassVar[Triple] = (0.48145466, 0.4578275, 0.40821073)
    default_std: ClassVar[Triple] = (0.26862954, 0.26130258, 0.27577711)
    default_resample: ClassVar[int] = 3
    """Pillow's number of the filter."""

    def __init__(
        self,
        name_or_path: str,
        quantization: Quantization = Quantization(),  # noqa: B008 - frozen
        lora: Lora | None = Lora(),  # noqa: B008 - frozen
        prompt: str | None = None,
        image_size: int | tuple[int, int] | None = None,
        image_mean: Triple | None = None,
        image_std: Triple | None = None,
        gradient_checkpointing: bool = False,
        processor: Mapping[str, Any] | None = None,
        max_length: int | None = None,
    ) -> None:
        super().__init__()
        if prompt is not None and (prompt.count(IMAGE) != 1 or "{question}" not in prompt):
            raise UserError(f"Expected `prompt` with one {IMAGE} and a {{question}} but got {prompt!r}")
        if max_length is not None and max_length < 1:
            raise UserError(f"Expected `max_length` of at least 1 but got {max_length}; null is no bound")
        self.name_or_path = name_or_path
        self.quantization = quantization
        self.lora = lora
        self.gradient_checkpointing = gradient_checkpointing
        self.processor = dict(processor or {})
        self.max_length = max_length
        self.model: Any = None  # the transformers model, once it is loaded
        self._prompt, self._image_size, self._mean, self._std = prompt, image_size, image_mean, image_std
        if self.is_local:
            _ = self.config  # a mistake is said at once where that needs no hub

    @property
    def is_local(self) -> bool:
        """Whether the checkpoint can be read without a hub."""
        return is_local(self.name_or_path)

    @cached_property
    def config(self) -> Any:  # noqa: ANN401 - transformers' configurations have no common type
        """The checkpoint's configuration."""
        config = read_config(self.name_or_path, self.model_types, self.title)
        self.check_config(config)
        return config

    @cached_property
    def tokenizer(self) -> Any:  # noqa: ANN401
        """The checkpoint's tokenizer."""
        return read_tokenizer(self.name_or_path)

    @cached_property
    def preprocessing(self) -> dict[str, Any]:
        """Settings of the checkpoint's image processor, and the given ones over them."""
        return {**read_preprocessing(self.name_or_path), **self.processor}

    @cached_property
    def prompt(self) -> str:
        """The text around the question."""
        if self._prompt is not None:
            return self._prompt
        return chat_prompt(self.tokenizer, self.marker, self.instruction) or self.plain_prompt

    def check_config(self, config: Any) -> None:  # noqa: ANN401 - a hook
        """Raise a `UserError` about a configuration that the family cannot serve."""
