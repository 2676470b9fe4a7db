"""Everything can be written in YAML by class_path, nested, as LightningCLI reads it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback

from lit_vlr_callbacks import AdversarialEvaluation, AdversarialTraining
from lit_vlr_callbacks.attacks import FGSM, PGD, Attack, RandomSearch
from lit_vlr_callbacks.perturbations import L1, L2, Compose, Erasing, Linf, Patch, Rotate, Typographic
from tests._tiny import CONFIGS
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


NORMS = """
class_path: lit_vlr_callbacks.attacks.RandomSearch
init_args:
  perturbation:
    class_path: lit_vlr_callbacks.perturbations.Compose
    init_args:
      perturbations:
        - {class_path: lit_vlr_callbacks.perturbations.L1, init_args: {eps: 2000/255, density: 0.05}}
        - {class_path: lit_vlr_callbacks.perturbations.L2, init_args: {eps: 128/255}}
        - {class_path: lit_vlr_callbacks.perturbations.Patch, init_args: {height: 4, width: 6, top: 0, left: 0.5}}
        - {class_path: lit_vlr_callbacks.perturbations.Erasing, init_args: {high: 1/4}}
        - {class_path: lit_vlr_callbacks.perturbations.Typographic, init_args: {words: ["yes", "no"]}}
"""


def build(attack: str) -> Attack:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--attack", type=Attack)
    built: Attack = parser.instantiate(parser.parse_object({"attack": yaml.safe_load(attack)})).attack
    return built


def test_norms_patches_and_words_are_built() -> None:
    threat = build(NORMS).perturbation
    assert isinstance(threat, Compose)
    erasing, typographic, l1, l2, patch = threat.perturbations
    assert isinstance(erasing, Erasing)
    assert isinstance(typographic, Typographic)
    assert isinstance(l1, L1)
    assert isinstance(l2, L2)
    assert isinstance(patch, Patch)
    assert (erasing.high["erase_width"], typographic.words) == (0.25, ["yes", "no"])
    assert (l1.eps, l1.density, l2.eps) == (2000 / 255, 0.05, 128 / 255)
    assert (patch.height, patch.width, patch.top, patch.left) == (4, 6, 0, 0.5)


@pytest.mark.parametrize("path", sorted((CONFIGS / "attack").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_attack_of_every_shipped_file_is_built(path: Path) -> None:
    for callback in yaml.safe_load(path.read_text())["trainer"]["callbacks+"]:
        assert build(yaml.safe_dump(callback["init_args"]["attack"])).perturbation.names


def test_round_trip_through_a_saved_configuration(tmp_path: Path) -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    path = tmp_path / "config.yaml"
    parser.save(parser.parse_string(CONFIG), path)
    assert "eps: 4/255" in path.read_text()
    again = parse(yaml.safe_dump(yaml.safe_load(path.read_text())))
    assert again[0].attack.perturbation.high["delta"] == 4 / 255  # type: ignore[attr-defined]
