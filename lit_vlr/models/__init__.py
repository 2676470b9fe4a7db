"""Model families, quantisation and adapters."""

from lit_vlr.models.base import Generated, ModelFamily
from lit_vlr.models.llava import Llava
from lit_vlr.models.lora import Lora
from lit_vlr.models.quantization import Quantization

__all__ = ["Generated", "Llava", "Lora", "ModelFamily", "Quantization"]
