"""Lightning callbacks that train and test any module against pictures that were tampered with.

Nothing here knows of vision-language models: a module needs only ``attack_loss(images, batch)``, and for TRADES
``attack_logits(images, batch)``.
"""

from lit_vlr_callbacks.checks import AttackVerdict, check_attack
from lit_vlr_callbacks.evaluation import AdversarialEvaluation
from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.protocols import SupportsAttack, SupportsLogits
from lit_vlr_callbacks.training import AdversarialTraining

__all__ = [
    "AdversarialEvaluation",
    "AdversarialTraining",
    "AttackVerdict",
    "SupportsAttack",
    "SupportsLogits",
    "attack_batch",
    "check_attack",
]
