"""The original Qwen-VL, natively: it loads and saves the released checkpoint as it is, with none of its code.

Importing this package registers it with transformers' ``Auto`` classes. `lit_vlr.models` does so; ``import lit_vlr``
imports neither.
"""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from lit_vlr.models.qwen_vl import keys
from lit_vlr.models.qwen_vl.configuration import QwenVLConfig
from lit_vlr.models.qwen_vl.modeling import QwenVLForConditionalGeneration
from lit_vlr.models.qwen_vl.processor import CHAT_PROMPT, VQA_PROMPT, QwenVLProcessor
from lit_vlr.models.qwen_vl.tokenizer import QWenTokenizer

AutoConfig.register(QwenVLConfig.model_type, QwenVLConfig, exist_ok=True)
AutoModelForImageTextToText.register(QwenVLConfig, QwenVLForConditionalGeneration, exist_ok=True)
AutoTokenizer.register(QwenVLConfig, QWenTokenizer, exist_ok=True)
AutoProcessor.register(QwenVLConfig, QwenVLProcessor, exist_ok=True)
keys.register(QwenVLForConditionalGeneration.__name__)

__all__ = [
    "CHAT_PROMPT",
    "VQA_PROMPT",
    "QWenTokenizer",
    "QwenVLConfig",
    "QwenVLForConditionalGeneration",
    "QwenVLProcessor",
]
