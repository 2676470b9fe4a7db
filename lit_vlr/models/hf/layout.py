"""How a family lays out pictures and prompts: everything that needs no weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from lit_vlr.data.images import load_image
from lit_vlr.errors import ImageError, UserError
from lit_vlr.models.base import IMAGE, ModelFamily
from lit_vlr.models.hf.checkpoint import is_local, read_config, read_preprocessing, read_tokenizer
from lit_vlr.models.hf.prompts import chat_prompt, continuation, end_token, special_tokens, without
from lit_vlr.models.lora import Lora
from lit_vlr.models.pixels import Resample, resample_of, resize
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.tokens import encode_rows
from lit_vlr.types import Batch, Sample

Triple = tuple[float, float, float]
LEAST_SIDE, GREATEST_RATIO = 2, 200  # what Qwen's processor accepts; the others would cut such pictures to nothing


class Layout(ModelFamily):
    """A family without its weights. A family's file says what the class variables and abstract members ask for.

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

    @abstractmethod
    def image_text(self, height: int, width: int) -> str:
        """What stands for ``<image>`` in the prompt of a canvas: as many placeholders as it has features."""

    @abstractmethod
    def pixel_inputs(self, images: Sequence[Tensor]) -> dict[str, Tensor]:
        """What the checkpoint's image processor makes of canvases in [0, 1], differentiable to every pixel.

        Padding is made here, so that no attack reaches it.
        """

    @property
    def resample(self) -> Resample:
        """The filter that pictures are resized with."""
        return resample_of(self.preprocessing.get("resample", self.default_resample))

    @property
    def placeholder(self) -> str:
        """The token that an image feature stands in for."""
        return str(self.tokenizer.convert_ids_to_tokens(self.config.image_token_id))

    @property
    def pad(self) -> int:
        """Id to pad with; it is masked."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Subtract the means and divide by the deviations, (..., 3, H, W)."""
        mean = self._mean or self.preprocessing.get("image_mean", self.default_mean)
        std = self._std or self.preprocessing.get("image_std", self.default_std)

        def column(values: Sequence[float]) -> Tensor:
            return torch.tensor(values, dtype=pixels.dtype, device=pixels.device).view(3, 1, 1)

        return (pixels - column(mean)) / column(std)

    def canvas_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the canvas of a picture."""
        match self._image_size:
            case None:
                return height, width
            case int(side):
                return side, side
            case (rows, columns):
                return rows, columns

    def canvas(self, image: Tensor) -> Tensor:
        """Bring one picture (3, H, W) to the size at which it is attacked."""
        return resize(image, *self.canvas_size(image.shape[-2], image.shape[-1]), self.resample)

    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Batch:
        """Prompts, answers and canvases of a batch; one tensor if the canvases have one size, else a list."""
        images = [self.canvas(_checked(load_image(sample.image, sample.uid), sample.uid)) for sample in samples]
        prompts = [self._prompt_of(sample, image) for sample, image in zip(samples, images, strict=True)]
        rows = encode_rows(prompts, [self.answer_tokens(target) for target in targets], self.pad)
        same = all(image.shape == images[0].shape for image in images)
        canvases = torch.stack(images) if same else images
        return Batch(images=canvases, **rows, samples=tuple(samples), targets=tuple(targets))

    def _prompt_of(self, sample: Sample, image: Tensor) -> list[int]:
        """Token ids of a sample's prompt; the question's end gives way if they are too many."""
        question = without(sample.question, self._special)
        if not question.strip():
            raise UserError(f"Expected a question but {sample.uid} has an empty one; remove or mend the row")
        ids = self.encode(self.prompt.replace("{question}", question), image)
        while self.max_length is not None and (excess := len(ids) - self.max_length) > 0:
            words = self.tokenizer.encode(question, add_special_tokens=False)
            if excess >= len(words):
                raise UserError(
                    f"Expected `max_length` above {len(ids) - len(words)}, which the picture of {sample.uid} and the "
                    f"text around the question take, but got {self.max_length}; raise it, or lower `image_size`"
                )
            question = self.tokenizer.decode(words[:-excess])
            ids = self.encode(self.prompt.replace("{question}", question), image)
        return ids

    @cached_property
    def _special(self) -> frozenset[str]:
        return special_tokens(self.tokenizer)

    def encode(self, prompt: str, image: Tensor) -> list[int]:
        """Token ids of a prompt with one ``<image>``, with as many placeholders as the canvas has features."""
        before, after = (without(part, {IMAGE, self.placeholder}) for part in prompt.split(IMAGE, 1))
        return self._tokens(before + self.image_text(image.shape[-2], image.shape[-1]) + after)

    def _tokens(self, text: str) -> list[int]:
        begin = self.tokenizer.bos_token
        wanted = self.begins and begin is not None and not text.startswith(begin)  # chat templates write it themselves
        start = [self.tokenizer.bos_token_id] if wanted else []
        return start + list(self.tokenizer.encode(text, add_special_tokens=False))

    @cached_property
    def end(self) -> int:
        """The token that ends an answer."""
        return end_token(self.tokenizer, self.end_tokens)

    def answer_tokens(self, text: str) -> list[int]:
        """The answer as it goes on from the prompt, behind a space unless that ends in one, and the end token."""
        context = self.prompt.split(IMAGE)[1].split("{question}")[-1]
        space = "" if context[-1:].isspace() else " "
        return [*continuation(self.tokenizer, context, space + without(text, self._special)), self.end]

    def answer_text(self, tokens: Sequence[int]) -> str:
        """The text, stripped; special tokens are no text."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    def option_tokens(self, prompt: str, options: Sequence[str]) -> list[int]:
        """The token that each option is after a prompt: tokenizers cut the same letters otherwise after a space."""
        text = prompt.replace(IMAGE, "")
        before = self._tokens(text)
        tokens = []
        for option in options:
            ids = self._tokens(text + option)
            if ids[:-1] != before:
                pieces = self.tokenizer.convert_ids_to_tokens(self.tokenizer.encode(option, add_special_tokens=False))
                raise UserError(
                    f"Expected {option!r} to be one token after {prompt[-20:]!r} but the tokenizer of "
                    f"{self.name_or_path} makes {pieces} of it; choose options that are single tokens, such as 'A' and "
                    "'B' after an opening bracket"
                )
            tokens.append(ids[-1])
        return tokens


def _checked(image: Tensor, uid: str) -> Tensor:
    """A picture that there is something to see in."""
    height, width = image.shape[-2:]
    if min(height, width) < LEAST_SIDE or max(height, width) > GREATEST_RATIO * min(height, width):
        raise ImageError(
            f"Expected a picture of at least {LEAST_SIDE} x {LEAST_SIDE} pixels and at most {GREATEST_RATIO} times as "
            f"long as wide but {uid} has {width} x {height}; remove the row"
        )
    return image
