"""Adversarial training: the callback, its modes, one a file, and its schedules."""

from lit_vlr_callbacks.training.base import Mode, Turn
from lit_vlr_callbacks.training.callback import AdversarialTraining
from lit_vlr_callbacks.training.fgsm_rs import FGSMRS
from lit_vlr_callbacks.training.free import Free
from lit_vlr_callbacks.training.mixed import Mixed
from lit_vlr_callbacks.training.schedule import Schedule
from lit_vlr_callbacks.training.standard import Standard
from lit_vlr_callbacks.training.trades import TRADES
from lit_vlr_callbacks.training.warm import Warm

__all__ = [
    "FGSMRS",
    "TRADES",
    "AdversarialTraining",
    "Free",
    "Mixed",
    "Mode",
    "Schedule",
    "Standard",
    "Turn",
    "Warm",
]
