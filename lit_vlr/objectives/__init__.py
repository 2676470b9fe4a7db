"""Training objectives: (VLMOutput, Batch) to one loss a sample."""

from lit_vlr.objectives.abstaining import AbstainingObjective
from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.deep_gamblers import DeepGamblers
from lit_vlr.objectives.entropy import EntropyRegularization
from lit_vlr.objectives.idk import IDK
from lit_vlr.objectives.label_smoothing import LabelSmoothing
from lit_vlr.objectives.r_tuning import RTuning
from lit_vlr.objectives.rank_weighted import AUGRCObjective, AURCObjective, RankWeighted
from lit_vlr.objectives.selective_net import SelectiveNet
from lit_vlr.objectives.selector import TrainSelector
from lit_vlr.objectives.self_adaptive import SelfAdaptive
from lit_vlr.objectives.self_evaluation import SelfEvaluation
from lit_vlr.objectives.sft import SFT

__all__ = [
    "IDK",
    "SFT",
    "AUGRCObjective",
    "AURCObjective",
    "AbstainingObjective",
    "DeepGamblers",
    "EntropyRegularization",
    "LabelSmoothing",
    "Objective",
    "RTuning",
    "RankWeighted",
    "SelectiveNet",
    "SelfAdaptive",
    "SelfEvaluation",
    "TrainSelector",
]
