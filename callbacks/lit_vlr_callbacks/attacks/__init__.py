"""Solvers: how to find the worst parameters of a perturbation."""

from lit_vlr_callbacks.attacks.base import Attack, AttackResult, LossFn
from lit_vlr_callbacks.attacks.fgsm import FGSM
from lit_vlr_callbacks.attacks.pgd import PGD
from lit_vlr_callbacks.attacks.random_search import RandomSearch

__all__ = ["FGSM", "PGD", "Attack", "AttackResult", "LossFn", "RandomSearch"]
