"""Adversarial training: the callback, and its modes."""

from lit_vlr_callbacks.training.callback import AdversarialTraining

__all__ = ["AdversarialTraining"]
