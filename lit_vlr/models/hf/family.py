"""A vision-language model that transformers implements: loading it, and its passes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar

import torch
from peft import PeftModel
from torch import Tensor

from lit_vlr.errors import UserError
from lit_vlr.models.base import Generated
from lit_vlr.models.generation import end_tokens, generate_answers
from lit_vlr.models.hf.answers import packed_log_probs, row_log_probs
from lit_vlr.models.hf.features import ImageFeatures
from lit_vlr.models.hf.layout import Layout
from lit_vlr.models.hf.load import base_of, load_model
from lit_vlr.models.hf.towers import Tower, Towers
from lit_vlr.models.lora import Lora
from lit_vlr.models.sampling import Sampling
from lit_vlr.models.second_adapter import add_adapter, with_adapter
from lit_vlr.models.token_statistics import TokenStatistics
from lit_vlr.models.tokens import encode_rows
from lit_vlr.types import Batch, VLMOutput

LINEAR = "(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""Every linear layer of a Llama-like language model."""


class TransformersFamily(Layout):
    """What the families have in common; see `Settings` for the arguments."""

    language_targets: ClassVar[str] = rf".*language_model\..*\.{LINEAR}"
    """Regular expression of the language model's linear layers; the vision tower has layers of these names, too."""
    vision_targets: ClassVar[str]
    """Regular expression of the vision tower's layers that can have adapters."""
    packs: ClassVar[bool] = True
    """Whether attention is causal and nothing else, so that several answers can be packed behind one prompt."""
    joined: ClassVar[bool] = False
    """Whether transformers wants the features of all pictures in one tensor, not in a list."""

    @property
    def towers(self) -> Towers:
        """Which modules are what; by LLaVA's names, which most families have."""
        return Towers(("model.vision_tower",), ("model.multi_modal_projector",), ("model.language_model",))

    def tower_of(self, parameter: str) -> Tower | None:
        """The tower of a parameter, by its name."""
        return self.towers.of(parameter)

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """Every linear layer of the language model; of the vision tower's blocks only if asked."""
        lora = self.lora or Lora()
        wanted = {self.language_targets: lora.language, self.vision_targets: lora.vision}
        return tuple(target for target, asked in wanted.items() if asked)

    @property
    def quantization_skip(self) -> tuple[str, ...]:
        """Everything but the language model's body."""
        kept = (*self.towers.vision, *self.towers.projector, *self.towers.head)
        outer = [name for name in kept if not any(name.startswith(f"{other}.") for other in kept)]
        return tuple(rf".*{name.rsplit('.', 1)[1]}" if "." in name else name for name in outer)

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

    @property
    def ends(self) -> tuple[int, ...]:
        """The token that answers are trained to end with, and those that generation stops at."""
        return end_tokens(self.base, self.tokenizer, self.end)

    def encode_images(self, images: Tensor | Sequence[Tensor]) -> ImageFeatures:
        """Features of canvases in [0, 1], differentiable to every pixel; hand them to several questions."""
        inputs = self.pixel_inputs(list(images))
        outputs = self.base.model.get_image_features(
            pixel_values=self.cast(inputs.pop("pixel_values")), **inputs, return_dict=True
        )
        return ImageFeatures(tuple(outputs.pooler_output), joined=self.joined)

    def cast(self, pixels: Tensor) -> Tensor:
        """To the vision tower's dtype, which is the last thing that happens to a pixel."""
        (vision,) = self.towers.modules(self.base)["vision"]
        return pixels.to(vision.dtype)  # type: ignore[arg-type]  # a PreTrainedModel

    def image_features(self, images: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Projected features of each picture, (tokens_i, D)."""
        return self.encode_images(images).pooled

    def text_inputs(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None) -> dict[str, Tensor]:
        """What the model takes beside the tokens.

        Args:
            ids: tokens, (B, T).
            features: the pictures'.
            is_answer: True on tokens of a teacher-forced answer, (B, T); None if there are none.
        """
        return {}

    def packed_positions(self, ids: Tensor, positions: Tensor, features: ImageFeatures) -> Tensor:
        """Position ids of packed answers from their places (B, L); see `pack_answers`."""
        return positions

    def body(self, ids: Tensor, features: ImageFeatures, is_answer: Tensor | None = None, **more: Any) -> Tensor:  # noqa: ANN401
        """Last hidden states, (B, T, D)."""
        self._check_placeholders(ids, features)
        extra = self.text_inputs(ids, features, is_answer)
        hidden: Tensor = self.base.model(
            input_ids=ids, use_cache=False, **features.inputs(), **extra, **more
        ).last_hidden_state
        return hidden

    def _check_placeholders(self, ids: Tensor, features: ImageFeatures) -> None:
        """Row by row: transformers compares the sums of the batch, in which two mistakes can cancel out.

        Raises:
            UserError: if a row has another number of placeholders than its picture has features.
        """
        found = (ids == self.config.image_token_id).sum(1).tolist()
        wanted = [len(pooled) for pooled in features.pooled]
        for row, (n, m) in enumerate(zip(found, wanted, strict=True)):
            if n != m:
                raise UserError(
                    f"Expected {m} picture placeholders in row {row} but got {n}; lay prompts out with `collate` for "
                    "pictures of this size, and truncate no text through the picture (see `max_length`)"
                )

    @property
    def hidden_size(self) -> int:
        """Width of the language model."""
        return int(self.config.get_text_config().hidden_size)

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
        self._check_placeholders(ids, features)
        inputs = {"input_ids": ids, "attention_mask": mask, **features.inputs(), **self.text_inputs(ids, features)}
        return generate_answers(self.base, self.tokenizer, inputs, max_new_tokens, watch, self.ends)

    def answer_log_probs(self, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """One pass; with prompt and picture once a row and the answers packed behind them where attention allows."""
        features = self.encode_images(batch.images)
        return (packed_log_probs if self.packs else row_log_probs)(self, batch, answers, features)

    def option_log_probs(self, batch: Batch, prompts: Sequence[str], options: Sequence[str]) -> Tensor:
        """Log-probability that each option follows a prompt, from one pass; the head sees the last position only."""
        ids = [self.encode(prompt, image) for prompt, image in zip(prompts, batch.images, strict=True)]
        rows = encode_rows(ids, [[]] * len(ids), self.pad)  # right-padded: positions count from 0
        device = batch.prompt_ids.device
        tokens = torch.tensor([self.option_tokens(prompt, options) for prompt in prompts], device=device)
        mask = rows["attention_mask"].to(device)
        hidden = self.body(rows["input_ids"].to(device), self.encode_images(batch.images), attention_mask=mask)
        last = hidden[torch.arange(len(batch), device=device), mask.sum(1) - 1]
        return self.head(last).float().log_softmax(-1).gather(1, tokens)

    def add_adapter(self, name: str) -> None:
        """Another adapter on the language model, or where that has none on what has one."""
        if self.gradient_checkpointing:
            raise UserError(
                f"Expected `gradient_checkpointing: false` with a further adapter, {name!r}: what is recomputed in the "
                "backward pass would be computed without it"
            )
        lora = self.lora or Lora()
        add_adapter(self.model, name, (self.language_targets,) if lora.language else self.lora_targets)

    def adapter(self, name: str) -> AbstractContextManager[None]:
        """Passes with a further adapter on."""
        return with_adapter(self.model, name)

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
