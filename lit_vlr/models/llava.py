"""LLaVA-1.5: CLIP vision tower, two-layer projector, Llama. Also the embedded model is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoTokenizer, LlavaForConditionalGeneration

from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE, Generated, ModelFamily
from lit_vlr.models.generation import generate_answers
from lit_vlr.models.lora import Lora, add_adapters
from lit_vlr.models.quantization import Quantization, assert_quantized, guard_cpu_kernels
from lit_vlr.models.sampling import Sampling
from lit_vlr.models.tiny import resolve
from lit_vlr.models.token_statistics import TokenStatistics
from lit_vlr.models.tokens import encode_rows, pack_answers
from lit_vlr.types import Batch, Sample, VLMOutput


class Llava(ModelFamily):
    """A LLaVA checkpoint under QLoRA.

    Args:
        name_or_path: ``tiny-llava`` (embedded), a folder, or a hub name.
        quantization: how the language model is held; vision tower and projector are never quantised.
        lora: adapters; None trains none (evaluation of the base model).
        prompt: the text around the question; ``{question}`` and one ``<image>``.
        image_size: side that pictures are resized to; None takes the vision tower's own.
        image_mean: channel means in [0, 1] units.
        image_std: channel standard deviations.
        gradient_checkpointing: recompute activations in the backward pass (non-reentrant, as attacks require).

    Raises:
        UserError: if the checkpoint is missing or of another architecture, or the prompt lacks a field.
    """

    def __init__(
        self,
        name_or_path: str = "tiny-llava",
        quantization: Quantization = Quantization(),  # noqa: B008 - frozen
        lora: Lora | None = Lora(),  # noqa: B008 - frozen
        prompt: str = "<image>\n{question}\nAnswer:",
        image_size: int | None = None,
        image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073),
        image_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711),
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if prompt.count(IMAGE) != 1 or "{question}" not in prompt:
            raise UserError(f"Expected `prompt` with one {IMAGE} and a {{question}} but got {prompt!r}")
        self.name_or_path = name_or_path
        self.quantization = quantization
        self.lora = lora
        self.prompt = prompt
        self.gradient_checkpointing = gradient_checkpointing
        path = resolve(name_or_path)
        self.config = _read_config(path, name_or_path)
        self.image_size = image_size or self.config.vision_config.image_size
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(image_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(image_std).view(3, 1, 1), persistent=False)
        self.model: PeftModel | LlavaForConditionalGeneration | None = None

    @property
    def lora_targets(self) -> tuple[str, ...]:
        """Every linear layer of the language model; of the vision tower's blocks only if asked."""
        language = r".*language_model\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
        vision = r".*vision_tower\..*\.(patch_embedding|q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
        return (language, vision) if self.lora is not None and self.lora.vision else (language,)

    @property
    def quantization_skip(self) -> tuple[str, ...]:
        """Everything but the language model's body."""
        return (r".*vision_tower", r".*multi_modal_projector", "lm_head")

    @property
    def hidden_size(self) -> int:
        """Width of the language model."""
        return int(self.config.text_config.hidden_size)

    @property
    def image_tokens(self) -> int:
        """Placeholders a picture takes: one a patch (the class token is dropped)."""
        side = self.image_size // self.config.vision_config.patch_size
        extra = 0 if self.config.vision_feature_select_strategy == "default" else 1
        return int(side * side) + extra

    def load(self, device: torch.device) -> None:
        """Load, quantise, add adapters; checks that quantisation hit the language model and nothing else."""
        if self.model is not None:
            return
        dtype = self.quantization.dtype(device)
        model = LlavaForConditionalGeneration.from_pretrained(
            resolve(self.name_or_path),
            quantization_config=self.quantization.config(self.quantization_skip, dtype),
            dtype=dtype,
            device_map={"": device} if device.type == "cuda" else None,
        )
        if self.quantization.bits == 4:
            guard_cpu_kernels(model)
            assert_quantized(
                model.model.language_model, [model.model.vision_tower, model.model.multi_modal_projector, model.lm_head]
            )
        model.requires_grad_(False)
        if self.gradient_checkpointing:
            model.gradient_checkpointing_enable(  # type: ignore[no-untyped-call]
                gradient_checkpointing_kwargs={"use_reentrant": False}
            )
        self.model = (
            model if self.lora is None else add_adapters(model, self.lora, self.lora_targets, "multi_modal_projector")
        )
        self.model.train(self.training)  # transformers loads in eval mode

    @property
    def base(self) -> LlavaForConditionalGeneration:
        """The transformers model, adapters injected."""
        if self.model is None:
            raise RuntimeError("Expected a loaded model; call `load` first")
        base = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        assert isinstance(base, LlavaForConditionalGeneration)
        return base

    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Batch:
        """Prompts, answers and pictures of a batch; pictures become squares of `image_size` on one canvas."""
        prompts = []
        for sample in samples:
            if not sample.question.strip():
                raise UserError(f"Expected a question but {sample.uid} has an empty one; remove or mend the row")
            prompts.append(self._encode(self.prompt.replace("{question}", sample.question.replace(IMAGE, ""))))
        answers = [self.answer_tokens(target) for target in targets]
        images = torch.stack([self._canvas(load_image(sample.image, sample.uid)) for sample in samples])
        rows = encode_rows(prompts, answers, self.tokenizer.pad_token_id)
        return Batch(images=images, **rows, samples=tuple(samples), targets=tuple(targets))

    def _encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt, with as many placeholders as the picture takes."""
        bos = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        text = prompt.replace(IMAGE, IMAGE * self.image_tokens)
        return bos + list(self.tokenizer.encode(text, add_special_tokens=False))

    def _canvas(self, image: Tensor) -> Tensor:
        """Bring one picture to the model's square; what is attacked is this canvas."""
        size = (self.image_size, self.image_size)
        if tuple(image.shape[1:]) == size:
            return image
        resized = F.interpolate(image[None], size, mode="bicubic", antialias=True, align_corners=False)[0]
        return resized.clamp(0.0, 1.0)  # bicubic overshoots

    def _pixel_values(self, images: Tensor) -> Tensor:
        """Normalise; the cast to the compute dtype is the last thing that happens to a pixel."""
        normalised = (images - self.mean) / self.std
        return normalised.to(self.base.model.vision_tower.dtype)

    def image_features(self, images: Tensor) -> Tensor:
        """Projected features, (B, tokens, D)."""
        features: Any = self.base.model.get_image_features(
            pixel_values=self._pixel_values(images), return_dict=True
        ).pooler_output
        return torch.stack(list(features))

    def forward(self, batch: Batch) -> VLMOutput:
        """One teacher-forced pass; the head sees the answer positions only."""
        model = self.base
        outputs = model.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            pixel_values=self._pixel_values(_one_tensor(batch.images)),
            use_cache=False,
        )
        hidden = outputs.last_hidden_state
        predicts = batch.labels[:, 1:] != -100  # position t predicts token t + 1
        rows, positions = predicts.nonzero(as_tuple=True)
        answer_hidden = hidden[rows, positions]
        first = predicts.int().argmax(1)
        image_features = outputs.image_hidden_states.view(len(batch), -1, hidden.shape[-1])
        return VLMOutput(
            answer_logits=model.lm_head(answer_hidden),
            answer_labels=batch.labels[:, 1:][predicts],
            answer_rows=rows,
            answer_hidden=answer_hidden,
            image_features=image_features.mean(1),
            question_features=hidden[torch.arange(len(batch), device=hidden.device), first],
        )

    @torch.no_grad()
    def generate(self, batch: Batch, max_new_tokens: int) -> Generated:
        """Greedy answers of left-padded prompts; the batch size does not change them."""
        inputs = {
            "input_ids": batch.prompt_ids,
            "attention_mask": batch.prompt_mask,
            "pixel_values": self._pixel_values(_one_tensor(batch.images)),
        }
        return generate_answers(self.base, self.tokenizer, inputs, max_new_tokens, TokenStatistics())

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
        vision: Any = self.base.model.get_image_features(
            pixel_values=self._pixel_values(_one_tensor(batch.images)), return_dict=True
        )
        vision.pooler_output = [features for features in vision.pooler_output for _ in range(k)]
        inputs = {
            "input_ids": batch.prompt_ids.repeat_interleave(k, 0),
            "attention_mask": batch.prompt_mask.repeat_interleave(k, 0),
            "mm_encoder_outputs": {"image": vision},
        }
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
        model = self.base
        hidden = model.model(
            input_ids=packed.input_ids,
            attention_mask=self._attention_mask(packed.allowed),
            position_ids=packed.position_ids,
            pixel_values=self._pixel_values(_one_tensor(batch.images)),
            use_cache=False,
        ).last_hidden_state
        logits = model.lm_head(hidden[packed.rows, packed.places]).float()
        log_probs: Tensor = logits.log_softmax(-1).gather(1, packed.labels[:, None])[:, 0]
        k = max(map(len, answers))
        sums = log_probs.new_zeros(len(batch) * k).index_add(0, packed.rows * k + packed.answers, log_probs)
        counts = torch.tensor([len(choices) for choices in answers], device=sums.device)
        missing = torch.arange(k, device=sums.device) >= counts[:, None]
        return sums.view(len(batch), k).masked_fill(missing, float("-inf"))

    def _attention_mask(self, allowed: Tensor) -> Tensor:
        """A mask (B, L, L) as the language model's attention takes it."""
        language = self.base.model.language_model
        match language.config._attn_implementation:
            case "sdpa":
                return allowed[:, None]
            case "eager":
                dtype = language.get_input_embeddings().weight.dtype
                return torch.zeros_like(allowed, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)[:, None]
            case other:
                raise UserError(
                    f"Expected attention `sdpa` or `eager`, which take any mask, but {self.name_or_path} has "
                    f"{other!r}; load it with one of these"
                )

    def option_tokens(self, prompt: str, options: Sequence[str]) -> list[int]:
        """The token that each option is after a prompt: tokenizers cut the same letters otherwise after a space."""
        before = self._encode(prompt)
        tokens = []
        for option in options:
            ids = self._encode(prompt + option)
            if ids[:-1] != before:
                pieces = self.tokenizer.convert_ids_to_tokens(self.tokenizer.encode(option, add_special_tokens=False))
                raise UserError(
                    f"Expected {option!r} to be one token after {prompt[-20:]!r} but the tokenizer of "
                    f"{self.name_or_path} makes {pieces} of it; choose options that are single tokens, such as 'A' and "
                    "'B' after an opening bracket"
                )
            tokens.append(ids[-1])
        return tokens

    @torch.no_grad()
    def option_log_probs(self, batch: Batch, prompts: Sequence[str], options: Sequence[str]) -> Tensor:
        """Log-probability that each option follows a prompt, from one pass; the head sees the last position only."""
        rows = encode_rows([self._encode(p) for p in prompts], [[]] * len(prompts), self.tokenizer.pad_token_id)
        device = batch.prompt_ids.device
        mask = rows["prompt_mask"].to(device)
        tokens = torch.tensor([self.option_tokens(prompt, options) for prompt in prompts], device=device)
        model = self.base
        hidden = model.model(
            input_ids=rows["prompt_ids"].to(device),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            pixel_values=self._pixel_values(_one_tensor(batch.images)),
            use_cache=False,
        ).last_hidden_state
        log_probs: Tensor = model.lm_head(hidden[:, -1]).float().log_softmax(-1)
        return log_probs.gather(1, tokens)

    def describe(self) -> str:
        """Name, quantisation and adapters."""
        adapters = "no adapters" if self.lora is None else f"LoRA r={self.lora.r}{', vision too' * self.lora.vision}"
        held = f"{self.quantization.quant_type}" if self.quantization.bits == 4 else "unquantised"
        return f"{type(self).__name__} {self.name_or_path} ({held}; {adapters})"

    def save_adapter(self, folder: str) -> None:
        """Write the PEFT folder, with the tokenizer beside it."""
        if not isinstance(self.model, PeftModel):
            raise UserError("Expected a model with adapters but `lora` is null; there is nothing to save")
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _one_tensor(images: Tensor | list[Tensor]) -> Tensor:
    return torch.stack(images) if isinstance(images, list) else images


def _read_config(path: str, name: str) -> Any:  # noqa: ANN401 - transformers' configurations have no common type
    """The checkpoint's configuration, or an error that says what is wrong with it."""
    if Path(path).is_dir() and not (Path(path) / "config.json").exists():
        raise UserError(f"Expected a checkpoint in {path} but it has no config.json; `name_or_path` is a model folder")
    try:
        config = AutoConfig.from_pretrained(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"Expected a model at `name_or_path` {name!r} but it cannot be read: {reason}") from error
    if config.model_type != "llava":
        raise UserError(
            f"Expected a LLaVA checkpoint but {name!r} is of type {config.model_type!r}; use that family's class"
        )
    side = config.vision_config.image_size / config.vision_config.patch_size
    if not math.isclose(side, round(side)):
        raise UserError(f"Expected a picture of whole patches but {name!r} has {side:.2f} a side")
    return config
