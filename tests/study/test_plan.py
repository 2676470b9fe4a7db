"""Studies as they are written down: what they run, and what is said of mistakes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.attacks import check_attack_names
from lit_vlr.study.cost import remaining, stages
from lit_vlr.study.peers import peers_of
from lit_vlr.study.plan import Plan
from lit_vlr.study.reading import read_plan
from lit_vlr.study.settings import Arm, Promise
from tests._tiny import CONFIGS, ROOT

STUDY = """
root: {root}
common: [a.yaml]
arms:
  base: {{configs: [b.yaml], fit: false, seeds: [0]}}
  sft: {{configs: [b.yaml]}}
  robust: {{configs: [c.yaml], training: [pgd.yaml]}}
attacks: [eval.yaml]
seeds: [0, 1]
threshold: {{method: ltt, max_risk: 0.2}}
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(root=tmp_path / "out"))
    return read_plan(["--config", str(path)])[0]


def test_cells_go_seed_by_seed(plan: Plan) -> None:
    assert [cell.name for cell in plan.cells] == ["base-0", "sft-0", "robust-0", "sft-1", "robust-1"]
    assert plan.baseline == "sft"


def test_what_a_cell_runs(plan: Plan) -> None:
    cell = plan.cells[-1]
    folder = cell.folder
    common = ["--config", "a.yaml", "--config", "c.yaml"]
    seeds = ["--seed_everything=1", "--data.init_args.order_seed=1", f"--trainer.default_root_dir={folder}"]
    weights = f"--ckpt_path={folder}/checkpoints/last.ckpt"
    assert cell.arguments("fit") == ["fit", *common, "--config", "pgd.yaml", *seeds]
    assert cell.arguments("validate") == ["validate", *common, *seeds, weights]
    frozen = f"--threshold={folder}/threshold.json"
    assert cell.arguments("test") == ["test", *common, "--config", "eval.yaml", *seeds, weights, frozen]


def test_the_base_is_tested_without_a_checkpoint_at_a_threshold_of_its_own(plan: Plan) -> None:
    base = plan.cells[0]
    assert base.verbs == ("validate", "test")
    assert not [given for given in base.arguments("test") if given.startswith("--ckpt_path")]
    assert base.arguments("test")[-1] == f"--threshold={base.folder}/threshold.json"


def test_thresholds_of_checkpoints_need_no_validation(tmp_path: Path) -> None:
    plan = Plan(tmp_path, {"sft": Arm(("a.yaml",))}, threshold=Promise("checkpoint"))
    assert plan.cells[0].verbs == ("fit", "test")
    assert not [given for given in plan.cells[0].arguments("test") if given.startswith("--threshold")]


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(root="elsewhere"))
    plan, switches = read_plan(["--config", str(path), "--dry-run", "--root", str(tmp_path), "--seeds=[7]"])
    assert (plan.root, plan.seeds) == (tmp_path, (7,))
    assert switches == (True, False, None, 1)
    with pytest.raises(UserError, match="Expected --dry-run without --again, which forgets results"):
        read_plan(["--config", str(path), "--dry-run", "--again=test"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sft: {{", "sft: {{config: [x], "), "does not parse: .*'config' is not accepted"),
        (("seeds: [0, 1]", "seeds: often"), "does not parse: .*seeds"),
        (("fit: false", "fit: perhaps"), "does not parse: .*fit"),
        (("root: {root}", ""), "does not parse: .*root"),
        (("seeds: [0, 1]", "seeds: [0, 0]"), r"Expected `seeds` of at least 0, each once, but got \[0, 0\]"),
        (("seeds: [0]", "seeds: []"), r"Expected `arms.base.seeds` of at least 0, each once, but got \[\]"),
        (("  sft:", "  ../sft:"), "Expected arms named by letters, digits and _\\+.- but got '../sft'"),
        (("fit: false", "fit: false, training: [x]"), "Expected no `training` of arm 'base', which is not fitted"),
        (("max_risk: 0.2", "max_risk: 20"), r"Expected `threshold.max_risk` in \(0, 1\] but got 20; 10% is 0.1"),
        (("max_risk: 0.2", "delta: 0"), r"Expected `threshold.delta` in \(0, 1\) but got 0"),
        (("seeds: [0, 1]", "overrides: [--ckpt_path=x]"), "Expected `overrides` such as .* but got '--ckpt_path=x'"),
        (("seeds: [0, 1]", "overrides: [max_steps=1]"), "Expected `overrides` such as .* but got 'max_steps=1'"),
        (("seeds: [0, 1]", "costs: [-1]"), "Expected `costs` of at least 0 but got -1"),
        (("seeds: [0, 1]", "n_resamples: 0"), "Expected `n_resamples` of at least 1 but got 0"),
    ],
)
def test_mistakes_are_said_in_a_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in STUDY
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.replace(*change).format(root=tmp_path))
    with pytest.raises((UserError, ConfigError), match=message):
        read_plan(["--config", str(path)])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("--data.order_seed=7", "folders, seeds, folds, checkpoints and thresholds are the study's"),
        ("--data.init_args.order_seed=7", "are the study's"),
        ("--data.fold=0", "are the study's"),
        ("--data.folds=2", "are the study's"),
        ("--config=my.yaml", "are the study's"),
        ("--data=my.yaml", "name config files, whose contents a cell remembers, in `common` or `configs`"),
        ("--trainer=my.yaml", "in `common` or `configs`"),
        ("--model=my.yaml", "in `common` or `configs`"),
        ("--optimizer=my.yaml", "in `common` or `configs`"),
        ('--data.init_args={"order_seed": 7}', "in `common` or `configs`"),
        ("--model.objective=my.yaml", "in `common` or `configs`"),
        ("--trainer.callbacks+=my.yml", "in `common` or `configs`"),
    ],
)
def test_no_spelling_hands_in_what_a_cell_does_not_remember(tmp_path: Path, override: str, said: str) -> None:
    with pytest.raises(
        UserError, match=f"Expected `overrides` such as .* but got {re.escape(repr(override))}; .*{said}"
    ):
        Plan(tmp_path, {"a": Arm(("x.yaml",))}, overrides=(override,))


def test_other_overrides_are_free(tmp_path: Path) -> None:
    overrides = ("--trainer.max_steps=10", "--data.init_args.train_size=4", "--model.objective.labels=a.jsonl")
    Plan(tmp_path, {"a": Arm(("x.yaml",))}, overrides=overrides)


def test_a_study_without_arms_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected `arms` but there are none"):
        Plan(tmp_path, {})
    with pytest.raises(UserError, match="Expected config files for arm 'a' but there are none"):
        Plan(tmp_path, {"a": Arm()})


def test_time_left_goes_by_what_was_measured(plan: Plan) -> None:
    for name, seconds in {"sft-0": '{"fit": 100, "validate": 9, "test": 50}', "robust-0": '{"fit": 300}'}.items():
        (plan.root / name).mkdir(parents=True)
        (plan.root / name / "seconds.json").write_text(seconds)
    found = {(stage.cell.name, stage.verb): (stage.seconds, stage.done, stage.measured) for stage in stages(plan)}
    assert found["sft-0", "fit"] == (100, True, True)
    assert found["sft-1", "fit"] == (100, False, True)  # the arm's own
    assert found["base-0", "test"] == (50, False, True)  # of an arm that is trained alike
    assert found["robust-1", "fit"] == (300, False, True)
    assert found["robust-0", "test"] == (120, False, False)  # none like it: as stated
    left = [9 + 50, 30 + 120, 100 + 9 + 50, 300 + 30 + 120]  # base-0, robust-0, sft-1, robust-1
    assert remaining(stages(plan)) == sum(left)


SHIPPED = sorted((CONFIGS / "study").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_studies_parse_and_name_files_that_exist(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    plan, _ = read_plan(["--config", str(path)])
    assert plan.baseline == ("sft_adversarial" if path.stem == "robust_share" else "sft")
    for cell in plan.cells:
        runs = (*peers_of(cell), cell)
        assert all((ROOT / name).is_file() for run in runs for verb in run.verbs for name in run.files(verb))
        assert (ROOT / cell.plan.root).parts[-2] == "runs"
        check_attack_names(cell)


def test_an_attack_that_comes_twice_is_refused() -> None:
    files = {name: str(CONFIGS / f"attack/{name}.yaml") for name in ("linf_pgd", "eval_linf_pgd", "semantic")}
    twice = Plan(Path("out"), {"a": Arm((files["linf_pgd"],))}, attacks=(files["semantic"], files["eval_linf_pgd"]))
    with pytest.raises(UserError, match=r"one attack 'linf_pgd' in the test of 'a' but .*/linf_pgd.yaml and .*/eval_"):
        check_attack_names(twice.cells[0])
    once = Plan(
        Path("out"), {"a": Arm(training=(files["linf_pgd"],))}, common=("x",), attacks=(files["eval_linf_pgd"],)
    )
    check_attack_names(replace(once, common=(files["semantic"],)).cells[0])


def test_the_full_study_has_every_objective_plain_and_adversarial() -> None:
    plan, _ = read_plan(["--config", str(CONFIGS / "study/full.yaml")])
    objectives = {path.stem for path in (CONFIGS / "objective").glob("*.yaml")}
    objectives.add("learning_from_peers")  # the selector's, with labels
    plain = {name for name, arm in plan.arms.items() if arm.fit and not arm.training}
    assert plain == objectives
    assert {name for name, arm in plan.arms.items() if arm.training} == {f"{name}_adversarial" for name in objectives}
    peers = {name: arm.peers.configs for name, arm in plan.arms.items() if arm.peers.folds}
    sft = ("configs/objective/sft.yaml",)  # what TrainSelector trains the model itself with
    assert peers == {"learning_from_peers": sft, "learning_from_peers_adversarial": sft}
    assert plan.arms["learning_from_peers"].configs == plan.arms["selector"].configs
    eps = [re.findall(r"eps: (\S+)}", (ROOT / name).read_text()) for name in plan.attacks if "linf_pgd" in name]
    assert eps == [["1.5/255"], ["2/255"], ["4/255"]]
