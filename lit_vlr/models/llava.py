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
from transformers import AutoConfig, AutoTokenizer, LlavaForConditionalGeneration, LogitsProcessorList

from lit_vlr.confidence.token_log_probs import TokenLogProbs
from lit_vlr.data.images import load_image
from lit_vlr.errors import UserError
from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.lora import Lora, add_adapters
from lit_vlr.models.quantization import Quantization, assert_quantized, guard_cpu_kernels
from lit_vlr.models.tiny import resolve
from lit_vlr.models.tokens import encode_rows
from lit_vlr.types import Batch, Sample, VLMOutput

_IMAGE = "<image>"


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
        if prompt.count(_IMAGE) != 1 or "{question}" not in prompt:
            raise UserError(f"Expected `prompt` with one {_IMAGE} and a {{question}} but got {prompt!r}")
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
        bos = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        prompts = []
        for sample in samples:
            if not sample.question.strip():
                raise UserError(f"Expected a question but {sample.uid} has an empty one; remove or mend the row")
            text = self.prompt.replace("{question}", sample.question.replace(_IMAGE, ""))
            text = text.replace(_IMAGE, _IMAGE * self.image_tokens)
            prompts.append(bos + self.tokenizer.encode(text, add_special_tokens=False))
        answers = [
            [*self.tokenizer.encode(f" {target}", add_special_tokens=False), self.tokenizer.eos_token_id]
            for target in targets
        ]
        images = torch.stack([self._canvas(load_image(sample.image, sample.uid)) for sample in samples])
        rows = encode_rows(prompts, answers, self.tokenizer.pad_token_id)
        return Batch(images=images, **rows, samples=tuple(samples), targets=tuple(targets))

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
        watch = TokenLogProbs()
        base: Any = self.base  # `generate` annotates its `self` with a protocol that mypy does not match
        ids = base.generate(
            input_ids=batch.prompt_ids,
            attention_mask=batch.prompt_mask,
            pixel_values=self._pixel_values(_one_tensor(batch.images)),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            logits_processor=LogitsProcessorList([watch]),
            pad_token_id=self.tokenizer.pad_token_id,
        )
        new = ids[:, batch.prompt_ids.shape[1] :]
        ended = (new == self.tokenizer.eos_token_id).int()
        mask = ended.cumsum(1) - ended == 0  # up to and with the end token
        texts = self.tokenizer.batch_decode(
            new.masked_fill(~mask, self.tokenizer.pad_token_id), skip_special_tokens=True
        )
        log_probs = watch.log_probs()[:, : new.shape[1]]
        return Generated(tuple(t.strip() for t in texts), log_probs.masked_fill(~mask, 0.0), mask)

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
