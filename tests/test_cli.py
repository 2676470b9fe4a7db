"""The verbs as a user calls them: what they write, and what they say of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lit_vlr
from lit_vlr.cli import main
from lit_vlr.data.scenes import make_sample
from lit_vlr.errors import UserError
from lit_vlr.infinities import from_json
from lit_vlr.predictions import read_manifest, read_predictions
from lit_vlr.predictor import sample_of
from lit_vlr.threshold_file import read_threshold
from tests._tiny import CONFIGS, MAIN_JOB, SHORT, arguments

SETS = ["test", "ood_combinations", "ood_backgrounds", "ood_rephrased", "ood_knowledge"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was fitted and tested, shortly."""
    folder = tmp_path_factory.mktemp("run")
    assert main(arguments("fit", folder, *SHORT)) == 0
    checkpoint = folder / "checkpoints" / "last.ckpt"
    assert main(arguments("test", folder, f"--ckpt_path={checkpoint}")) == 0
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    Image.fromarray(make_sample("test", 0).image).save(path)
    return path


pytestmark = pytest.mark.slow


def test_test_writes_every_sample_of_every_set_once(run: Path) -> None:
    for name in [*SETS, "test+linf_pgd"]:
        predictions = read_predictions(run / "predictions" / f"{name}.jsonl")
        n = 12 if name.startswith("test") else 4
        split = name.split("+")[0]
        assert [p.uid for p in predictions] == [f"scenes/{split}/{i}" for i in range(n)]
        assert all(0 <= p.confidence <= 1 and p.accuracy is not None and len(p.answers) == 10 for p in predictions)
        threshold = read_manifest(run / "predictions" / f"{name}.jsonl")["threshold"]
        assert [p.abstained for p in predictions] == [p.confidence < threshold for p in predictions]


def test_the_report_holds_every_set_and_fetches_nothing(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert all(name in page for name in [*SETS, "linf_pgd"])
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert (run / "figures" / "report-risk-coverage-clean-run0.png").is_file()


def test_the_attack_was_checked_and_its_pictures_were_files(run: Path) -> None:
    found = read_manifest(run / "predictions" / "test+linf_pgd.jsonl")
    check, png = found["check"], found["png"]
    assert check["n"] == 4
    assert check["attacked_loss"] > check["clean_loss"]
    assert not check["sixteen_bit"]
    assert isinstance(check["problems"], list)
    attacked = read_predictions(run / "predictions" / "test+linf_pgd.jsonl")
    assert png["n"] == 12
    assert png["attacked_accuracy"] == pytest.approx(sum(p.accuracy for p in attacked) / 12)
    assert 1 <= round(255 * png["largest_change"]) <= 2
    assert 0 <= png["still_fooled"] <= png["fooled"] <= 12
    assert "Whether the attacks are to be believed" in (run / "report.html").read_text()


def test_the_gallery_keeps_eps_in_eight_bits(run: Path) -> None:
    entries = json.loads((run / "gallery" / "index.json").read_text())
    assert len(entries) == 12
    for entry in entries:
        clean, attacked = (
            np.asarray(Image.open(run / "gallery" / entry[key])).astype(int) for key in ("clean_png", "attacked_png")
        )
        assert 0 < abs(clean - attacked).max() <= round(entry["eps"] * 255)


def test_fit_logs_selective_metrics_and_losses(run: Path) -> None:
    header = (run / "logs" / "metrics.csv").read_text().splitlines()[0].split(",")
    expected = {"val/selective/aurc", "val/selective/coverage_at_risk", "val/selective/abstention_rate", "val/accuracy"}
    assert expected <= set(header)
    assert list((run / "logs").glob("events.out.tfevents.*"))


def test_a_test_has_logs_of_its_own_with_the_reports_figures(run: Path) -> None:
    log = EventAccumulator(str(run / "test_logs"))
    log.Reload()
    figures = ("risk-coverage-attacked-test", "risk-coverage-clean", "sets-abstention", "sets-accuracy")
    names = [f"test/figures/{figure}" for figure in figures]
    assert sorted(log.Tags()["images"]) == names
    assert "test/test/accuracy" in log.Tags()["scalars"]
    assert len(list((run / "logs").glob("events.out.tfevents.*"))) == 1  # the fit's


def test_report_joins_runs(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other).mkdir()
    (other / "predictions").symlink_to(run / "predictions")
    assert main(["report", str(run), str(other), "--out", str(tmp_path / "both.html")]) == 0
    assert "other" in (tmp_path / "both.html").read_text()


@pytest.fixture(scope="module")
def calibrated(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with calibration.jsonl of `validate`, and threshold files chosen on it: median.json, nothing.json."""
    folder = tmp_path_factory.mktemp("calibrated")
    assert main(arguments("validate", folder, f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}")) == 0
    chosen = ["calibrate", "--predictions", str(folder / "calibration.jsonl")]
    assert main([*chosen, "--method=coverage", "--coverage=0.5", f"--out={folder / 'median.json'}"]) == 0
    assert main([*chosen, "--target-risk=0.1", f"--out={folder / 'nothing.json'}"]) == 0
    return folder


def test_validate_writes_the_calibration_split_where_no_report_takes_it_for_a_test_set(run, calibrated) -> None:
    predictions = read_predictions(calibrated / "calibration.jsonl")
    assert [p.uid for p in predictions] == [f"scenes/calibration/{i}" for i in range(24)]
    manifest = read_manifest(calibrated / "calibration.jsonl")
    assert (manifest["set"], manifest["n"], manifest["threshold_file"]) == ("calibration", 24, None)
    assert manifest["checkpoint"] == str(run / "checkpoints" / "last.ckpt")
    assert not (calibrated / "predictions").exists()
    assert not (run / "calibration.jsonl").exists()  # a fit writes none: whose would it be, the best's or the last's?
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert manifest["threshold"] == state["threshold"]


def test_test_applies_a_threshold_file(run, calibrated, tmp_path, capsys) -> None:
    checkpoint, file = run / "checkpoints" / "last.ckpt", calibrated / "median.json"
    assert main(arguments("test", tmp_path, f"--ckpt_path={checkpoint}", f"--threshold={file}")) == 0
    threshold = json.loads(file.read_text())["threshold"]
    said = [line for line in capsys.readouterr().err.splitlines() if str(file) in line]
    assert len(said) == 1
    assert said[0].startswith(f"lit-vlr: threshold {threshold:.4g} of {file} (coverage; guarantee: none")
    assert "instead of the checkpoint's threshold" in said[0]
    for name in ("test", "test+linf_pgd"):
        path = tmp_path / "predictions" / f"{name}.jsonl"
        assert read_manifest(path)["threshold"] == threshold
        assert read_manifest(path)["threshold_file"]["method"] == "coverage"
        before = read_predictions(run / "predictions" / f"{name}.jsonl")
        after = read_predictions(path)
        assert [p.confidence for p in after] == [p.confidence for p in before]
        assert [p.abstained for p in after] == [p.confidence < threshold for p in before]


ABSTAINER = {
    "eval_wrong_confident": ("wrong_and_confident", "WrongAndConfident(threshold=None)"),
    "eval_force_abstention": ("force_abstention", "ForceAbstention(threshold=None)"),
    "eval_abstainer": ("either_failure", "EitherFailure(threshold=None, cost=1.0)"),
}


@pytest.mark.parametrize("config", ABSTAINER)
def test_attacks_on_the_abstainer_go_by_the_threshold_in_force(run, calibrated, tmp_path, config) -> None:
    name, said = ABSTAINER[config]
    configs = (*MAIN_JOB[:-1], f"attack/{config}")
    given = [f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}", f"--threshold={calibrated / 'median.json'}"]
    assert main(arguments("test", tmp_path, *given, configs=configs)) == 0
    path = tmp_path / "predictions" / f"test+{name}.jsonl"
    clean, attacked = read_predictions(tmp_path / "predictions" / "test.jsonl"), read_predictions(path)
    manifest = read_manifest(path)
    assert manifest["attack"].endswith(f"delta -0.005882..0.005882, for {said}")
    assert manifest["threshold"] == json.loads((calibrated / "median.json").read_text())["threshold"]
    # Closed samples are left clean, and which ones they are depends on the threshold.
    gives = [not p.abstained for p in clean]
    right = [p.accuracy > 0 for p in clean]
    kept = {
        "wrong_and_confident": [g and not r for g, r in zip(gives, right, strict=True)],
        "force_abstention": [not (g and r) for g, r in zip(gives, right, strict=True)],
        "either_failure": [g and not r for g, r in zip(gives, right, strict=True)],
    }[name]
    assert not all(kept)
    assert [p.confidence == q.confidence for p, q in zip(clean, attacked, strict=True)] == kept
    assert "What attacks made of right answers" in (tmp_path / "report.html").read_text()


def test_two_attacks_in_one_run_share_the_gallery(run, tmp_path) -> None:
    """The second one ended in FileNotFoundError: the first had given the folder its name already."""
    configs = (*MAIN_JOB[:-1], "attack/eval_linf_pgd", "attack/eval_force_abstention")
    assert main(arguments("test", tmp_path, f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}", configs=configs)) == 0
    entries = json.loads((tmp_path / "gallery" / "index.json").read_text())
    assert [entry["attack"] for entry in entries] == ["linf_pgd"] * 12 + ["force_abstention"] * 12
    assert all((tmp_path / "gallery" / entry["attacked_png"]).is_file() for entry in entries)


def test_predict_applies_a_threshold_file(run, calibrated, tmp_path, capsys) -> None:
    given = [f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}", f"--threshold={calibrated / 'nothing.json'}"]
    assert main(arguments("predict", tmp_path, *given)) == 0
    assert "nothing.json abstains on everything: needs at least 29 answered" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["median", "nothing"])
def test_predict_prints_what_test_recorded(run, calibrated, tmp_path, capsys, threshold) -> None:
    """It ended in a traceback, because Lightning tried to move the predictions to the CPU field by field.

    Then it answered and kept the answers to itself.
    """
    file = calibrated / f"{threshold}.json"
    capsys.readouterr()
    given = [f"--ckpt_path={run / 'checkpoints' / 'last.ckpt'}", f"--threshold={file}"]
    assert main(arguments("predict", tmp_path, *given)) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    stored = read_predictions(run / "predictions" / "test.jsonl")
    assert [(row["uid"], row["question"]) for row in rows] == [(p.uid, p.question) for p in stored]
    assert [row["confidence"] for row in rows] == pytest.approx([p.confidence for p in stored], abs=1e-5)
    least = read_threshold(file).threshold
    assert {from_json(row["threshold"]) for row in rows} == {least}
    for row, p in zip(rows, stored, strict=True):
        given = row["confidence"] >= least
        assert (row["answer"], row["withheld"]) == ((p.answer, None) if given else (None, p.answer))
    assert not list(tmp_path.rglob("*.jsonl"))


def test_ask_applies_a_threshold_file(run, calibrated, picture, capsys) -> None:
    question = ["--image", str(picture), "--question", make_sample("test", 0).question]
    given = ["ask", "--checkpoint", str(run / "checkpoints" / "last.ckpt"), *question, "--threshold"]
    assert main([*given, str(calibrated / "nothing.json")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("(abstains")
    assert said.err.count("\n") == 1
    assert "abstains on everything: needs at least 29 answered calibration questions without error" in said.err
    everything = calibrated / "everything.json"
    everything.write_text((calibrated / "median.json").read_text().replace('"threshold": 0', '"threshold": -1'))
    assert main([*given, str(everything)]) == 0
    assert not capsys.readouterr().out.startswith("(abstains")


def test_a_calibrator_of_the_threshold_file_is_applied(run, calibrated, picture, tmp_path, capsys) -> None:
    """From validate to score: its answers say the accuracy to expect, and decisions stay those of the threshold."""
    file, checkpoint = tmp_path / "platt.json", run / "checkpoints" / "last.ckpt"
    chosen = ["calibrate", "--predictions", str(calibrated / "calibration.jsonl"), f"--out={file}"]
    assert main([*chosen, "--method=coverage", "--coverage=0.5", "--calibrator=isotonic"]) == 0
    assert main(arguments("test", tmp_path, f"--ckpt_path={checkpoint}", f"--threshold={file}")) == 0
    calibrator = read_threshold(file).calibrator
    assert calibrator is not None
    path = tmp_path / "predictions" / "test.jsonl"
    stored, before = read_predictions(path), read_predictions(run / "predictions" / "test.jsonl")
    assert [p.calibrated for p in stored] == calibrator([p.confidence for p in stored]).tolist()
    assert [p.confidence for p in stored] == [p.confidence for p in before]
    assert all(p.calibrated is None for p in before)
    assert read_manifest(path)["threshold_file"]["calibrator"] == "isotonic"
    capsys.readouterr()
    assert main(["score", "--predictions", str(path), "--resamples=5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["calibrated"] is True
    given = ["--image", str(picture), "--question", make_sample("test", 0).question, "--threshold", str(file)]
    assert main(["ask", "--checkpoint", str(checkpoint), *given]) == 0
    assert f"expected accuracy {stored[0].calibrated:.3f}" in capsys.readouterr().out


def test_where_a_picture_lies_does_not_matter(run, picture, tmp_path) -> None:
    """Sampled confidences are seeded by the uid, which was the path."""
    asked = []
    for path in (picture, tmp_path / "elsewhere" / "other.png"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture.read_bytes())
        asked.append(sample_of(path, "What is it?"))
    assert asked[0].uid == asked[1].uid
    Image.new("RGB", (48, 48)).save(tmp_path / "black.png")
    assert sample_of(tmp_path / "black.png", "What is it?").uid != asked[0].uid


@pytest.mark.parametrize("verb", ["test", "predict"])
def test_a_bad_threshold_file_is_one_line(run, calibrated, tmp_path, capsys, verb) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    given = arguments(verb, tmp_path / "out", f"--ckpt_path={checkpoint}")
    assert "nowhere.json" in bad(capsys, *given, f"--threshold={tmp_path / 'nowhere.json'}")
    other = tmp_path / "other.json"
    other.write_text((calibrated / "median.json").read_text().replace("SequenceProbability()", "FirstTokenMargin()"))
    said = bad(capsys, *given, f"--threshold={other}")
    assert "Expected a threshold for SequenceProbability()" in said
    assert "is for FirstTokenMargin()" in said
    assert not list((tmp_path / "out").rglob("*.jsonl*"))


def test_fit_and_validate_take_no_threshold_file(run, calibrated, tmp_path, capsys) -> None:
    for verb in ("fit", "validate"):
        assert "threshold" in bad(capsys, *arguments(verb, tmp_path, f"--threshold={calibrated / 'median.json'}"))


def test_score_reads_what_test_wrote(run, capsys) -> None:
    path = run / "predictions" / "test.jsonl"
    assert main(["score", "--predictions", str(path), "--resamples=20", "--json"]) == 0
    metrics = json.loads(capsys.readouterr().out)["files"][0]["metrics"]
    predictions = read_predictions(path)
    assert metrics["accuracy"]["value"] == pytest.approx(sum(p.accuracy for p in predictions) / 12)
    assert metrics["abstention_rate"]["value"] == pytest.approx(sum(p.abstained for p in predictions) / 12)


def test_ask_answers_or_abstains(run: Path, picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    question = ["--image", str(picture), "--question", make_sample("test", 0).question]
    assert main(["ask", "--checkpoint", str(checkpoint), *question]) == 0
    said = capsys.readouterr().out
    stored = read_predictions(run / "predictions" / "test.jsonl")[0]
    assert f"{stored.confidence:.3f}" in said
    assert said.startswith("(abstains" if stored.abstained else stored.answer)
    state = torch.load(checkpoint, weights_only=True)
    state["state_dict"]["threshold"].fill_(-1.0)
    torch.save(state, picture.parent / "answers.ckpt")
    assert main(["ask", "--checkpoint", str(picture.parent / "answers.ckpt"), *question]) == 0
    assert capsys.readouterr().out.startswith(f"{stored.answer}  (confidence")


def test_ask_and_test_use_the_confidence_of_the_fit(picture: Path, tmp_path: Path, capsys) -> None:
    entropy = (*MAIN_JOB[:-1], "confidence/mean_entropy")
    checkpoint = tmp_path / "checkpoints" / "last.ckpt"
    assert main(arguments("fit", tmp_path, *SHORT, configs=entropy)) == 0
    # The checkpoint brings it along: it need not be given again.
    assert main(arguments("test", tmp_path, f"--ckpt_path={checkpoint}", configs=MAIN_JOB[:-1])) == 0
    path = tmp_path / "predictions" / "test.jsonl"
    assert read_manifest(path)["confidence"] == "NegativeEntropy(tokens='all')"
    stored = read_predictions(path)[0]
    assert stored.confidence < 0
    capsys.readouterr()
    question = ["--image", str(picture), "--question", make_sample("test", 0).question]
    assert main(["ask", "--checkpoint", str(checkpoint), *question]) == 0
    assert f"confidence {stored.confidence:.3f}" in capsys.readouterr().out


def test_another_confidence_may_be_tried_on_a_checkpoint(run: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    configs = (*MAIN_JOB[:-1], "confidence/self_consistency")
    with pytest.warns(UserWarning, match=r"fitted with SequenceProbability\(\) and says nothing about SelfConsistency"):
        assert main(arguments("test", tmp_path, f"--ckpt_path={checkpoint}", configs=configs)) == 0
    path = tmp_path / "predictions" / "test.jsonl"
    assert read_manifest(path)["threshold"] == float("-inf")
    assert read_manifest(path)["confidence"].startswith("SelfConsistency(sampling=Sampling(samples=8")
    before = read_predictions(run / "predictions" / "test.jsonl")
    after = read_predictions(path)
    assert [p.answer for p in after] == [p.answer for p in before]
    assert {p.confidence * 8 % 1 for p in after} == {0.0}
    assert not any(p.abstained for p in after)


def test_bad_confidence_settings_are_named_in_one_line(tmp_path, capsys) -> None:
    configs = (*MAIN_JOB[:-1], "confidence/self_consistency")
    said = bad(capsys, *arguments("fit", tmp_path, "--model.confidence.init_args.sampling.samples=0", configs=configs))
    assert "samples" in said
    configs = (*MAIN_JOB[:-1], "confidence/p_true")
    said = bad(capsys, *arguments("fit", tmp_path, "--model.confidence.init_args.right=Yes", configs=configs))
    assert said.startswith("lit-vlr: error: Expected 'Yes' to be one token after")


def bad(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line that a failing command prints."""
    assert main(list(args)) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.png", None, "no such file"),
        ("page.jpg", b"<html>not found</html>", "convert or replace it"),
        ("empty.png", b"", "convert or replace it"),
        ("text.txt", b"hello", "convert or replace it"),
    ],
)
def test_ask_names_a_bad_picture(run, tmp_path, capsys, name, content, message) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    said = bad(capsys, "ask", "--checkpoint", checkpoint, "--image", str(path), "--question", "What is it?")
    assert str(path) in said
    assert message in said


def test_ask_names_a_truncated_picture(run, picture, capsys) -> None:
    picture.write_bytes(picture.read_bytes()[:-200])
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    said = bad(capsys, "ask", "--checkpoint", checkpoint, "--image", str(picture), "--question", "What is it?")
    assert f"Expected a whole picture but {picture}" in said


def test_ask_refuses_an_empty_question(run, picture, capsys) -> None:
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    said = bad(capsys, "ask", "--checkpoint", checkpoint, "--image", str(picture), "--question", " ")
    assert "--question" in said


def test_ask_names_bad_checkpoints(run, picture, tmp_path, capsys) -> None:
    question = ["--image", str(picture), "--question", "What is it?"]
    said = bad(capsys, "ask", "--checkpoint", str(tmp_path / "none.ckpt"), *question)
    assert "none.ckpt but there is no such file" in said
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes()[:5000])
    assert "damaged.ckpt cannot be read" in bad(capsys, "ask", "--checkpoint", str(damaged), *question)
    other = tmp_path / "other.ckpt"
    torch.save({"state_dict": {"layer.weight": torch.zeros(2)}}, other)
    assert "other.ckpt is of another model" in bad(capsys, "ask", "--checkpoint", str(other), *question)


def test_test_refuses_a_checkpoint_of_another_model(run, tmp_path, capsys) -> None:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    dropped = next(name for name in state["state_dict"] if "lora_A" in name)
    del state["state_dict"][dropped]
    torch.save(state, tmp_path / "other.ckpt")
    said = bad(capsys, *arguments("test", tmp_path / "out", f"--ckpt_path={tmp_path / 'other.ckpt'}"))
    assert "1 missing (such as" in said
    assert "--config" in said
    assert not list((tmp_path / "out").rglob("*.jsonl*"))


def test_a_checkpoint_that_overrides_a_setting_says_so(run, tmp_path, capsys) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    limits = ["--trainer.limit_test_batches=1", "--model.max_new_tokens=7"]
    assert main(arguments("test", tmp_path, f"--ckpt_path={checkpoint}", *limits)) == 0
    assert "model.max_new_tokens: 7 was given, 4 is used" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["fit", "test"])
def test_an_unknown_key_is_named_in_one_line(tmp_path, capsys, verb) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text("model:\n  family:\n    init_args:\n      quantisation_bits: 4\n")
    said = bad(capsys, *arguments(verb, tmp_path / "out"), "--config", str(config))
    assert "quantisation_bits" in said
    config.write_text("modle: {max_new_tokens: 3}\n")
    assert "modle" in bad(capsys, *arguments(verb, tmp_path / "out"), "--config", str(config))
    assert not (tmp_path / "out").exists()


def test_a_missing_config_file_is_named(tmp_path, capsys) -> None:
    assert "nowhere.yaml" in bad(capsys, "fit", "--config", str(tmp_path / "nowhere.yaml"))


def test_an_unknown_verb_is_named(capsys) -> None:
    assert "'fitt'" in bad(capsys, "fitt")


@pytest.mark.parametrize("eps", ["-1/255", "8"])
def test_a_bad_eps_is_named(tmp_path, capsys, eps) -> None:
    configs = (*MAIN_JOB[:-1], "attack/eval_linf_pgd")
    given = f"--trainer.callbacks.init_args.attack.init_args.perturbation.init_args.eps={eps}"
    said = bad(capsys, *arguments("fit", tmp_path, given, configs=configs))
    assert "eps" in said


def test_report_names_a_run_without_predictions(tmp_path, capsys) -> None:
    assert str(tmp_path) in bad(capsys, "report", str(tmp_path))


def test_help_names_every_verb(capsys) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(
        verb in said
        for verb in ("fit", "validate", "test", "predict", "calibrate", "score", "study", "peers", "report", "ask")
    )


def test_a_killed_test_run_leaves_nothing_under_a_final_name(run, tmp_path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    args = arguments("test", tmp_path, f"--ckpt_path={checkpoint}", "--data.init_args.test_size=5000")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "lit_vlr.cli", *args]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
    part = tmp_path / "predictions" / "test.jsonl.part"
    deadline = time.time() + 240
    while not (part.exists() and part.stat().st_size) and time.time() < deadline and process.poll() is None:
        time.sleep(0.2)
    assert part.exists(), "the run never started to write"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list((tmp_path / "predictions").glob("*.jsonl"))
    assert main(["report", str(tmp_path)]) == 2


def test_configs_folder_is_where_the_readme_says() -> None:
    assert (CONFIGS / "base.yaml").is_file()


def test_the_predictor_says_in_python_what_test_recorded(run: Path, picture: Path) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        predictor = lit_vlr.SelectivePredictor.from_checkpoint(run / "checkpoints" / "last.ckpt", threshold=-1.0)
    assert not [str(one.message)[:80] for one in warned if "Found keys" in str(one.message)]
    stored = read_predictions(run / "predictions" / "test.jsonl")[:4]
    scenes = [make_sample("test", i) for i in range(4)]
    together = predictor.answer([(scene.image, scene.question) for scene in scenes])
    assert [found.answer for found in together] == [p.answer for p in stored]
    assert [found.confidence for found in together] == pytest.approx([p.confidence for p in stored], abs=1e-5)
    for image in (picture, str(picture), Image.open(picture), scenes[0].image):
        found = predictor(image, scenes[0].question)
        assert (found.answer, found.withheld, found.threshold) == (stored[0].answer, None, -1.0)
        assert found.confidence == pytest.approx(together[0].confidence, abs=1e-5)
    nothing = lit_vlr.SelectivePredictor.from_checkpoint(run / "checkpoints" / "last.ckpt", threshold=float("inf"))
    found = nothing(picture, scenes[0].question)
    assert (found.answer, found.withheld) == (None, stored[0].answer)
    with pytest.raises(UserError, match="Expected a question but it is empty"):
        predictor(picture, " ")
    with pytest.raises(UserError, match="at least one picture"):
        predictor.answer([])
    with pytest.raises(UserError, match="no such file"):
        predictor("nowhere.png", "What?")
    with pytest.raises(ValueError, match="`threshold` to be a number but got nan"):
        lit_vlr.SelectivePredictor.from_checkpoint(run / "checkpoints" / "last.ckpt", threshold=float("nan"))
