"""Solvers: how to find the worst parameters of a perturbation. And what is worst for a module that abstains."""

from lit_vlr_callbacks.attacks.abstention import (
    AbstentionObjective,
    EitherFailure,
    ForceAbstention,
    Goal,
    WrongAndConfident,
)
from lit_vlr_callbacks.attacks.apgd import APGD
from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn
from lit_vlr_callbacks.attacks.each_target import EachTarget
from lit_vlr_callbacks.attacks.ensemble import Ensemble, Stage
from lit_vlr_callbacks.attacks.fgsm import FGSM
from lit_vlr_callbacks.attacks.losses import (
    FeatureSpace,
    LogitsLoss,
    TargetedLoss,
    cross_entropy,
    dlr,
    kl_from_clean,
    margin,
    ranked_targets,
    targeted_dlr,
    targeted_margin,
    wrong_first,
)
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.random_search import RandomSearch
from lit_vlr_callbacks.attacks.rows import SupportsRows
from lit_vlr_callbacks.attacks.square import Square
from lit_vlr_callbacks.attacks.transfer import Transfer
from lit_vlr_callbacks.attacks.universal import Universal

__all__ = [
    "APGD",
    "FGSM",
    "PGD",
    "AbstentionObjective",
    "Attack",
    "AttackResult",
    "EachTarget",
    "EitherFailure",
    "Ensemble",
    "FeatureSpace",
    "ForceAbstention",
    "Goal",
    "LogitsLoss",
    "LossFn",
    "RandomSearch",
    "Square",
    "Stage",
    "SupportsRows",
    "TargetedLoss",
    "Transfer",
    "Universal",
    "WrongAndConfident",
    "cross_entropy",
    "dlr",
    "kl_from_clean",
    "margin",
    "ranked_targets",
    "targeted_dlr",
    "targeted_margin",
    "wrong_first",
]
