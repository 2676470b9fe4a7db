"""OK-VQA in its official files: reading them, and writing any samples in the same format.

Reference: Marino et al., "OK-VQA: A Visual Question Answering Benchmark Requiring External Knowledge", CVPR 2019. The
format is that of VQA v1 with `raw_answer` (as typed) beside `answer` (stemmed: "riding" is "ride").
"""

from __future__ import annotations

from lit_vlr.data.okvqa.read import COCO_PATTERN, OKVQAFiles, read_okvqa
from lit_vlr.data.okvqa.write import write_okvqa

__all__ = ["COCO_PATTERN", "OKVQAFiles", "read_okvqa", "write_okvqa"]
