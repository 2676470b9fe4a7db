"""Solvers: how to find the worst parameters of a perturbation. And what is worst for a module that abstains."""

from lit_vlr_callbacks.attacks.abstention import (
    AbstentionObjective,
    EitherFailure,
    ForceAbstention,
    Goal,
    WrongAndConfident,
)
from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn
from lit_vlr_callbacks.attacks.fgsm import FGSM
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.random_search import RandomSearch

__all__ = [
    "FGSM",
    "PGD",
    "AbstentionObjective",
    "Attack",
    "AttackResult",
    "EitherFailure",
    "ForceAbstention",
    "Goal",
    "LossFn",
    "RandomSearch",
    "WrongAndConfident",
]
