"""Configuration of the original Qwen-VL, with the fields of the ``config.json`` that was released with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig, Qwen2Config
from transformers.configuration_utils import SubConfigSpec

from lit_vlr.errors import UserError

ORIGINAL_ARCHITECTURE = "QWenLMHeadModel"
"""What the released ``config.json`` calls the model; written back, so that a saved folder stays an original one."""


@dataclass(frozen=True)
class Visual:
    """The ``visual`` section: vision tower and adapter.

    Attributes:
        image_size: side of the pictures the model was trained on last, in pixels.
        patch_size: side of a patch, in pixels.
        width: of the vision tower.
        layers: blocks of the vision tower.
        heads: attention heads of the vision tower; they divide the width.
        mlp_ratio: hidden units of a block's MLP, as a multiple of the width (rounded down).
        output_dim: width of the adapter, which is the language model's.
        image_start_id: token ``<img>``; ``</img>`` and ``<imgpad>`` are the two after it.
        n_queries: vectors that a picture becomes.
    """

    image_size: int
    patch_size: int
    width: int
    layers: int
    heads: int
    mlp_ratio: float
    output_dim: int
    image_start_id: int = 151857
    n_queries: int = 256

    @property
    def adapter_heads(self) -> int:
        """Attention heads of the adapter: always 128 wide."""
        return self.output_dim // 128


_RELEASED_VISUAL: dict[str, Any] = {
    "heads": 16,
    "image_size": 448,
    "image_start_id": 151857,
    "layers": 48,
    "mlp_ratio": 4.9231,
    "output_dim": 4096,
    "patch_size": 14,
    "width": 1664,
}


@strict
class QwenVLConfig(PreTrainedConfig):
    """Everything the released ``config.json`` says; its defaults are Qwen-VL's own.

    Fields that only steered the original code (``bf16``, ``use_flash_attn``, ``onnx_safe``, …) are kept and written
    back but not looked at.

    Attributes:
        intermediate_size: units of gate *and* up projection of the SwiGLU; each has half of them.
        kv_channels: width of an attention head.
        seq_length: length that was trained on; dynamic NTK and logn scaling begin beyond it.
        visual: vision tower and adapter; see `Visual`.
        text_config: the language model as transformers' Qwen2 describes it; derived, never saved.

    Raises:
        UserError: for a checkpoint without ``visual`` (plain Qwen), or a variant that was never released.

    Reference:
        Bai et al., Qwen-VL, arXiv 2308.12966, section 2; Qwen, arXiv 2309.16609, section 2.3.
    """

    # `model_type` is plain Qwen's too; transformers has no class of its own for it.
    model_type = "qwen"
    sub_configs_defaults = {"text_config": SubConfigSpec(Qwen2Config)}  # noqa: RUF012 - transformers declares it so
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    vocab_size: int = 151936
    hidden_size: int = 4096
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    kv_channels: int = 128
    intermediate_size: int = 22016
    seq_length: int = 2048
    max_position_embeddings: int = 8192
    layer_norm_epsilon: float = 1e-6
    rotary_emb_base: int | float = 10000
    rotary_pct: int | float = 1.0
    use_dynamic_ntk: bool = True
    use_logn_attn: bool = True
    no_bias: bool = True
    scale_attn_weights: bool = True
    attn_dropout_prob: int | float = 0.0
    emb_dropout_prob: int | float = 0.0
    initializer_range: float = 0.02
    use_cache: bool = True
    tie_word_embeddings: bool = False
    visual: dict[str, Any] | None = field(default_factory=lambda: dict(_RELEASED_VISUAL))
    text_config: dict[str, Any] | PreTrainedConfig | None = None

    def __post_init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        self._check()
        language: dict[str, Any] = dict(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            intermediate_size=self.intermediate_size // 2,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            num_key_value_heads=self.num_attention_heads,
            head_dim=self.kv_channels,
            max_position_embeddings=self.max_position_embeddings,
            initializer_range=self.initializer_range,
            rms_norm_eps=self.layer_norm_epsilon,
            use_cache=self.use_cache,
            tie_word_embeddings=False,
            rope_parameters={"rope_type": "default", "rope_theta": float(self.rotary_emb_base)},
            attention_dropout=self.attn_dropout_prob,
            # Beyond what Qwen2 knows; `language.py` reads them.
            seq_length=self.seq_length,
            use_dynamic_ntk=self.use_dynamic_ntk,
            use_logn_attn=self.use_logn_attn,
        )
        self.text_config = Qwen2Config(**language)
        super().__post_init__(**kwargs)

    def _check(self) -> None:
        if not self.visual:
            raise UserError(
                "Expected a `visual` section in the configuration but there is none: this is plain Qwen, a language "
                "model; use a Qwen-VL checkpoint"
            )
        unknown = set(self.visual) - set(Visual.__dataclass_fields__)
        missing = {"image_size", "patch_size", "width", "layers", "heads", "mlp_ratio", "output_dim"} - set(self.visual)
        if unknown or missing:
            raise UserError(
                f"Expected the fields of Qwen-VL in `visual` but {sorted(missing)} are missing and {sorted(unknown)} "
                "unknown; take the config.json that was released with the checkpoint"
            )
        vision = self.vision_config
        expected: list[tuple[str, object, object]] = [
            ("visual.output_dim", vision.output_dim, self.hidden_size),
            ("no_bias", self.no_bias, True),
            ("scale_attn_weights", self.scale_attn_weights, True),
            ("rotary_pct", self.rotary_pct, 1.0),
            ("emb_dropout_prob", self.emb_dropout_prob, 0.0),
            ("tie_word_embeddings", self.tie_word_embeddings, False),
            ("visual.output_dim % 128", vision.output_dim % 128, 0),
            ("visual.width % visual.heads", vision.width % vision.heads, 0),
            ("visual.image_size % visual.patch_size", vision.image_size % vision.patch_size, 0),
            ("intermediate_size % 2", self.intermediate_size % 2, 0),
        ]
        for name, value, wanted in expected:
            if value != wanted:
                raise UserError(
                    f"Expected `{name}` to be {wanted} as in the released Qwen-VL but got {value}; no checkpoint of "
                    "another kind was released"
                )

    @property
    def vision_config(self) -> Visual:
        """The ``visual`` section, typed."""
        return Visual(**(self.visual or {}))

    @property
    def image_token_id(self) -> int:
        """``<imgpad>``, which stands where image features go."""
        return self.vision_config.image_start_id + 2

    def get_text_config(self, decoder: bool | None = None, encoder: bool | None = None) -> PreTrainedConfig:
        """The language model's part, which generation and caches ask for."""
        assert isinstance(self.text_config, PreTrainedConfig)
        return self.text_config

    def to_dict(self) -> dict[str, Any]:
        """The original's fields: what is derived stays out, the architecture keeps its released name."""
        values: dict[str, Any] = super().to_dict()
        values.pop("text_config", None)
        values["architectures"] = [ORIGINAL_ARCHITECTURE]
        return values

    def to_diff_dict(self) -> dict[str, Any]:
        """What is written to ``config.json``."""
        values: dict[str, Any] = super().to_diff_dict()
        if "dtype" in values:
            values["torch_dtype"] = values.pop("dtype")  # the name that the original code reads
        return values
