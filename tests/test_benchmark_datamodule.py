"""Data modules of benchmarks: splits, leakage, and a batch order that neither workers nor a resumed run change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from PIL import Image

from lit_vlr import official_datamodules
from lit_vlr.benchmark_datamodule import BenchmarkDataModule
from lit_vlr.data.benchmarks import OKVQA
from lit_vlr.data.corruptions import CorruptedPicture
from lit_vlr.data.cost import image_tokens, sample_cost
from lit_vlr.data.labelled import LabelledDiagram
from lit_vlr.data.leakage import LeakageError
from lit_vlr.data.loading import ImageCache, TaskCollate
from lit_vlr.data.shards import ShardSet, write_shards
from lit_vlr.data.source import Source
from lit_vlr.errors import UserError
from lit_vlr.official_datamodules import OKVQADataModule
from lit_vlr.tasks import Captions, ExactMatch
from lit_vlr.types import Sample, Task
from tests._data import Pictures, Standing, Watcher, uids
from tests.datasets.benchmarks._layouts import LAYOUTS, build


@dataclass(frozen=True)
class Asked(Source):
    """Questions on pictures, two each; ids from ``first`` on."""

    n: int
    first: int = 0
    name: str = "train"
    task: Task | None = None

    def read(self) -> list[Sample]:
        made = []
        for i in range(self.n):
            picture = np.full((28 * (1 + i % 3), 28, 3), i, np.uint8)
            question = "Why? " * (1 + i * 7 % 5)
            image_id = str(self.first + i // 2)
            made.append(Sample(f"{self.name}/x/{i}", picture, image_id, question, ("so", "no", "no"), task=self.task))
        return made

    def __str__(self) -> str:
        return self.name


def standing(made: BenchmarkDataModule, processed: int = 0) -> BenchmarkDataModule:
    made.trainer = Standing(processed)  # type: ignore[assignment]
    made.setup()
    return made


def module(processed: int = 0, **kwargs: Any) -> BenchmarkDataModule:
    given: dict[str, Any] = {"train": Asked(30), "test": {"near": Asked(6, 900, "near")}, "batch_size": 4, **kwargs}
    return standing(BenchmarkDataModule(**given), processed)


class Square(Pictures):
    """Pictures of one size, so that batches are tensors."""

    def collate(self, samples: Sequence[Sample], targets: Sequence[str]) -> Any:
        return super().collate([replace(s, image=np.zeros((4, 4, 3), np.uint8)) for s in samples], targets)


@pytest.fixture(autouse=True)
def square(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Watcher.__init__

    def init(self: Watcher) -> None:
        real(self)
        self.family = Square()

    monkeypatch.setattr(Watcher, "__init__", init)


def test_calibration_is_held_back_by_picture() -> None:
    sets = module(calibration_fraction=0.2).sets
    assert {name: len(samples) for name, samples in sets.items()} == {"train": 24, "calibration": 6, "test/near": 6}
    assert {s.image_id for s in sets["train"]}.isdisjoint(s.image_id for s in sets["calibration"])


def test_a_fold_is_left_out_and_tested() -> None:
    held = [module(folds=3, fold=fold).sets for fold in range(3)]
    whole = module().sets
    assert sorted(s.uid for sets in held for s in sets["test/held"]) == sorted(s.uid for s in whole["train"])
    for sets in held:
        assert [s.uid for s in sets["calibration"]] == [s.uid for s in whole["calibration"]]
        assert sorted(s.uid for name in ("train", "test/held") for s in sets[name]) == sorted(
            s.uid for s in whole["train"]
        )
        seen = {s.image_id for name in ("train", "calibration") for s in sets[name]}
        assert seen.isdisjoint(s.image_id for s in sets["test/held"])
    made = module(folds=3, fold=1)
    assert [u for batch in uids(list(made.predict_dataloader())) for u in batch] == [
        s.uid for s in made.sets["test/held"]
    ]
    assert made.test_names == ["held"]
    assert [uids(list(loader)) for loader in made.test_dataloader()] == [uids(list(made.predict_dataloader()))]
    assert made.describe() == "train without fold 1 of 3, which is the test"


def test_leakage_is_refused_unless_allowed_by_name() -> None:
    near = {"near": Asked(6, 10, "near")}
    with pytest.raises(LeakageError, match=r"near: 3 of 3 pictures \(10, 11, 12\); .*`allow_overlap: \[near\]`"):
        module(test=near)
    assert len(module(test=near, allow_overlap=["near"]).sets["test/near"]) == 6
    with pytest.raises(LeakageError, match="calibration: 2 of 2 pictures"):
        module(calibration=Asked(4, 3, "calibration"))


def test_leakage_is_refused_for_tests_alone_too() -> None:
    made = BenchmarkDataModule(train=Asked(30), test={"near": Asked(6, 10, "near")})
    with pytest.raises(LeakageError, match="near: 3 of 3"):
        made.setup("test")


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    **{kind: {"bucketing": kind} for kind in ("length", "image_tokens", "both")},
}


@pytest.fixture(params=[*KINDS, "shards"])
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    if request.param != "shards":
        return KINDS[request.param]
    write_shards(Asked(27).read(), tmp_path / "set", shard_size=5)
    return {"train": ShardSet(tmp_path / "set"), "calibration": Asked(4, 500, "calibration")}


def test_workers_change_no_batch(kind: dict[str, Any]) -> None:
    made = [module(num_workers=n, **kind) for n in (0, 1, 4)]
    orders = [uids(list(one.train_dataloader())) for one in made]
    assert orders[0] == orders[1] == orders[2]
    assert {uid for batch in orders[0] for uid in batch} == {sample.uid for sample in made[0].sets["train"]}
    assert uids(list(module(3, num_workers=4, **kind).train_dataloader())) == orders[0][3:]  # and from any batch on


def test_any_batch_can_be_gone_on_from(kind: dict[str, Any]) -> None:
    whole = uids(list(module(**kind).train_dataloader()))
    for processed in range(len(whole)):
        assert uids(list(module(processed, **kind).train_dataloader())) == whole[processed:]
    second = uids(list(module(len(whole), **kind).train_dataloader()))
    assert second != whole


def test_pictures_of_a_batch_are_of_one_size_where_that_is_asked_for() -> None:
    def sizes(bucketing: str) -> list[int]:
        batches = uids(list(module(train=Asked(240), bucketing=bucketing).train_dataloader()))
        return [len({int(uid.rpartition("/")[2]) % 3 for uid in batch}) for batch in batches]  # of `Asked`

    mixed, sorted_ = sizes("none"), sizes("image_tokens")
    assert np.mean(mixed) > 2
    assert np.mean(sorted_) < 1.1


def test_batches_are_pinned_where_there_is_a_gpu_or_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module(pin_memory=True).train_dataloader().pin_memory
    for there in (True, False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert module().train_dataloader().pin_memory is there
        assert not module(pin_memory=False).train_dataloader().pin_memory


class SaveEachBatch(Callback):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def fit(data: BenchmarkDataModule, folder: Path, *callbacks: Callback, ckpt: Path | None = None) -> Watcher:
    watcher = Watcher()
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", callbacks=list(callbacks), enable_checkpointing=False,
        limit_val_batches=0, default_root_dir=folder, **quiet,
    )  # fmt: skip
    trainer.fit(watcher, datamodule=data, ckpt_path=ckpt)
    return watcher


@pytest.mark.parametrize("num_workers", [0, 3])
def test_a_run_resumed_at_any_batch_sees_what_it_would_have_seen(tmp_path: Path, num_workers: int) -> None:
    def data() -> BenchmarkDataModule:
        return BenchmarkDataModule(
            train=Asked(14), batch_size=4, calibration_fraction=0.2, bucketing="length", num_workers=num_workers
        )

    whole = fit(data(), tmp_path, SaveEachBatch(tmp_path)).seen
    assert len(whole) == 6  # two epochs of three
    for step in range(1, 6):
        assert fit(data(), tmp_path, ckpt=tmp_path / f"{step}.ckpt").seen == whole[step:]


def test_test_sets_come_in_their_order() -> None:
    made = module(test={"near": Asked(6, 900, "near"), "far": Asked(4, 950, "far")})
    assert made.test_names == ["near", "far"]
    assert [uids(list(loader))[0][0] for loader in made.test_dataloader()] == ["near/x/0", "far/x/0"]
    assert made.describe() == "train; tests: near, far"


def test_questions_are_put_in_the_words_of_their_task() -> None:
    task = Task(ExactMatch(), "{question}One word!", 3)
    made = module(test={"near": Asked(2, 900, "near", task)})
    (batch,) = made.test_dataloader()[0]
    assert [sample.question for sample in batch.samples] == ["Why? One word!", "Why? Why? Why? One word!"]
    assert batch.samples[0].as_asked() is batch.samples[0]
    assert batch.samples[0].task == replace(task, prompt="{question}")
    assert batch.targets == ("no", "no")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"batch_size": 0}, "Expected `data.batch_size` of at least 1 but got 0"),
        ({"num_workers": -1}, "Expected `data.num_workers` of at least 0"),
        ({"folds": 3, "fold": 3}, "Expected `data.fold` from 0 to 2 but got 3"),
        ({"folds": 1}, "Expected `data.folds` of at least 2, or 0 for none, but got 1"),
        (
            {"folds": 2, "train": Asked(20, task=Task(Captions())), "calibration": Asked(4, 500)},
            "Expected a fold whose answers can be scored one by one but train/x/4 cannot",
        ),
        ({"folds": 2, "test": {"held": Asked(4, 900)}}, "no test set called 'held'"),
        ({"train": None, "test": {}}, "Expected `data.train` or `data.test` but got neither"),
        (
            {"calibration": Asked(4, 500, task=Task(Captions()))},
            "be scored one by one but train/x/0 cannot",
        ),
    ],
)
def test_unusable_settings_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        module(**kwargs)


def test_verbs_without_their_set_say_so() -> None:
    tests_only = module(train=None)
    for loader, message in (
        (tests_only.train_dataloader, "Expected `data.train` but there is none"),
        (tests_only.val_dataloader, "Expected `data.calibration` or `data.train` but there is none"),
        (module(test=None).test_dataloader, "Expected test sets but `data.test` has none"),
    ):
        with pytest.raises(UserError, match=message):
            loader()
    alone = BenchmarkDataModule(train=Asked(20))
    alone.setup()
    with pytest.raises(UserError, match="Expected a Trainer"):
        alone.train_dataloader()


def test_shards_are_not_cut(tmp_path: Path) -> None:
    write_shards(Asked(6).read(), tmp_path / "set")
    with pytest.raises(UserError, match=r"Expected `data.calibration` and no `data.folds` with shards"):
        module(train=ShardSet(tmp_path / "set"))


def test_pictures_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 10), "red").save(tmp_path / "a.png")
    opened: list[Any] = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: opened.append(a) or real(*a, **k))
    sample = Sample("u", tmp_path / "a.png", "a", "Why?", ("so",))
    collate = TaskCollate(Pictures().collate, "majority", 0, cache_bytes=10_000)
    batches = [collate([sample, replace(sample, uid="v")]) for _ in range(2)]
    assert len(opened) == 1
    assert torch.equal(batches[0].images, batches[1].images)
    assert batches[1].samples[0].image == tmp_path / "a.png"  # the array does not travel
    assert len([collate([replace(sample, image=CorruptedPicture(sample.image, "fog", 1, 0))]) for _ in range(2)]) == 2
    assert len(opened) == 2


def test_the_cache_keeps_to_its_size(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(4)]
    for path in paths:
        Image.new("RGB", (10, 10)).save(path)
    cache = ImageCache(700)  # two of them
    first = cache(paths[0], "")
    cache(paths[1], "")
    assert cache(paths[0], "") is first
    cache(paths[2], "")  # the second goes: it was used the longest ago
    assert cache.held == 600
    assert cache(paths[0], "") is first
    assert isinstance(ImageCache(100)(paths[0], ""), np.ndarray)  # too large to keep
    assert ImageCache(0)(paths[0], "") is paths[0]


def test_the_cache_draws_noise_for_each_question_on_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (10, 10), "red").save(tmp_path / "a.png")
    picture = CorruptedPicture(tmp_path / "a.png", "gaussian_noise", 3, 0)
    cache = ImageCache(10_000)
    for _ in range(2):
        for uid in ("a/b/1", "a/b/2"):
            assert np.array_equal(cache(picture, uid), picture.pixels(uid))
    assert cache.held == 600
    made = CorruptedPicture(np.zeros((4, 4, 3), np.uint8), "fog", 1, 0)  # an array has no hash
    assert cache(made, "u") is made


def test_costs(tmp_path: Path) -> None:
    Image.new("RGB", (57, 28)).save(tmp_path / "a.png")
    sample = Sample("u", tmp_path / "a.png", "a", "Why?" * 10, ("so",) * 2)
    assert image_tokens(tmp_path / "a.png") == 3
    assert image_tokens(CorruptedPicture(tmp_path / "a.png", "fog", 1, 0)) == 3
    assert image_tokens(LabelledDiagram(tmp_path / "a.png", ())) == 3
    assert image_tokens(np.zeros((29, 28, 3), np.uint8)) == 2
    assert image_tokens(tmp_path / "none.png") == 0
    assert [sample_cost(sample, kind) for kind in ("length", "image_tokens", "both")] == [10.5, 3.0, 13.5]


NAMED = [made for name, made in vars(official_datamodules).items() if name.endswith("DataModule")]
NAMED.remove(BenchmarkDataModule)


@pytest.mark.parametrize("made", NAMED)
def test_named_modules_know_their_official_files(made: Any, tmp_path: Path) -> None:
    data = made(root=tmp_path, batch_size=2, extra_tests={"near": Asked(2, 900)})
    assert data.test_names == [made.benchmark.name, "near"]
    assert set(made.splits) <= set(made.benchmark.splits)
    assert data.describe().startswith(f"{made.benchmark.name}/{made.splits[0]}; tests: {made.benchmark.name}/")


def test_the_okvqa_module_reads_official_files(tmp_path: Path) -> None:
    build(LAYOUTS["okvqa"], tmp_path)
    for name in ("OpenEnded_mscoco_{}_questions.json", "mscoco_{}_annotations.json"):
        text = (tmp_path / name.format("val2014")).read_text()
        for old, new in (("297147", "1"), ("339761", "2")):  # other pictures; both files alike
            text = text.replace(f'"image_id": {old}', f'"image_id": {new}')
        (tmp_path / name.format("train2014")).write_text(text)
    (tmp_path / "train2014").mkdir()
    made = OKVQADataModule(root=tmp_path, calibration_fraction=0.5, batch_size=2)
    standing(made)
    assert [s.uid for s in made.sets["test/okvqa"]] == ["okvqa/val2014/2971475", "okvqa/val2014/3397615"]
    assert {len(made.sets[name]) for name in ("train", "calibration")} == {1}
    assert isinstance(made.train_source, OKVQA)
