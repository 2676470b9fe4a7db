"""Every YAML is parsed against the real signatures, and so is each documented combination."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml

from lit_vlr.lightning_cli import VLRCLI
from tests._tiny import CONFIGS, MAIN_JOB

FILES = sorted(str(p.relative_to(CONFIGS).with_suffix("")) for p in CONFIGS.rglob("*.yaml"))
KINDS = {kind: [f for f in FILES if f.startswith(f"{kind}/")] for kind in ("model", "data", "objective", "attack")}


class ParseOnly(VLRCLI):
    """Stops after parsing."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def parse(verb: str, names: tuple[str, ...]) -> VLRCLI:
    files = [part for name in names for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    return ParseOnly.run([verb, *files])


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_the_main_job_parses_for_every_verb(verb: str) -> None:
    config = parse(verb, MAIN_JOB).config[verb]
    assert config.model.family.class_path == "lit_vlr.models.Llava"
    assert "lit_vlr_callbacks.AdversarialTraining" in [c.class_path for c in config.trainer.callbacks]


@pytest.mark.parametrize("names", list(product(*KINDS.values())))
def test_every_combination_parses(names: tuple[str, ...]) -> None:
    parse("fit", ("base", *names))


def test_every_file_belongs_to_a_tested_kind() -> None:
    kinds = {f.split("/")[0] for f in FILES}
    assert kinds <= {"base", "experiment", *KINDS}


@pytest.mark.parametrize("name", [f for f in FILES if f.startswith("experiment/")])
def test_experiments_parse_on_top_of_the_main_job(name: str) -> None:
    parse("fit", (*MAIN_JOB, name))


def test_attack_files_add_callbacks_and_replace_none() -> None:
    # Lists are replaced in LightningCLI: `callbacks:` here would drop the progress bar and the checkpoints.
    for name in KINDS["attack"]:
        trainer = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["trainer"]
        assert set(trainer) == {"callbacks+"}, name


def test_objective_files_list_every_argument() -> None:
    # Changing only a class_path keeps the old class's arguments of the same name.
    for name in KINDS["objective"]:
        document = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        assert set(document["model"]["optimisation"]) == {"lr", "projector_lr", "weight_decay", "warmup", "final"}, name


def test_paths_in_configs_are_relative() -> None:
    for path in Path(CONFIGS).rglob("*.yaml"):
        assert ": /" not in path.read_text(), path
