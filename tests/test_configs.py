"""Every YAML is parsed against the real signatures, and so is each documented combination."""

from __future__ import annotations

import inspect
import socket
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback, LightningDataModule

import lit_vlr.confidence
import lit_vlr.models
import lit_vlr.objectives
from lit_vlr.data.corruptions import CORRUPTIONS
from lit_vlr.data.derived import Corrupted
from lit_vlr.lightning_cli import VLRCLI
from lit_vlr.models import ModelFamily, Sampling
from lit_vlr.module import SelectiveVLM
from lit_vlr.optim import Optimisation
from lit_vlr.study.reading import read_plan
from lit_vlr_callbacks.attacks import PGD
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


@pytest.mark.parametrize("verb", ["fit", "test"])
@pytest.mark.parametrize("name", KINDS["data"])
def test_data_files_parse_with_the_main_job(verb: str, name: str) -> None:
    data = parse(verb, (*(name if part == "data/scenes" else part for part in MAIN_JOB),)).config[verb].data
    assert data.class_path.rpartition(".")[2].endswith("DataModule")


def data_module(name: str) -> Any:
    given = yaml.safe_load((CONFIGS / "data" / f"{name}.yaml").read_text())["data"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--data", type=LightningDataModule)
    return parser.instantiate(parser.parse_object({"data": given})).data


def test_the_corrupted_suite_names_every_corruption() -> None:
    made = data_module("corrupted_okvqa")
    corrupted = {name: s.corruption for name, s in made.test_sources.items() if isinstance(s, Corrupted)}
    assert corrupted == {kind: kind for kind in CORRUPTIONS}
    assert made.test_names == ["okvqa", *CORRUPTIONS]


def test_the_out_of_domain_suite_names_every_kind_of_set() -> None:
    made = data_module("ood_okvqa")
    kinds = {name.split("_")[0] for name in made.test_names}
    assert kinds == {"okvqa", "near", "far", "adversarial", "mixture", "abstention"}
    corrupted = {(s.corruption, s.severity) for s in made.test_sources.values() if isinstance(s, Corrupted)}
    assert corrupted == set(product(("gaussian_noise", "motion_blur", "fog", "jpeg", "contrast"), (1, 3, 5)))
    assert (made.allow_overlap, str(made.train_source)) == ([], "okvqa/train2014")


# Every file of every kind, each with changing partners: all combinations would be thousands.
COMBINATIONS = [
    tuple(files[i % len(files)] for files in KINDS.values()) for i in range(max(len(files) for files in KINDS.values()))
]


@pytest.mark.parametrize("names", COMBINATIONS)
def test_files_of_every_kind_parse_together(names: tuple[str, ...]) -> None:
    parse("fit", ("base", *names))


def test_every_objective_has_a_file() -> None:
    chosen = {
        yaml.safe_load((CONFIGS / f"{f}.yaml").read_text())["model"]["objective"]["class_path"]
        for f in KINDS["objective"]
    }
    classes = {n for n, c in vars(lit_vlr.objectives).items() if inspect.isclass(c) and not inspect.isabstract(c)}
    assert chosen == {f"lit_vlr.objectives.{name}" for name in classes}


@pytest.mark.parametrize("name", KINDS["objective"])
def test_objective_files_list_every_argument_at_its_default(name: str) -> None:
    given = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["objective"]
    made = getattr(lit_vlr.objectives, given["class_path"].rsplit(".", 1)[1])
    parameters = {} if made.__init__ is torch.nn.Module.__init__ else dict(inspect.signature(made).parameters)
    listed = given.get("init_args", {})
    assert set(listed) == set(parameters)
    for key in set(listed) - {"model"}:
        assert listed[key] == parameters[key].default, key


class MakeOnly(VLRCLI):
    """Makes everything and runs nothing."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a configuration is checked without a hub")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("model", KINDS["model"])
def test_every_model_is_made_without_a_hub(model: str) -> None:
    given = yaml.safe_load((CONFIGS / f"{model}.yaml").read_text())["model"]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(SelectiveVLM, "model")
    objective = {"objective": {"class_path": "lit_vlr.objectives.SFT"}}
    made = parser.instantiate(parser.parse_object({"model": {**objective, **given}})).model
    assert type(made.family).__name__ == given["family"]["class_path"].rsplit(".", 1)[1]
    assert made.family.name_or_path == given["family"]["init_args"]["name_or_path"]
    assert made.family.is_local == (model == "model/tiny_llava")
    assert made.max_new_tokens == given["max_new_tokens"]


@pytest.mark.usefixtures("no_network")
def test_the_command_line_makes_a_hub_model_without_a_hub(tmp_path: Path) -> None:
    # Also with a confidence that has to see the tokenizer: it is checked when that is there.
    qwen, p_true = "model/qwen2_5_vl_7b", "confidence/p_true"
    names = ("base", qwen, "data/scenes", "objective/sft", "attack/linf_pgd", "experiment/qlora", p_true)
    files = [part for name in names for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    made = MakeOnly.run(["fit", *files, f"--trainer.default_root_dir={tmp_path}", "--trainer.accelerator=cpu"]).model
    assert isinstance(made.family, lit_vlr.models.Qwen25VL)
    rates = [made.optimisation.rate(tower) for tower in ("language", "projector", "vision")]
    assert rates == [2e-4, 2e-5, 2e-5]


@pytest.mark.usefixtures("no_network")
def test_a_hub_models_configuration_is_printed_without_a_hub(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("base", "model/qwen2_5_vl_7b", "data/scenes", "objective/sft")
    files = [part for name in names for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    with pytest.raises(SystemExit) as ended:
        VLRCLI.run(["fit", *files, "--print_config"])
    assert not ended.value.code
    shown = yaml.safe_load(capsys.readouterr().out)["model"]["family"]["init_args"]
    assert shown["name_or_path"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert shown["max_length"] is None
    assert shown["lora"]["language"] is True


def test_every_family_has_a_file() -> None:
    named = {
        yaml.safe_load((CONFIGS / f"{f}.yaml").read_text())["model"]["family"]["class_path"].rsplit(".", 1)[1]
        for f in KINDS["model"]
    }
    families = {
        n
        for n, c in vars(lit_vlr.models).items()
        if inspect.isclass(c) and issubclass(c, ModelFamily) and not inspect.isabstract(c)
    }
    assert families <= named


CONFIDENCES = [f for f in FILES if f.startswith("confidence/")]


def test_every_file_belongs_to_a_tested_kind() -> None:
    kinds = {f.split("/")[0] for f in FILES}
    assert kinds <= {"base", "experiment", "confidence", "study", *KINDS}


@pytest.mark.parametrize("verb", ["fit", "test"])
@pytest.mark.parametrize("name", CONFIDENCES)
def test_confidences_parse_on_top_of_the_main_job(verb: str, name: str) -> None:
    chosen = parse(verb, (*MAIN_JOB, name)).config[verb].model.confidence
    assert chosen.class_path.startswith("lit_vlr.confidence.")


def test_every_confidence_has_a_file() -> None:
    chosen = {
        yaml.safe_load((CONFIGS / f"{f}.yaml").read_text())["model"]["confidence"]["class_path"] for f in CONFIDENCES
    }
    classes = {n for n, c in vars(lit_vlr.confidence).items() if inspect.isclass(c) and not inspect.isabstract(c)}
    assert chosen == {f"lit_vlr.confidence.{name}" for name in classes}


@pytest.mark.parametrize("name", CONFIDENCES)
def test_confidence_files_list_every_argument_at_its_default(name: str) -> None:
    # Every argument, because changing only a class_path keeps the old class's arguments of the same name.
    given = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["confidence"]
    made = getattr(lit_vlr.confidence, given["class_path"].rsplit(".", 1)[1])
    parameters = {} if made.__init__ is torch.nn.Module.__init__ else dict(inspect.signature(made).parameters)
    listed = given.get("init_args", {})
    assert set(listed) == set(parameters)
    # What P(True) is called by is one class with two more prompts.
    own = {"confidence/self_evaluation": {"adapter"}, "confidence/r_tuning": {"prompt"}}.get(name, set())
    for key in set(listed) - {"tokens", "perturbation", "sampling"} - own:
        assert listed[key] == parameters[key].default, key
    if "sampling" in listed:
        assert Sampling(**listed["sampling"]) == Sampling()


def test_no_confidence_given_is_null_in_the_configuration() -> None:
    assert parse("fit", MAIN_JOB).config.fit.model.confidence is None


@pytest.mark.parametrize("name", [f for f in FILES if f.startswith("experiment/")])
def test_experiments_parse_on_top_of_the_main_job(name: str) -> None:
    parse("fit", (*MAIN_JOB, name))


def _study_stages() -> list[tuple[str, str, tuple[str, ...]]]:
    """Verb and files of every fit of shipped studies, and of one test each: tests differ by what fits have, too."""
    found = []
    for path in sorted((CONFIGS / "study").glob("*.yaml")):
        plan, _ = read_plan(["--config", str(path)])
        names = {cell.arm: cell for cell in plan.cells}
        stages = [("fit", arm) for arm, given in plan.arms.items() if given.training] + [("test", plan.baseline)]
        found += [(path.stem, verb, names[arm].files(verb)) for verb, arm in stages]
    return found


@pytest.mark.parametrize(("study", "verb", "files"), _study_stages())
def test_stages_of_studies_parse(study: str, verb: str, files: tuple[str, ...]) -> None:
    parse(verb, tuple(name.removeprefix("configs/").removesuffix(".yaml") for name in files))


def test_attack_files_add_callbacks_and_replace_none() -> None:
    # Lists are replaced in LightningCLI: `callbacks:` here would drop the progress bar and the checkpoints.
    for name in KINDS["attack"]:
        trainer = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["trainer"]
        assert set(trainer) == {"callbacks+"}, name


def callbacks_of(name: str) -> list[Callback]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--callbacks", type=list[Callback])
    given = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["trainer"]["callbacks+"]
    callbacks: list[Callback] = parser.instantiate(parser.parse_object({"callbacks": given})).callbacks
    return callbacks


@pytest.mark.parametrize("name", KINDS["attack"])
def test_attack_files_make_their_attacks(name: str) -> None:
    # Parsing checks names and types; only making the perturbations checks their ranges.
    for callback in callbacks_of(name):
        ranges = callback.attack.perturbation  # type: ignore[attr-defined]
        assert all(ranges.low[key] < ranges.high[key] for key in ranges.names)


def test_the_semantic_attack_restarts_over_viewpoint_and_light() -> None:
    (callback,) = callbacks_of("attack/semantic")
    attack = callback.attack  # type: ignore[attr-defined]
    assert isinstance(attack, PGD)
    assert (attack.steps, attack.restarts) == (5, 2)
    parts = [type(p).__name__ for p in attack.perturbation.perturbations]  # type: ignore[attr-defined]
    assert parts == ["Rotate", "Translate", "Scale", "Shear", "Brightness", "Contrast"]


def test_objective_files_list_every_argument() -> None:
    # Changing only a class_path keeps the old class's arguments of the same name.
    for name in KINDS["objective"]:
        document = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
        assert set(document["model"]["optimisation"]) == {field.name for field in fields(Optimisation)}, name


def test_paths_in_configs_are_relative() -> None:
    for path in Path(CONFIGS).rglob("*.yaml"):
        assert ": /" not in path.read_text(), path
