"""Lightning callbacks that train and test any module against pictures that were tampered with.

Nothing here knows of vision-language models: a module needs only ``attack_loss(images, batch)``;
``attack_logits(images, batch)`` for TRADES; ``attack_candidates(images, batch, threshold)`` where its abstention is
attacked.
"""

from lit_vlr_callbacks.checks import AttackVerdict, check_attack
from lit_vlr_callbacks.evaluation import AdversarialEvaluation
from lit_vlr_callbacks.isolation import attack_batch
from lit_vlr_callbacks.modules import IsolatedBatches, SurrogateLoss
from lit_vlr_callbacks.protocols import Candidates, SupportsAbstentionAttack, SupportsAttack, SupportsLogits
from lit_vlr_callbacks.training import AdversarialTraining

__all__ = [
    "AdversarialEvaluation",
    "AdversarialTraining",
    "AttackVerdict",
    "Candidates",
    "IsolatedBatches",
    "SupportsAbstentionAttack",
    "SupportsAttack",
    "SupportsLogits",
    "SurrogateLoss",
    "attack_batch",
    "check_attack",
]
