"""Everything can be written in YAML by class_path, nested, as LightningCLI reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback

from lit_vlr_callbacks import AdversarialEvaluation, AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD, RandomSearch
from lit_vlr_callbacks.perturbations import Compose, Linf, Rotate
from tests.callbacks._modules import Classifier, loader, trainer

CONFIG = """
callbacks:
  - class_path: lit_vlr_callbacks.AdversarialTraining
    init_args:
      attack:
        class_path: lit_vlr_callbacks.attacks.PGD
        init_args:
          steps: 3
          keep_best: false
          perturbation:
            class_path: lit_vlr_callbacks.perturbations.Compose
            init_args:
              perturbations:
                - class_path: lit_vlr_callbacks.perturbations.Rotate
                  init_args: {low: -5, high: 5, padding: border}
                - class_path: lit_vlr_callbacks.perturbations.Brightness
                - class_path: lit_vlr_callbacks.perturbations.Contrast
                  init_args: {low: 0.8, high: 5/4}
                - class_path: lit_vlr_callbacks.perturbations.Linf
                  init_args: {eps: 4/255}
      image_key: images
      mode: mixed
      adversarial_fraction: 0.5
      warmup_steps: 2
  - class_path: lit_vlr_callbacks.AdversarialEvaluation
    init_args:
      attacks:
        fgsm:
          class_path: lit_vlr_callbacks.attacks.FGSM
          init_args:
            perturbation: {class_path: lit_vlr_callbacks.perturbations.Linf, init_args: {eps: 0.01}}
        random:
          class_path: lit_vlr_callbacks.attacks.RandomSearch
          init_args:
            samples: 2
            perturbation: {class_path: lit_vlr_callbacks.perturbations.Rotate}
"""


def parse(text: str) -> list[Callback]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    callbacks: list[Callback] = parser.instantiate(parser.parse_string(text)).callbacks
    return callbacks


def test_nested_configuration_is_built_and_trains() -> None:
    training, evaluation = parse(CONFIG)
    assert isinstance(training, AdversarialTraining)
    assert isinstance(evaluation, AdversarialEvaluation)
    assert isinstance(training.attack, PGD)
    threat = training.attack.perturbation
    assert isinstance(threat, Compose)
    assert threat.names == ("rotate", "brightness", "contrast", "delta")
    assert threat.high == {"rotate": 5.0, "brightness": 0.2, "contrast": 1.25, "delta": 4 / 255}
    assert isinstance(evaluation.attacks["fgsm"], FGSM)
    assert isinstance(evaluation.attacks["random"], RandomSearch)
    assert isinstance(evaluation.attacks["random"].perturbation, Rotate)
    assert isinstance(evaluation.attacks["fgsm"].perturbation, Linf)
    run = trainer(training, evaluation)
    run.fit(Classifier(), loader(), loader())
    assert run.callback_metrics["val/fgsm/attack_loss"] > 0


@pytest.mark.parametrize(("written", "key"), [("images", "images"), ("0", 0)])
def test_image_key_may_be_a_name_or_an_index(written: str, key: int | str) -> None:
    text = CONFIG.replace("image_key: images", f"image_key: {written}")
    assert parse(text)[0].image_key == key  # type: ignore[attr-defined]


def test_round_trip_through_a_saved_configuration(tmp_path: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    path = tmp_path / "config.yaml"
    parser.save(parser.parse_string(CONFIG), path)
    assert "eps: 4/255" in path.read_text()
    again = parse(yaml.safe_dump(yaml.safe_load(path.read_text())))
    assert again[0].attack.perturbation.high["delta"] == 4 / 255  # type: ignore[attr-defined]
