"""A vision-language model that transformers implements: everything but how its pictures and prompts are laid out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import torch
from peft import PeftModel
from torch import Tensor

from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE, Generated, ModelFamily
from lit_vlr.models.generation import generate_answers
from lit_vlr.models.hf.checkpoint import is_local, read_config, read_tokenizer
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.load import base_of, load_model
from lit_vlr.models.hf.packing import attention_mask, sum_by_answer
from lit_vlr.models.hf.towers import Towers
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.sampling import Sampling
from lit_vlr.models.token_statistics import TokenStatistics
from lit_vlr.models.tokens import encode_rows, pack_answers
from lit_vlr.types import Batch, Sample, VLMOutput


class TransformersFamily(ModelFamily):
    """What the families have in common. A family's file adds what the abstract members ask for.

    Constructing one reads a local checkpoint's configuration and nothing from a hub.

    Args:
        name_or_path: the name of an embedded model, a folder, or a hub name.
        quantization: how the language model is held; nothing else is ever quantised.
        lora: adapters; None trains none (evaluation of the base model).
        prompt: the text around the question; ``{question}`` and one ``<image>``.
        gradient_checkpointing: recompute activations in the backward pass (non-reentrant, as attacks require).

    Raises:
        UserError: if a local checkpoint is missing or of another architecture, or the prompt lacks a field.
    """

    title: ClassVar[str]
    """What the family is called."""
    model_types: ClassVar[tuple[str, ...]]
    """What transformers calls its architectures."""

    def __init__(
        self,
        name_or_path: str,
        quantization: Quantization,
        lora: Lora | None,
        prompt: str,
        gradient_checkpointing: bool,
    ) -> None:
        super().__init__()
        if prompt.count(IMAGE) != 1 or "{question}" not in prompt:
            raise UserError(f"Expected `prompt` with one {IMAGE} and a {{question}} but got {prompt!r}")
        self.name_or_path = name_or_path
        self.quantization = quantization
        self.lora = lora
        self.prompt = prompt
        self.gradient_checkpointing = gradient_checkpointing
        self.model: Any = None
        if self.is_local:
            self.config  # noqa: B018 - a mistake is said at once where that needs no hub

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

    def check_config(self, config: Any) -> None:  # noqa: ANN401 - a hook
        """Raise a `UserError` about a configuration that the family cannot serve."""

    @property
    @abstractmethod
    def towers(self) -> Towers:
        """Which modules are what."""

    @property
    @abstractmethod
    def language_targets(self) -> str:
        """Regular expression of the language model's linear layers."""

    @property
    @abstractmethod
    def vision_targets(self) -> str:
        """Regular expression of the vision tower's layers that can have adapters."""

    @abstractmethod
    def canvas(self, image: Tensor) -> Tensor:
        """Bring one picture (3, H, W) to the size at which it is attacked."""

    @abstractmethod
    def image_text(self, height: int, width: int) -> str:
        """What stands for ``<image>`` in the prompt of a canvas: as many placeholders as it has features."""

    @abstractmethod
    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """Features of canvases in [0, 1], differentiable to every pixel; hand them to several questions."""

    def text_inputs(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None) -> dict[str, Tensor]:
        """What the model takes beside the tokens.

        Args:
            ids: tokens, (B, T).
            features: the pictures'.
            is_answer: True on tokens of a teacher-forced answer, (B, T); None if there are none.
        """
        return {}

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """Every linear layer of the language model; of the vision tower's blocks only if asked."""
        vision = self.lora is not None and self.lora.vision
        return (self.language_targets, self.vision_targets) if vision else (self.language_targets,)

    @property
    def quantization_skip(self) -> tuple[str, ...]:
        """Everything but the language model's body."""
        kept = (*self.towers.vision, *self.towers.projector, *self.towers.head)
        return tuple(name if "." not in name else rf".*{name.rsplit('.', 1)[1]}" for name in kept)

    def load(self, device: torch.device) -> None:
        """Load, quantise, add adapters."""
        if self.model is not None:
            return
        _ = self.config  # says what is wrong with the checkpoint better than the weights would
        self.model = load_model(
            self.name_or_path,
            self.towers,
            self.quantization,
            self.quantization_skip,
            self.lora,
            self.lora_targets,
            self.gradient_checkpointing,
            device,
        )
        self.model.train(self.training)  # transformers loads in eval mode

    @property
    def base(self) -> Any:  # noqa: ANN401
        """The transformers model, adapters injected."""
        return base_of(self.model)

    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Batch:
        """Prompts, answers and canvases of a batch."""
        prompts, images = [], []
        for sample in samples:
            if not sample.question.strip():
                raise UserError(f"Expected a question but {sample.uid} has an empty one; remove or mend the row")
            image = self.canvas(load_image(sample.image, sample.uid))
            question = sample.question.replace(IMAGE, "")
            prompts.append(self.encode(self.prompt.replace("{question}", question), image))
            images.append(image)
        answers = [self.answer_tokens(target) for target in targets]
        rows = encode_rows(prompts, answers, self.tokenizer.pad_token_id)
        same = all(image.shape == images[0].shape for image in images)
        canvases = torch.stack(images) if same else images
        return Batch(images=canvases, **rows, samples=tuple(samples), targets=tuple(targets))

    def encode(self, prompt: str, image: Tensor) -> list[int]:
        """Token ids of a prompt, with as many placeholders as its canvas has features."""
        bos = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        text = prompt.replace(IMAGE, self.image_text(image.shape[-2], image.shape[-1]))
        return bos + list(self.tokenizer.encode(text, add_special_tokens=False))

    def image_features(self, images: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projected features of each picture, (tokens_i, D)."""
        return self.encode_images(images).pooled

    def body(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None, **more: Any) -> Tensor:  # noqa: ANN401
        """Last hidden states, (B, T, D)."""
        extra = self.text_inputs(ids, features, is_answer)
        hidden: Tensor = self.base.model(
            input_ids=ids, use_cache=False, **features.inputs(), **extra, **more
        ).last_hidden_state
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """Logits of some positions, (N, D) to (N, V)."""
        logits: Tensor = self.base.lm_head(hidden)
        return logits

    def forward(self, batch: Batch, features: ImageFeatures | None = None) -> VLMOutput:
        """One teacher-forced pass; the head sees the answer positions only.

        transformers' own ``labels`` would make the logits of the whole sequence, and ``logits_to_keep`` with a mask of
        a batch copies the head once a sample: so the body's hidden states are taken and selected here.

        Args:
            batch: pictures, prompts and answers.
            features: of the pictures, one a row, where they are known; else they are computed, with gradients.
        """
        features = self.encode_images(batch.images) if features is None else features
        is_answer = batch.labels != -100
        hidden = self.body(batch.input_ids, features, is_answer, attention_mask=batch.attention_mask)
        predicts = is_answer[:, 1:]  # position t predicts token t + 1
        rows, positions = predicts.nonzero(as_tuple=True)
        answer_hidden = hidden[rows, positions]
        first = predicts.int().argmax(1)
        return VLMOutput(
            answer_logits=self.head(answer_hidden),
            answer_labels=batch.labels[:, 1:][predicts],
            answer_rows=rows,
            answer_hidden=answer_hidden,
            image_features=torch.stack([pooled.mean(0) for pooled in features.pooled]),
            question_features=hidden[torch.arange(len(batch), device=hidden.device), first],
        )

    @torch.no_grad()
    def generate(self, batch: Batch, max_new_tokens: int, features: ImageFeatures | None = None) -> Generated:
        """Greedy answers of left-padded prompts; the batch size does not change them."""
        features = self.encode_images(batch.images) if features is None else features
        return self._generate(batch.prompt_ids, batch.prompt_mask, features, max_new_tokens, TokenStatistics())

    @torch.no_grad()
    def sample(self, batch: Batch, max_new_tokens: int, sampling: Sampling) -> Generated:
        """K answers a row in one pass of B · K rows; the vision tower sees each picture once."""
        draws = sampling.draws([sample.uid for sample in batch.samples], max_new_tokens)
        watch = TokenStatistics(draws.to(batch.prompt_ids.device), sampling.temperature)
        return self._generate_repeated(batch, sampling.samples, max_new_tokens, watch)

    @torch.no_grad()
    def alternatives(self, batch: Batch, max_new_tokens: int, k: int) -> Generated:
        """K answers a row in one pass of B · K rows; the vision tower sees each picture once."""
        ranks = torch.arange(k, device=batch.prompt_ids.device).repeat(len(batch))
        return self._generate_repeated(batch, k, max_new_tokens, TokenStatistics(first_ranks=ranks))

    def _generate_repeated(self, batch: Batch, k: int, max_new_tokens: int, watch: TokenStatistics) -> Generated:
        ids, mask = batch.prompt_ids.repeat_interleave(k, 0), batch.prompt_mask.repeat_interleave(k, 0)
        return self._generate(ids, mask, self.encode_images(batch.images).repeat(k), max_new_tokens, watch)

    def _generate(
        self, ids: Tensor, mask: Tensor, features: ImageFeatures, max_new_tokens: int, watch: TokenStatistics
    ) -> Generated:
        inputs = {"input_ids": ids, "attention_mask": mask, **features.inputs(), **self.text_inputs(ids, features)}
        return generate_answers(self.base, self.tokenizer, inputs, max_new_tokens, watch)

    def answer_tokens(self, text: str) -> list[int]:
        """A space, the answer, the end token."""
        return [*self.tokenizer.encode(f" {text}", add_special_tokens=False), self.tokenizer.eos_token_id]

    def answer_text(self, tokens: Sequence[int]) -> str:
        """The text, stripped; special tokens are no text."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()

    def answer_log_probs(self, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """One pass, with prompt and picture once a row and the answers packed behind them; see `pack_answers`."""
        prompts = [ids[mask.bool()].tolist() for ids, mask in zip(batch.prompt_ids, batch.prompt_mask, strict=True)]
        packed = pack_answers(prompts, answers, self.tokenizer.pad_token_id).to(batch.prompt_ids.device)
        (language,) = self.towers.modules(self.base)["language"]
        hidden = self.body(
            packed.input_ids,
            self.encode_images(batch.images),
            attention_mask=attention_mask(packed.allowed, language, self.name_or_path),
            position_ids=packed.position_ids,
        )
        logits = self.head(hidden[packed.rows, packed.places]).float()
        log_probs = logits.log_softmax(-1).gather(1, packed.labels[:, None])[:, 0]
        return sum_by_answer(log_probs, packed, answers)

    def option_tokens(self, prompt: str, options: Sequence[str]) -> list[int]:
        """The token that each option is after a prompt: tokenizers cut the same letters otherwise after a space."""
        before = self._encode_without_picture(prompt)
        tokens = []
        for option in options:
            ids = self._encode_without_picture(prompt + option)
            if ids[:-1] != before:
                pieces = self.tokenizer.convert_ids_to_tokens(self.tokenizer.encode(option, add_special_tokens=False))
                raise UserError(
                    f"Expected {option!r} to be one token after {prompt[-20:]!r} but the tokenizer of "
                    f"{self.name_or_path} makes {pieces} of it; choose options that are single tokens, such as 'A' and "
                    "'B' after an opening bracket"
                )
            tokens.append(ids[-1])
        return tokens

    def _encode_without_picture(self, prompt: str) -> list[int]:
        return list(self.tokenizer.encode(prompt.replace(IMAGE, ""), add_special_tokens=False))

    @torch.no_grad()
    def option_log_probs(self, batch: Batch, prompts: Sequence[str], options: Sequence[str]) -> Tensor:
        """Log-probability that each option follows a prompt, from one pass; the head sees the last position only."""
        ids = [self.encode(prompt, image) for prompt, image in zip(prompts, batch.images, strict=True)]
        rows = encode_rows(ids, [[]] * len(ids), self.tokenizer.pad_token_id)  # right-padded: positions count from 0
        device = batch.prompt_ids.device
        tokens = torch.tensor([self.option_tokens(prompt, options) for prompt in prompts], device=device)
        mask = rows["attention_mask"].to(device)
        hidden = self.body(rows["input_ids"].to(device), self.encode_images(batch.images), attention_mask=mask)
        last = hidden[torch.arange(len(batch), device=device), mask.sum(1) - 1]
        return self.head(last).float().log_softmax(-1).gather(1, tokens)

    def describe(self) -> str:
        """Name, quantisation and adapters."""
        adapters = "no adapters" if self.lora is None else f"LoRA r={self.lora.r}{', vision too' * self.lora.vision}"
        return f"{type(self).__name__} {self.name_or_path} ({self.quantization.describe()}; {adapters})"

    def save_adapter(self, folder: str) -> None:
        """Write the PEFT folder, with the tokenizer beside it."""
        if not isinstance(self.model, PeftModel):
            raise UserError("Expected a model with adapters but `lora` is null; there is nothing to save")
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
