"""`lit-vlr test` on benchmarks of several kinds: each set is asked and scored in its own way, and one table results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from lit_vlr.benchmark_table import Row, benchmark_row, print_rows, write_table
from lit_vlr.cli import main
from lit_vlr.confidence import FirstTokenMargin
from lit_vlr.data.errors import DataFormatError
from lit_vlr.data.targets import majority
from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives import SFT
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.predictions import MANIFEST_KEYS, PredictionWriter, read_predictions
from lit_vlr.tasks import OptionChoice, VQAAccuracy, score_answer
from lit_vlr.types import Prediction, Sample, Task
from tests._tiny import CONFIGS, family
from tests.datasets.benchmarks._layouts import LAYOUTS, build

TESTED = ("okvqa", "docvqa", "aokvqa_choice", "pope", "flickr30k", "mme", "refcoco")
OWN = {
    "okvqa": {"vqa_accuracy", "vqa_accuracy_official"},
    "docvqa": {"anls"},
    "aokvqa_choice": {"option_accuracy"},
    "pope": {"accuracy", "precision", "recall", "f1", "yes_ratio", "abstention_rate"},
    "flickr30k": {"cider"},
    "mme": {"perception", "cognition", "code_reasoning", "existence"},
    "refcoco": {"box_accuracy"},
    "fog": {"vqa_accuracy", "vqa_accuracy_official"},
    "unlabelled": set(),
}


def as_yaml(made: Any) -> dict[str, Any]:
    """What a configuration would say of a benchmark."""
    given = {key: str(value) if isinstance(value, Path) else value for key, value in made.__dict__.items()}
    return {"class_path": f"lit_vlr.data.benchmarks.{type(made).__name__}", "init_args": given}


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one run of `lit-vlr test`."""
    folder = tmp_path_factory.mktemp("suite")
    rng = np.random.default_rng(0)
    sets: dict[str, Any] = {}
    for name in TESTED:
        made = build(LAYOUTS[name], folder / name)
        for sample in made.read():
            assert isinstance(sample.image, Path)
            sample.image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(sample.image)
        sets[name] = as_yaml(replace(made, max_new_tokens=3) if name == "docvqa" else made)
    sets["fog"] = {
        "class_path": "lit_vlr.data.derived.Corrupted",
        "init_args": {"of": sets["okvqa"], "corruption": "fog", "severity": 2},
    }
    unlabelled = {**sets["okvqa"]["init_args"], "annotations": None}
    sets["unlabelled"] = {"class_path": "lit_vlr.data.benchmarks.OKVQA", "init_args": unlabelled}
    data = {"class_path": "lit_vlr.benchmark_datamodule.BenchmarkDataModule", "init_args": {"test": sets}}
    (folder / "data.yaml").write_text(yaml.safe_dump({"data": data}))
    names = ("base", "model/tiny_llava", "objective/sft")
    configs = [*(str(CONFIGS / f"{name}.yaml") for name in names), str(folder / "data.yaml")]
    files = [part for config in configs for part in ("--config", config)]
    more = [f"--trainer.default_root_dir={folder / 'run'}", "--trainer.enable_progress_bar=false"]
    assert main(["test", *files, *more]) == 0
    return folder / "run"


def test_one_table_results(tested: Path) -> None:
    document = json.loads((tested / "benchmarks.json").read_text())
    assert document["dialect"] == "no_skip"
    assert {row["name"]: set(row["figures"]) for row in document["sets"]} == OWN
    rows = {row["name"]: row for row in document["sets"]}
    for name in TESTED:
        assert rows[name]["n"] == len(LAYOUTS[name].uids)
    assert rows["flickr30k"]["accuracy"] is rows["unlabelled"]["accuracy"] is rows["unlabelled"]["aurc"] is None
    for name in ("okvqa", "docvqa", "aokvqa_choice", "pope"):
        answers = read_predictions(tested / "predictions" / f"{name}.jsonl")
        assert rows[name]["accuracy"] == pytest.approx(np.mean([p.accuracy for p in answers]))
        assert 0 <= rows[name]["aurc"] <= 1


def test_questions_are_asked_in_the_words_of_their_benchmark(tested: Path) -> None:
    (first, _) = read_predictions(tested / "predictions" / "aokvqa_choice.jsonl")
    assert "A. toothpick\nB. food" in first.question
    assert first.question.endswith("directly.")


def test_answers_are_as_long_as_their_benchmark_allows(tested: Path) -> None:
    limited, free = (read_predictions(tested / "predictions" / f"{name}.jsonl") for name in ("docvqa", "flickr30k"))
    assert max(len(p.answer.split()) for p in limited) <= 3
    assert len(free) == 2


def test_every_set_has_its_report(tested: Path) -> None:
    assert "okvqa" in (tested / "report.html").read_text()


TASK = Task(VQAAccuracy())


def asked(n: int = 3, task: Task | None = TASK) -> list[Sample]:
    return [Sample(f"a/b/{i}", Path("x"), "x", "Why?", ("red",) * 10, task=task) for i in range(n)]


def answered(path: Path, uids: list[str], accuracy: float | None = 1.0) -> Path:
    with PredictionWriter(path / "a.jsonl", dict.fromkeys(MANIFEST_KEYS)) as writer:
        for i, uid in enumerate(uids):
            writer.write(Prediction(uid, "x", "Why?", "Red.", 0.9 - i / 10, i == 0, accuracy, ("red",) * 10))
    return path / "a.jsonl"


def test_figures_by_hand(tmp_path: Path) -> None:
    row = benchmark_row(answered(tmp_path, ["a/b/2", "a/b/0", "a/b/1"]), "a", asked(), "no_skip")
    # Officially nothing is normalised where all ten agree, and "Red." is not "red".
    assert row.figures == {"vqa_accuracy": 1.0, "vqa_accuracy_official": 0.0}
    assert (row.n, row.accuracy, row.aurc) == (3, 1.0, 0.0)
    assert row.abstention_rate == pytest.approx(1 / 3)
    assert benchmark_row(tmp_path / "a.jsonl", "a", asked(), "official").figures == {"vqa_accuracy": 0.0}
    assert benchmark_row(tmp_path / "a.jsonl", "a", asked(task=None), "no_skip").figures == row.figures


def test_names_are_whole_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    names = ["okvqa_elastic_transform_1", "okvqa_elastic_transform_3"]
    print_rows([Row(name, 5046, {"vqa_accuracy": 0.5, "vqa_accuracy_official": 0.4}, 0.5, 0, 0.3) for name in names])
    out = capsys.readouterr().out
    assert "…" not in out
    first = "".join(line.split("│")[1].strip() for line in out.splitlines() if line.startswith("│"))
    assert first == "".join(names)


def test_what_is_not_defined_is_null(tmp_path: Path) -> None:
    row = benchmark_row(answered(tmp_path, ["a/b/0"]), "a", asked(1), "no_skip")
    write_table([replace(row, figures={"f1": float("nan")}, aurc=None)], tmp_path / "out.json", "no_skip")
    (written,) = json.loads((tmp_path / "out.json").read_text())["sets"]
    assert (written["figures"], written["aurc"]) == ({"f1": None}, None)


@pytest.mark.parametrize(
    ("uids", "message"), [(["a/b/0"], "2 are missing, 0 too many"), (["x"], "3 are missing, 1 too")]
)
def test_answers_to_other_samples_are_refused(tmp_path: Path, uids: list[str], message: str) -> None:
    with pytest.raises(
        DataFormatError, match=rf"a.jsonl .*, `uid`: Expected an answer to each sample of a but {message}"
    ):
        benchmark_row(answered(tmp_path, uids), "a", asked(), "no_skip")


def test_a_metric_is_not_asked_of_samples_without_labels(tmp_path: Path) -> None:
    samples = [*asked(2), replace(asked(3)[2], answers=())]
    with pytest.raises(DataFormatError, match=r"entry 2 \(a/b/2\), `answers`: Expected labels for all samples of a or"):
        benchmark_row(answered(tmp_path, ["a/b/0", "a/b/1", "a/b/2"]), "a", samples, "no_skip")


def test_rows_of_different_lengths_do_not_touch_each_other() -> None:
    """In one batch and each by itself, answers are the same, cut where their own task says."""
    made = family(lora=None)
    module = SelectiveVLM(made, SFT(), max_new_tokens=5).eval()
    rng = np.random.default_rng(0)
    limits = [1, 4, None, 1]
    samples = [
        Sample(
            f"a/b/{i}",
            rng.integers(0, 256, (48, 48, 3), np.uint8),
            str(i),
            "What does the thing at the left do?",
            ("swims",) * 10,
            task=None if limit is None else Task(VQAAccuracy(), max_new_tokens=limit),
        )
        for i, limit in enumerate(limits)
    ]
    with torch.no_grad():
        together = module.answer(made.collate(samples, [majority(s) for s in samples]))
        alone = [module.answer(made.collate([s], [majority(s)]))[0] for s in samples]
    assert [p.uid for p in together] == [s.uid for s in samples]
    assert [p.answer for p in together] == [p.answer for p in alone]
    assert [p.accuracy for p in together] == [
        score_answer(p.answer, s, "no_skip") for p, s in zip(alone, samples, strict=True)
    ]
    for limit, prediction in zip(limits, together, strict=True):
        assert len(made.tokenizer.encode(prediction.answer, add_special_tokens=False)) <= (limit or 5)


def chosen(n: int, by: str = "likelihood") -> list[Sample]:
    rng = np.random.default_rng(1)
    task = Task(OptionChoice(by), "{question}\n{options}")  # type: ignore[arg-type]
    options = [("red", "blue", "green"), ("yes", "no")]
    question = "What colour is the thing at the left?"
    pictures = [rng.integers(0, 256, (48, 48, 3), np.uint8) for _ in range(n)]
    made = [
        Sample(f"a/b/{i}", picture, str(i), question, ("B",), choices=options[i % 2], task=task)
        for i, picture in enumerate(pictures)
    ]
    return [sample.as_asked() for sample in made]


def test_options_are_chosen_by_the_lowest_cross_entropy() -> None:
    """Against teacher-forced passes over each letter as the target."""
    made = family(bits=16, lora=None)
    module = SelectiveVLM(made, SFT()).eval()
    samples = chosen(4)
    mixed = [*samples, *chosen(1, "words")]
    with torch.no_grad():
        answers = module.answer(made.collate(mixed, ["B"] * 5))
        for sample, answer in zip(samples, answers, strict=False):
            letters = "ABC"[: len(sample.choices)]
            losses = [answer_cross_entropy(made(made.collate([sample], [letter])), 1).item() for letter in letters]
            tokens = [len(made.answer_tokens(letter)) for letter in letters]
            sums = [loss * n for loss, n in zip(losses, tokens, strict=True)]
            assert answer.answer == letters[int(np.argmin(sums))]
            assert answer.confidence == pytest.approx(np.exp(-min(sums)), rel=1e-3)
            assert answer.accuracy == float(answer.answer == "B")
    assert answers[4].answer == module.answer(made.collate(chosen(1, "words"), ["B"]))[0].answer


def test_another_confidence_does_not_fit_options_by_likelihood() -> None:
    made = family(lora=None)
    module = SelectiveVLM(made, SFT(), confidence=FirstTokenMargin()).eval()
    with pytest.raises(
        UserError, match=r"Expected the confidence SequenceProbability\(\) for a/b/0, whose options are"
    ):
        module.answer(made.collate(chosen(1), ["B"]))
