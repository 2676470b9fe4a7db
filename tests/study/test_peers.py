"""Learning from peers: what they run and cost, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lit_vlr.cli import main
from lit_vlr.errors import ConfigError, UserError
from lit_vlr.study.cost import stages
from lit_vlr.study.identity import save_identity
from lit_vlr.study.peers import peers_of, runs_of
from lit_vlr.study.plan import Plan
from lit_vlr.study.reading import read_plan
from lit_vlr.study.run import check_plan, left_over
from lit_vlr.study.settings import Arm, Peers
from lit_vlr.study.stages import missing
from lit_vlr.verbs.peers import ARM, read_arguments
from tests.study._studies import SELECTOR, write_plan

STUDY = """
root: {root}
common: [a.yaml]
arms:
  sft: {{configs: [sft.yaml]}}
  lyp: {{configs: [selector.yaml], training: [pgd.yaml], peers: {{folds: 2, configs: [sft.yaml], overrides: [--x=1]}}}}
attacks: [eval.yaml]
seeds: [3]
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(root=tmp_path / "out"))
    return read_plan(["--config", str(path)])[0]


def test_peers_come_before_the_cell_that_learns_from_them(plan: Plan) -> None:
    names = [run.name for run in runs_of(plan)]
    assert names == ["sft-3", "lyp-3/peers/0", "lyp-3/peers/1", "lyp-3"]
    assert [cell.name for cell in plan.cells] == ["sft-3", "lyp-3"]  # peers are in no table
    assert left_over(plan) == []


def test_what_a_peer_runs(plan: Plan) -> None:
    peer = peers_of(plan.cells[-1])[1]
    folder = plan.root / "lyp-3" / "peers" / "1"
    seeds = ["--seed_everything=3", "--data.init_args.order_seed=3", f"--trainer.default_root_dir={folder}"]
    last = ["--x=1", "--data.init_args.folds=2", "--data.init_args.fold=1"]
    common = ["--config", "a.yaml", "--config", "sft.yaml"]
    assert peer.verbs == ("fit", "test")
    assert peer.arguments("fit") == ["fit", *common, "--config", "pgd.yaml", *seeds, *last]
    weights = f"--ckpt_path={folder}/checkpoints/last.ckpt"
    alone = '--trainer.callbacks=[{"class_path": "lit_vlr.recording.RecordPredictions"}]'
    assert peer.arguments("test") == ["test", *common, *seeds, weights, *last, alone]


def test_the_fit_alone_is_given_the_labels(plan: Plan) -> None:
    sft, lyp = plan.cells
    labels = f"--model.objective.init_args.labels={plan.root}/lyp-3/peers/labels.jsonl"
    assert lyp.arguments("fit")[-1] == labels
    others = [lyp.arguments("validate"), lyp.arguments("test"), sft.arguments("fit"), peers_of(lyp)[0].arguments("fit")]
    assert not [given for arguments in others for given in arguments if "labels" in given]


@pytest.mark.parametrize(
    ("peers", "message"),
    [
        ("5", r"Expected `arms.lyp.peers` such as \{folds: 5, configs: \[FILE\]\} but got 5; leave it out where there"),
        ("null", "Expected `arms.lyp.peers` such as .* but got None"),
        ("[2]", r"Expected `arms.lyp.peers` such as .* but got \[2\]"),
        ("{folds: many}", "does not parse: .*\"peers.folds\": Expected a <class 'int'>. Got value: many; .*--help"),
        ("{folds: 2.5}", 'does not parse: .*"peers.folds"'),
        ("{fold: 3}", "does not parse: Group 'peers' does not accept option 'fold'; .*--help"),
        ("{folds: 2, configs: x.yaml}", 'does not parse: .*"peers.configs"'),
        ("{folds: 1}", "Expected `arms.lyp.peers.folds` of at least 2 but got 1; a peer leaves one out"),
        ("{folds: -2}", "Expected `arms.lyp.peers.folds` of at least 2 but got -2"),
        ("{configs: [x.yaml]}", "Expected `arms.lyp.peers.folds` of at least 2 but got 0"),
        (
            "{folds: 2, overrides: [x=1]}",
            "Expected `arms.lyp.peers.overrides` such as .* but got 'x=1'; folders, seeds",
        ),
        ("{folds: 2, overrides: [--data.init_args.fold=1]}", "overrides` such as .* but got '--data.init_args.fold=1'"),
        ("{folds: 2}, fit: false, training: []", "Expected no `peers` of arm 'lyp', which is not fitted; set `fit`"),
    ],
)
def test_mistakes_are_said_in_a_line(tmp_path: Path, peers: str, message: str) -> None:
    path = tmp_path / "study.yaml"
    given = "peers: {{folds: 2, configs: [sft.yaml], overrides: [--x=1]}}"
    assert given in STUDY
    text = STUDY.replace(given, "PEERS").replace(", training: [pgd.yaml]", "").format(root=tmp_path)
    path.write_text(text.replace("PEERS", f"peers: {peers}"))
    with pytest.raises((UserError, ConfigError), match=message) as refusal:
        read_plan(["--config", str(path)])
    assert len(str(refusal.value).splitlines()) == 1


def test_peers_without_config_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Expected config files for the peers of arm 'a' but there are none; give"):
        Plan(tmp_path, {"a": Arm(("x.yaml",), peers=Peers(2))})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"configs": SELECTOR[1:]},
            r"'labels' is not accepted; .*; an arm with `peers` has the objective TrainSelector",
        ),
        (
            {"peers": {"folds": 2, "overrides": ["--trainer.max_stepps=3"]}},
            "fit of lyp-0/peers/0 to parse but .*stepps",
        ),
    ],
)
def test_files_of_peers_are_parsed_before_anything_runs(tmp_path: Path, capsys, change: Any, said: str) -> None:
    arm = {"configs": SELECTOR, "peers": {"folds": 2}, **change}
    assert main(write_plan(tmp_path / "s.yaml", tmp_path / "out", arms={"lyp": arm})) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "Expected fit of lyp-0" in line
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(line)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def begun(tmp_path: Path) -> Plan:
    for name in ("a", "b", "sft", "eval"):
        (tmp_path / f"{name}.yaml").write_text(f"trainer: {{callbacks+: [], x: {name}}}\n")
    a, b, sft, attack = (str(tmp_path / f"{name}.yaml") for name in ("a", "b", "sft", "eval"))
    arm = Arm((b,), peers=Peers(2, (sft,)))
    plan = Plan(tmp_path / "out", {"lyp": arm}, common=(a,), attacks=(attack,))
    for run in reversed(runs_of(plan)):
        save_identity(run)
    check_plan(plan)
    return plan


def arm_of(plan: Plan, **peers: Any) -> Plan:
    arm = plan.arms["lyp"]
    return replace(plan, arms={"lyp": replace(arm, peers=replace(arm.peers, **peers))})


def test_changed_folds_and_files_of_peers_are_refused(begun: Plan, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Expected lyp-0 as it was begun but .*: peers.folds was 2 and is 3; .*lyp-0"):
        check_plan(arm_of(begun, folds=3))
    with pytest.raises(UserError, match=r"peers.overrides.0 was absent and is \"--x=1\""):
        check_plan(arm_of(begun, overrides=("--x=1",)))
    with pytest.raises(UserError, match=r"sft.yaml is no longer given"):
        check_plan(arm_of(begun, configs=()))
    with pytest.raises(UserError, match=r"sft.yaml is no longer given; peers.files.fit.0 was .* and is absent"):
        check_plan(arm_of(begun, folds=0, configs=()))
    (tmp_path / "sft.yaml").write_text("trainer: {callbacks+: [], x: other}\n")
    for again in (None, "validate", "test"):  # everything depends on them
        with pytest.raises(UserError, match=r'sft.yaml: trainer.x was "sft" and is "other"'):
            check_plan(begun, again)  # type: ignore[arg-type]


def test_tests_that_are_run_again_leave_peers_alone(begun: Plan, tmp_path: Path) -> None:
    changed = replace(begun, attacks=(), threshold=replace(begun.threshold, max_risk=0.2))
    with pytest.raises(UserError, match=r"threshold.max_risk was 0.1 and is 0.2"):
        check_plan(changed)
    check_plan(changed, "validate")


def test_peers_are_priced_by_peers(plan: Plan) -> None:
    def priced() -> dict[tuple[str, str], tuple[float, bool]]:
        return {(one.cell.name, one.verb): (one.seconds, one.measured) for one in stages(plan)}

    stated = priced()
    assert stated["lyp-3/peers/1", "fit"] == stated["lyp-3", "fit"] == (700, False)
    assert stated["lyp-3/peers/1", "test"] == (plan.seconds.label, False)
    peer = plan.root / "lyp-3" / "peers" / "0"
    peer.mkdir(parents=True)
    (peer / "seconds.json").write_text('{"fit": 40, "test": 7}')
    measured = priced()
    assert measured["lyp-3/peers/1", "fit"] == (40, True)
    assert measured["lyp-3/peers/1", "test"] == (7, True)
    assert measured["lyp-3", "fit"] == (40, True)  # none of its own kind yet
    assert measured["lyp-3", "test"] == (120, False)
    (plan.root / "lyp-3" / "seconds.json").write_text('{"fit": 50, "test": 90}')
    assert priced()["lyp-3/peers/1", "fit"] == (40, True)
    assert missing(peers_of(plan.cells[-1])[0]) == []


def test_a_dry_run_shows_peers(tmp_path: Path, capsys) -> None:
    arms = {"lyp": {"configs": SELECTOR, "peers": {"folds": 2}}}
    seconds = {"fit": 600, "label": 300, "validate": 60, "test": 120}
    assert main([*write_plan(tmp_path / "s.yaml", tmp_path / "out", arms=arms, seconds=seconds), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "7 of 7 stages are left, about 43 min" in said  # 2 × (10 + 5) + 10 + 1 + 2
    assert "lyp-0/peers/1" in said


def test_the_verb_is_a_study_of_one_arm(tmp_path: Path) -> None:
    given = ["--config", "a.yaml", "--config", "b.yaml", "--selector", "c.yaml", "d.yaml", "--folds", "4"]
    more = [
        "--root",
        str(tmp_path),
        "--seed",
        "2",
        "--max-risk",
        "0.2",
        "--training",
        "t.yaml",
        "--trainer.max_steps=9",
    ]
    plan, dry_run = read_arguments([*given, *more])
    (tmp_path / "study.yaml").write_text(
        f"root: {tmp_path}\ncommon: [a.yaml, b.yaml]\nseeds: [2]\nthreshold: {{max_risk: 0.2}}\n"
        "overrides: [--trainer.max_steps=9]\n"
        f"arms: {{{ARM}: {{configs: [c.yaml, d.yaml], training: [t.yaml], peers: {{folds: 4}}}}}}\n"
    )
    assert plan == read_plan(["--config", str(tmp_path / "study.yaml")])[0]
    assert not dry_run


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "required: --config, --selector, --folds, --root; `lit-vlr peers --help` shows"),
        (["--config", "a", "--selector", "b", "--root", "r", "--folds", "few"], "--folds: invalid int value: 'few'; "),
        (["--config", "a", "--selector", "b", "--root", "r", "--folds", "1"], "peers.folds` of at least 2 but got 1"),
        (["--config", "a", "--selector", "b", "--root", "r", "--folds", "2", "--fold", "3"], "overrides` .* got '3'"),
    ],
)
def test_mistakes_of_the_verb_are_said_in_a_line(capsys, given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_arguments(given)
    assert main(["peers", *given]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
