"""Model families, quantisation and adapters."""

from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.llava import Llava
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization
from lit_vlr.models.qwen_vl.family import QwenVL
from lit_vlr.models.sampling import Sampling

__all__ = ["Generated", "Llava", "Lora", "ModelFamily", "Quantization", "QwenVL", "Sampling"]
