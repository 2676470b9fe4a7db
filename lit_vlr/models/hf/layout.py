"""How a family lays out pictures and prompts: everything that needs no weights."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from lit_vlr.data.images import load_image
from lit_vlr.errors import ImageError, UserError
from lit_vlr.models.base import IMAGE
from lit_vlr.models.hf.prompts import continuation, end_token, special_tokens, without
from lit_vlr.models.hf.settings import Settings
from lit_vlr.models.pixels import Resample, resample_of, resize
from lit_vlr.models.tokens import encode_rows
from lit_vlr.types import Batch, Sample

LEAST_SIDE, GREATEST_RATIO = 2, 200  # what Qwen's processor accepts; the others would cut such pictures to nothing


class Layout(Settings):
    """A family without its weights: pictures become canvases and model inputs, questions become tokens."""

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
        ids = self._asked(question, image)
        most = self.max_length
        if most is None or len(ids) <= most:
            return ids
        # By characters: half of a character's bytes, decoded and encoded again, can be more tokens than the whole was.
        kept = bisect_left(
            range(1, len(question) + 1), True, key=lambda n: len(self._asked(question[:n], image)) > most
        )
        if not kept:
            raise UserError(
                f"Expected `max_length` above {len(self._asked('', image))}, which the picture of {sample.uid} and the "
                f"text around the question take, but got {most}; raise it, or lower `image_size`"
            )
        return self._asked(question[:kept], image)

    def _asked(self, question: str, image: Tensor) -> list[int]:
        return self.encode(self.prompt.replace("{question}", question), image)

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
        banned = self._special.difference(self.answer_specials)
        return [*continuation(self.tokenizer, context, space + without(text, banned)), self.end]

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
