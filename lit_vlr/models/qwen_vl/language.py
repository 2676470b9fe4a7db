"""Qwen-7B as transformers' Qwen2, which has the same layers, plus what it does beyond its training length.

Both additions are the original's: they act in evaluation only, and change nothing up to ``seq_length`` tokens. One
difference is on purpose: lengths and positions are those of a row without its padding, where the original counts the
padding, so that a row's answer does not change with its neighbours.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import Cache, Qwen2Config, Qwen2Model
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention, apply_rotary_pos_emb, eager_attention_forward


class QwenLanguageModel(Qwen2Model):
    """The body of Qwen-7B.

    Args:
        config: made by `QwenVLConfig`, with ``seq_length``, ``use_dynamic_ntk`` and ``use_logn_attn``.
    """

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__(config)
        self.rotary_emb: RotaryEmbedding = RotaryEmbedding(config)  # type: ignore[assignment]  # in place of Qwen2's
        for index, layer in enumerate(self.layers):
            layer.self_attn = QwenAttention(config, index)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> BaseModelOutputWithPast:
        """As Qwen2; ``position_ids`` default to places among the tokens that ``attention_mask`` (B, T) keeps."""
        shown = input_ids if input_ids is not None else inputs_embeds
        assert shown is not None
        past = 0 if past_key_values is None else int(past_key_values.get_seq_length())
        if position_ids is None:
            position_ids = _positions(shown, attention_mask, past)
        if past == 0:  # the original fixes the base at the prompt, and keeps it while it generates
            self.rotary_emb.alpha = self._alpha(position_ids)
        if self.config.use_logn_attn and not self.training:
            kwargs["query_scale"] = logn_scale(position_ids, self.config.seq_length)
        outputs: BaseModelOutputWithPast = super().forward(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        return outputs

    def _alpha(self, position_ids: Tensor) -> Tensor | None:
        if self.training or not self.config.use_dynamic_ntk:
            return None
        return ntk_alpha(position_ids.amax(-1) + 1, self.config.seq_length)


def _positions(shown: Tensor, attention_mask: Tensor | None, past: int) -> Tensor:
    """Places (B or 1, T) among the real tokens."""
    length = shown.shape[1]
    if attention_mask is not None and attention_mask.dim() == 2:
        return (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, -length:]
    return torch.arange(past, past + length, device=shown.device)[None]


def ntk_alpha(lengths: Tensor, seq_length: int) -> Tensor:
    r"""How much the rotary base grows for prompts that are longer than the training length.

    .. math:: \alpha = \max(1, 2^{\lceil \log_2(L / \text{seq\_length}) + 1 \rceil} - 1)

    Args:
        lengths: prompt lengths, (B,).
        seq_length: training length.

    Returns:
        (B,) float64.

    Example:
        >>> ntk_alpha(torch.tensor([5, 2048, 2049, 4096, 4097]), 2048).tolist()
        [1.0, 1.0, 3.0, 3.0, 7.0]
    """
    context = (lengths.double() / seq_length).log2() + 1
    return (2 ** context.ceil() - 1).clamp(min=1)


def logn_scale(position_ids: Tensor, seq_length: int) -> Tensor:
    r"""Factor of the query at each position: :math:`\max(1, \log_{\text{seq\_length}}(p + 1))`, float32.

    It keeps the entropy of attention when there is more to attend to.

    Example:
        >>> logn_scale(torch.tensor([0, 3, 15]), 4)
        tensor([1., 1., 2.])
    """
    return ((position_ids + 1).double().log() / torch.tensor(float(seq_length)).double().log()).clamp(min=1).float()


class RotaryEmbedding(nn.Module):
    r"""Half-split rotary positions with a base that depends on the prompt's length.

    The base is :math:`\theta \alpha^{d / (d - 2)}`, with d the width of a head.

    Attributes:
        alpha: of each row (B,), or None where no row's base changes. `QwenLanguageModel` sets it at each prompt.
    """

    def __init__(self, config: Qwen2Config) -> None:
        super().__init__()
        rope: dict[str, Any] = dict(config.rope_parameters or {})
        self.theta = float(rope["rope_theta"])
        self.width: int = config.head_dim
        self.alpha: Tensor | None = None

    @torch.no_grad()
    def forward(self, hidden: Tensor, position_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines, each (B, T, d), in the dtype of ``hidden``."""
        device = hidden.device
        alpha = torch.ones(1, dtype=torch.float64) if self.alpha is None else self.alpha
        base = self.theta * alpha.to(device, torch.float32)[:, None] ** (self.width / (self.width - 2))
        exponents = torch.arange(0, self.width, 2, device=device, dtype=torch.float32) / self.width
        angles = position_ids[..., None].float() / (base**exponents)[:, None]
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(hidden.dtype), angles.sin().to(hidden.dtype)


class QwenAttention(Qwen2Attention):
    """Qwen2's attention with queries that can be scaled by position."""

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None,
        past_key_values: Cache | None = None,
        query_scale: Tensor | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[Tensor, Tensor | None]:
        """As Qwen2's; ``query_scale`` (B or 1, T) multiplies the queries."""

        def heads(projection: nn.Module) -> Tensor:
            return projection(hidden_states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

        query, key = apply_rotary_pos_emb(heads(self.q_proj), heads(self.k_proj), *position_embeddings)
        value = heads(self.v_proj)
        if query_scale is not None:
            query = query * query_scale[:, None, :, None].to(query.dtype)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        dropout = self.attention_dropout if self.training else 0.0
        mixed, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            dropout=dropout,
            scaling=self.scaling,
            sliding_window=None,
            **kwargs,
        )
        return self.o_proj(mixed.flatten(2).contiguous()), weights
