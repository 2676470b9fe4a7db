"""Model families, quantisation and adapters."""

from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.gemma3 import Gemma3
from lit_vlr.models.hf import ImageFeatures
from lit_vlr.models.idefics3 import Idefics3, SmolVLM
from lit_vlr.models.internvl import InternVL
from lit_vlr.models.llava import Llava
from lit_vlr.models.llava_next import LlavaNext
from lit_vlr.models.llava_onevision import LlavaOnevision
from lit_vlr.models.lora import Lora
from lit_vlr.models.paligemma import PaliGemma
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.qwen2_5_vl import Qwen25VL
from lit_vlr.models.qwen2_vl import Qwen2VL
from lit_vlr.models.qwen3_vl import Qwen3VL
from lit_vlr.models.qwen_vl.family import QwenVL
from lit_vlr.models.sampling import Sampling

__all__ = [
    "Gemma3",
    "Generated",
    "Idefics3",
    "ImageFeatures",
    "InternVL",
    "Llava",
    "LlavaNext",
    "LlavaOnevision",
    "Lora",
    "ModelFamily",
    "PaliGemma",
    "Quantization",
    "Qwen2VL",
    "Qwen3VL",
    "Qwen25VL",
    "QwenVL",
    "Sampling",
    "SmolVLM",
]
