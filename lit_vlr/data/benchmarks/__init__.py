"""The benchmarks of the field from their official files, one file a benchmark.

Each is a small record of paths; ``read()`` gives samples that carry their metric, prompt and generation length, or a
`DataFormatError` that names file, entry, uid and field. Formats: the classes' documentation.
"""

from __future__ import annotations

from lit_vlr.data.benchmarks.advqa import AdVQA
from lit_vlr.data.benchmarks.ai2d import AI2D
from lit_vlr.data.benchmarks.aokvqa import AOKVQA
from lit_vlr.data.benchmarks.chartqa import ChartQA
from lit_vlr.data.benchmarks.docvqa import DocVQA
from lit_vlr.data.benchmarks.figstep import FigStep
from lit_vlr.data.benchmarks.flickr30k import Flickr30k
from lit_vlr.data.benchmarks.gqa import GQA
from lit_vlr.data.benchmarks.hub import HubData
from lit_vlr.data.benchmarks.mm_safetybench import MMSafetyBench
from lit_vlr.data.benchmarks.mme import MME
from lit_vlr.data.benchmarks.nocaps import NoCaps
from lit_vlr.data.benchmarks.ocrvqa import OCRVQA
from lit_vlr.data.benchmarks.okvqa import OKVQA
from lit_vlr.data.benchmarks.own import OwnData
from lit_vlr.data.benchmarks.pope import POPE
from lit_vlr.data.benchmarks.refcoco import RefCOCO
from lit_vlr.data.benchmarks.scienceqa import ScienceQA
from lit_vlr.data.benchmarks.seed import SEED
from lit_vlr.data.benchmarks.textvqa import TextVQA
from lit_vlr.data.benchmarks.vizwiz import VizWiz
from lit_vlr.data.benchmarks.vqav2 import VQAv2

__all__ = [
    "AI2D",
    "AOKVQA",
    "GQA",
    "MME",
    "OCRVQA",
    "OKVQA",
    "POPE",
    "SEED",
    "AdVQA",
    "ChartQA",
    "DocVQA",
    "FigStep",
    "Flickr30k",
    "HubData",
    "MMSafetyBench",
    "NoCaps",
    "OwnData",
    "RefCOCO",
    "ScienceQA",
    "TextVQA",
    "VQAv2",
    "VizWiz",
]
