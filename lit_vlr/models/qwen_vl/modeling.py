"""Vision tower, adapter and language model together."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPast, BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.modeling_utils import slice_logits_to_keep
from transformers.utils.generic import can_return_tuple

from lit_vlr.models.qwen_vl.adapter import AttentionPool, Projector
from lit_vlr.models.qwen_vl.checkpoint import load_checked, refuse_quantized
from lit_vlr.models.qwen_vl.configuration import QwenVLConfig
from lit_vlr.models.qwen_vl.language import QwenLanguageModel
from lit_vlr.models.qwen_vl.positions import sine_cosine_positions
from lit_vlr.models.qwen_vl.vision import VisionTower


@dataclass
class QwenVLModelOutput(BaseModelOutputWithPast):
    """What the body returns.

    Attributes:
        image_hidden_states: features of all pictures, one behind the other, (pictures · 256, D); None without any.
    """

    image_hidden_states: Tensor | None = None


class QwenVLPreTrainedModel(PreTrainedModel):
    """Loading, saving and initialisation."""

    config_class = QwenVLConfig
    config: QwenVLConfig
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012 - transformers declares it so
    supports_gradient_checkpointing = True
    _no_split_modules = ["Qwen2DecoderLayer", "Block", "AttentionPool"]  # noqa: RUF012
    _skip_keys_device_placement = ["past_key_values"]  # noqa: RUF012
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, AttentionPool):
            init.trunc_normal_(module.query, std=0.02)
            side = round(len(module.query) ** 0.5)
            init.copy_(module.pos_embed, sine_cosine_positions(module.query.shape[1], side))
        elif isinstance(module, Projector):
            init.normal_(module.proj, std=module.proj.shape[0] ** -0.5)
        elif isinstance(module, VisionTower):
            init.normal_(module.positional_embedding, std=module.positional_embedding.shape[1] ** -0.5)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls,
        pretrained_model_name_or_path: str | PathLike[str],
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Load an original checkpoint folder; as transformers', but what does not fit is an error, not a warning.

        Args:
            pretrained_model_name_or_path: a folder with ``config.json`` and weights (safetensors or ``.bin``, sharded
                or not) under the released names, or a hub name.
            *args: as transformers.
            **kwargs: as transformers: ``dtype``, ``quantization_config``, ``device_map``, …

        Raises:
            CheckpointError: if weights are missing, left over, of another shape, or the files are not there.
        """
        return load_checked(super().from_pretrained, pretrained_model_name_or_path, *args, **kwargs)

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Write the folder as the original one is: its names, its configuration.

        Raises:
            UserError: for a quantised model, whose packed weights have no place in the original's ``c_attn``.
        """
        refuse_quantized(self)
        super().save_pretrained(save_directory, *args, **kwargs)


class QwenVLModel(QwenVLPreTrainedModel):
    """Everything but the head."""

    def __init__(self, config: QwenVLConfig) -> None:
        super().__init__(config)
        self.vision_tower = VisionTower(config.vision_config)
        self.multi_modal_projector = Projector(config.vision_config)
        self.language_model = QwenLanguageModel._from_config(config.get_text_config())
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """Token embeddings."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embeddings."""
        self.language_model.set_input_embeddings(value)

    def get_image_features(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:  # noqa: ANN401
        """Features of normalised pictures (B, 3, S, S).

        Returns:
            ``last_hidden_state``, the vision tower's (B, patches, width); ``pooler_output``, one (256, D) a picture.
        """
        patches = self.vision_tower(pixel_values)
        pooled = self.multi_modal_projector(patches)
        features: Any = list(pooled)  # annotated as one tensor upstream
        return BaseModelOutputWithPooling(last_hidden_state=patches, pooler_output=features)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> QwenVLModelOutput:
        """As LLaVA's: each ``<imgpad>`` in ``input_ids`` becomes one image feature, in reading order.

        Raises:
            ValueError: for both or neither of ``input_ids`` and ``inputs_embeds``, both or pixels and features, or
                placeholders that are not as many as the features.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Expected one of `input_ids` and `inputs_embeds` but got both or neither; pass one")
        if pixel_values is not None and mm_encoder_outputs:
            raise ValueError("Expected one of `pixel_values` and `mm_encoder_outputs` but got both; pass one")
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        encoded = dict(mm_encoder_outputs or {}).get("image")
        if encoded is None and pixel_values is not None:
            encoded = self.get_image_features(pixel_values)
        features = None
        if encoded is not None:
            features = torch.cat(_features(encoded)).to(inputs_embeds.device, inputs_embeds.dtype)
            inputs_embeds = self._place(inputs_embeds, input_ids, features)
        outputs = self.language_model(
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        return QwenVLModelOutput(
            last_hidden_state=outputs.last_hidden_state,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            image_hidden_states=features,
        )

    def _place(self, embeddings: Tensor, input_ids: Tensor | None, features: Tensor) -> Tensor:
        """Image features in the places of their tokens."""
        if input_ids is None:
            token = torch.tensor(self.config.image_token_id, device=embeddings.device)
            here = (embeddings == self.get_input_embeddings()(token)).all(-1)
        else:
            here = input_ids == self.config.image_token_id
        if int(here.sum()) != len(features):
            raise ValueError(
                f"Expected as many <imgpad> tokens as image features but got {int(here.sum())} and {len(features)}; "
                "each picture takes 256, and a truncated prompt loses some"
            )
        return embeddings.masked_scatter(here[..., None], features)


class QwenVLForConditionalGeneration(QwenVLPreTrainedModel, GenerationMixin):
    """Qwen-VL with its language-model head; loads and saves the released checkpoint's names.

    Example:
        >>> import torch
        >>> from lit_vlr.models.qwen_vl import QwenVLConfig, QwenVLForConditionalGeneration
        >>> with torch.device("meta"):
        ...     model = QwenVLForConditionalGeneration(QwenVLConfig())
        >>> f"{sum(p.numel() for p in model.parameters()) / 1e9:.2f} billion"
        '9.66 billion'
    """

    def __init__(self, config: QwenVLConfig) -> None:
        super().__init__(config)
        self.model = QwenVLModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    def get_image_features(self, pixel_values: Tensor, **kwargs: Any) -> BaseModelOutputWithPooling:  # noqa: ANN401
        """See `QwenVLModel.get_image_features`."""
        return self.model.get_image_features(pixel_values, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> CausalLMOutputWithPast:
        """Logits (B, T, V), and the mean cross-entropy where ``labels`` are given; see `QwenVLModel.forward`."""
        outputs = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            mm_encoder_outputs=mm_encoder_outputs,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def _features(encoded: BaseModelOutputWithPooling) -> list[Tensor]:
    """One (256, D) a picture; transformers' generation hands a stacked tensor back."""
    pooled: Any = encoded.pooler_output
    return list(pooled)
