"""The out-of-domain suite as it is shipped: small official files where the configuration looks for them, one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from jsonargparse import ArgumentParser
from PIL import Image

from lit_vlr.benchmark_datamodule import BenchmarkDataModule
from lit_vlr.cli import main
from lit_vlr.data.derived import Corrupted
from tests._tiny import CONFIGS
from tests.datasets.benchmarks._layouts import LAYOUTS, Files, ten, write


def vqa(questions: str, annotations: str, n: int, first: int, kinds: bool = False) -> Files:
    """Questions and annotations of the VQA format, on n pictures."""
    asked = [{"image_id": first + i, "question": f"What is {i}?", "question_id": first + i} for i in range(n)]
    said = [
        {**{k: q[k] for k in ("image_id", "question_id")}, "question_type": "one", "answer_type": "other",
         "answers": ten("a dog", "dog")}
        for q in asked
    ]  # fmt: skip
    return {
        questions: {"questions": asked},
        annotations: {"annotations": said, **({"question_types": {"one": "Animals"}} if kinds else {})},
    }


def official(root: Path) -> None:
    """Everything that the suite reads but the pictures."""
    okvqa = ("OpenEnded_mscoco_{}_questions.json", "mscoco_{}_annotations.json")
    for split, first in (("train2014", 1), ("val2014", 1000)):
        write(root / "okvqa", vqa(*(name.format(split) for name in okvqa), n=9, first=first, kinds=True))
    names = ("v2_OpenEnded_mscoco_{}_questions.json", "v2_mscoco_{}_annotations.json")
    for folder, split in (("vqav2", "val2014"), ("vqa_rephrasings", "valrep2018_humans_og")):
        write(root / folder, vqa(*(name.format(split) for name in names), n=3, first=2000))
    advqa = ("v1_OpenEnded_mscoco_val2017_advqa_questions.json", "v1_mscoco_val2017_advqa_annotations.json")
    write(root / "advqa", vqa(*advqa, n=9, first=3000))
    for name in ("aokvqa", "vizwiz", "textvqa", "gqa", "pope"):
        write(root / name, LAYOUTS[name].files())
    for folder in ("okvqa/train2014", "okvqa/val2014", "vqav2/val2014", "advqa/val2014", "aokvqa/val2017",
                   "vizwiz/val", "textvqa/train_images", "gqa/images", "pope/val2014"):  # fmt: skip
        (root / folder).mkdir(parents=True, exist_ok=True)


def shipped(root: Path) -> str:
    """The official files, and the suite as it is shipped in ``ood.yaml``; returns what that holds."""
    official(root / "data")
    # Two questions instead of 5,000 of VQAv2 are all that is changed.
    text = (CONFIGS / "data/ood_okvqa.yaml").read_text()
    assert text.count("n: 5000") == 1
    (root / "ood.yaml").write_text(text.replace("n: 5000", "n: 2"))
    return text


def test_the_shipped_suite_runs_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = shipped(tmp_path)
    named = list(yaml.safe_load(text)["data"]["init_args"]["test"])
    seen: list[BenchmarkDataModule] = []
    real = BenchmarkDataModule.setup

    def setup(self: BenchmarkDataModule, stage: str | None = None) -> None:
        real(self, stage)
        paint(self)
        seen.append(self)

    monkeypatch.setattr(BenchmarkDataModule, "setup", setup)
    files = [str(CONFIGS / f"{name}.yaml") for name in ("base", "model/tiny_llava", "objective/sft")]
    configs = [part for file in [*files, "ood.yaml"] for part in ("--config", file)]
    small = ["--data.init_args.num_workers=0", "--trainer.default_root_dir=run", "--trainer.enable_progress_bar=false"]
    assert main(["test", *configs, *small]) == 0
    document = json.loads(Path("run/benchmarks.json").read_text())
    rows = {row["name"]: row for row in document["sets"]}
    assert list(rows) == named
    assert len(named) == 27
    sizes = {name: row["n"] for name, row in rows.items()}
    assert {name: sizes[name] for name in ("okvqa", "near_vqav2", "adversarial_advqa", "abstention_vizwiz")} == {
        "okvqa": 9, "near_vqav2": 2, "adversarial_advqa": 9, "abstention_vizwiz": 1,
    }  # fmt: skip
    assert (sizes["mixture_90_10"], sizes["mixture_50_50"]) == (10, 18)
    assert {name for name, row in rows.items() if row["accuracy"] is None} == set()
    corrupted = [name for name, source in seen[0].test_sources.items() if isinstance(source, Corrupted)]
    assert len(corrupted) == 15
    assert {sizes[name] for name in corrupted} == {9}


def paint(data: BenchmarkDataModule) -> None:
    """The pictures that were named."""
    rng = np.random.default_rng(0)
    for samples in data.sets.values():
        for sample in samples:
            image: Any = sample.image
            while not isinstance(image, Path):
                image = image.image
            if not image.exists():
                Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(image)


@pytest.mark.slow
def test_the_shipped_study_of_okvqa_answers_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As shipped, but for the model, which is the embedded one, and fewer of everything: one step of training."""
    monkeypatch.chdir(tmp_path)
    text = shipped(tmp_path)
    Path("configs").symlink_to(CONFIGS)
    document = yaml.safe_load((CONFIGS / "study/okvqa.yaml").read_text())
    data = yaml.safe_load(Path("ood.yaml").read_text())["data"]["init_args"]
    kept = ("okvqa", "near_aokvqa", "far_gqa", "abstention_pope")
    data["test"] = {name: yaml.safe_load(text)["data"]["init_args"]["test"][name] for name in kept}
    module = {"class_path": "lit_vlr.BenchmarkDataModule", "init_args": data}
    Path("ood.yaml").write_text(yaml.safe_dump({"data": module}, sort_keys=False))  # the first set is in domain
    common = [
        {"configs/model/qwen2_5_vl_3b.yaml": "configs/model/tiny_llava.yaml"}.get(file, file)
        for file in document["common"]
        if file != "configs/data/ood_okvqa.yaml"
    ]
    document |= {
        "common": [*common, "ood.yaml"],
        "arms": {name: document["arms"][name] for name in ("sft", "selector_adversarial")},
        "attacks": [file for file in document["attacks"] if "eval_linf_pgd.yaml" in file or "abstainer" in file],
        "seeds": [0],
        "n_resamples": 20,
        "overrides": [
            *("--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.enable_progress_bar=false"),
            *("--trainer.accumulate_grad_batches=1", "--data.num_workers=0", "--data.batch_size=4"),
        ],
    }
    Path("study.yaml").write_text(yaml.safe_dump(document))
    paint_files(Path("ood.yaml"))
    assert main(["study", "--config", "study.yaml", "--jobs=2"]) == 0
    said = capsys.readouterr().out
    table = json.loads(Path("runs/okvqa/study.json").read_text())
    sets = {row["set"] for row in table["rows"]}
    assert sets == {*kept, "okvqa+linf_pgd", "okvqa+either_failure"}
    assert {row["arm"] for row in table["rows"]} == {"sft", "selector_adversarial"}
    assert " on okvqa, AURC is " in said
    assert "On clean pictures, accuracy of" in said
    assert "report: runs/okvqa/report.html" in said


def paint_files(config: Path) -> None:
    """Every picture that the data module of a config file names."""
    parser = ArgumentParser()
    parser.add_subclass_arguments(BenchmarkDataModule, "data")
    found = parser.instantiate_classes(parser.parse_object(yaml.safe_load(config.read_text())))
    found.data.setup()
    paint(found.data)
