"""Callbacks that write what a model answers on the test sets and on attacked copies of them, with a gallery."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from lit_vlr.attack_check import checked
from lit_vlr.data.splits import ImageKey, image_key
from lit_vlr.errors import UserError
from lit_vlr.module import SelectiveVLM
from lit_vlr.predictions import PredictionWriter, manifest_path
from lit_vlr.realisability import Realisability, read_again
from lit_vlr.thresholding import ApplyThreshold
from lit_vlr.types import Batch, Prediction
from lit_vlr.versions import versions
from lit_vlr_callbacks import attack_batch
from lit_vlr_callbacks.attacks import AbstentionObjective, Attack
from lit_vlr_callbacks.batch import read_images
from lit_vlr_callbacks.png import save_png

CALIBRATION = "calibration"
"""The set of the predictions that thresholds are chosen on."""


class Recorder(Callback):
    """Writers that give their files a name only when the test run is through; nothing half-written stays behind."""

    def __init__(self) -> None:
        self._writers: dict[str, PredictionWriter] = {}

    def open(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        name: str,
        attack: str | None = None,
        eps: float | None = None,
        folder: str = "predictions",
    ) -> None:
        """Open ``<run>/<folder>/<name>.jsonl``; the run folder is the Trainer's root.

        Raises:
            UserError: for several processes, which would write one file over each other.
        """
        if trainer.world_size > 1:
            raise UserError(
                f"Expected one process to record answers but there are {trainer.world_size}; add --trainer.devices=1"
            )
        path = Path(trainer.default_root_dir) / folder / f"{name}.jsonl"
        self._writers[name] = PredictionWriter(path, manifest(trainer, pl_module, name, attack, eps))

    def write(self, name: str, predictions: Sequence[Prediction]) -> None:
        """Write the predictions of a batch."""
        for prediction in predictions:
            self._writers[name].write(prediction)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the files their names."""
        self.finish()

    def finish(self) -> None:
        """Give the files their names."""
        for writer in self._writers.values():
            writer.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Drop what was begun."""
        for writer in self._writers.values():
            writer.abort()


class ForgetEarlierTests(Callback):
    """Remove what earlier tests left in a run folder, so that no report mixes two of them.

    An earlier test may have had another checkpoint, threshold or attack, and sets that this one lacks. Its predictions
    go, with its gallery and its logs under ``test_logs``; calibration predictions, the fit's logs and checkpoints stay,
    and so do files of other programs. They go when every callback has started: mistakes in arguments, checkpoint,
    threshold, data or attack are found before that, and remove nothing.

    `lit-vlr test` adds it. A Trainer of one's own without it replaces files of the same names and leaves the others.

    Args:
        folder: the run folder, the Trainer's root. Make it before the Trainer's loggers open files there: what is in
            ``test_logs`` by then is of earlier tests.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._logs = list((folder / "test_logs").glob("events.out.tfevents.*"))

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove files that have got their names; those of this test get theirs when it is through."""
        if not trainer.is_global_zero:
            return
        predictions, gallery = self.folder / "predictions", self.folder / "gallery"
        # What has no manifest is of another program.
        written = [path for path in predictions.glob("*.jsonl") if manifest_path(path).is_file()]
        for path in [*self._logs, *written, *map(manifest_path, written)]:
            path.unlink(missing_ok=True)
        if predictions.is_dir() and not any(predictions.iterdir()):  # nothing is recorded this time
            predictions.rmdir()
        if (gallery / "index.json").is_file():
            shutil.rmtree(gallery)
        shutil.rmtree(self.folder / "gallery.part", ignore_errors=True)  # of a test that was killed


class RecordPredictions(Recorder):
    """Write the answers to every test set as they are, and in ``validate`` those to the calibration split.

    The latter become ``<run>/calibration.jsonl``, outside of the folder of test sets, for `lit-vlr calibrate`. A fit
    writes none: it would leave the answers of its last validation beside the checkpoint of its best one.
    """

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the calibration file."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self.open(trainer, pl_module, CALIBRATION, folder="")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write a batch."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self.write(CALIBRATION, outputs["predictions"])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the calibration file its name."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self.finish()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open a file a set."""
        for name in test_names(trainer):
            self.open(trainer, pl_module, name)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write a batch."""
        self.write(test_names(trainer)[dataloader_idx], outputs["predictions"])


class RecordShuffledPredictions(Recorder):
    """Answer the first test set's questions on each other's pictures: what a blind model would score.

    Written as ``<set>_shuffled``. Each row of a batch gets the picture of the nearest row before it, the last row being
    before the first, that has another picture. Where all rows have the same one, as in a batch of one row, they get the
    last other picture of the batches before.

    Raises:
        UserError: during the test, if there has been no other picture yet.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[ImageKey, Tensor] = {}
        """The last two pictures, the later one last: one of them is another than that of any batch to come."""

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the file."""
        self._seen = {}
        self.open(trainer, pl_module, f"{test_names(trainer)[0]}_shuffled")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Answer a batch once more."""
        if dataloader_idx:
            return
        assert isinstance(pl_module, SelectiveVLM)
        answers = pl_module.answer(batch.with_images(self.shuffled(batch)))
        name = f"{test_names(trainer)[0]}_shuffled"
        pl_module.log_answers(name, answers)
        self.write(name, answers)

    def shuffled(self, batch: Batch) -> Tensor | list[Tensor]:
        """For each row another picture than its own, in the form of ``batch.images``.

        Raises:
            UserError: if there is none, neither here nor in the batches before.
        """
        keys = [image_key(sample) for sample in batch.samples]
        given = []
        for row, key in enumerate(keys):
            before = [other for other in (row - step for step in range(1, len(keys))) if keys[other] != key]
            if before:
                given.append(batch.images[before[0]])
                continue
            kept = [image for other, image in self._seen.items() if other != key]
            if not kept:
                raise UserError(
                    f"Expected another picture for {batch.uids[row]} in the blind control but all rows so far show "
                    f"{key[1]!r}; raise `batch_size`"
                )
            given.append(kept[-1])
        for key, image in zip(keys, batch.images, strict=True):
            self._seen.pop(key, None)  # or it would keep its earlier place
            self._seen[key] = image
        self._seen = {key: image.clone() for key, image in list(self._seen.items())[-2:]}  # not two whole batches
        same = all(image.shape == given[0].shape for image in given)
        return torch.stack(given) if isinstance(batch.images, Tensor) and same else given


class RecordAttackedPredictions(Recorder):
    """Attack test sets and write ``<run>/predictions/<set>+<name>.jsonl``, and pictures into ``<run>/gallery``.

    The manifest beside the predictions also says whether the attack is to be believed: under ``check`` what
    `lit_vlr_callbacks.check_attack` found, which is warned of too, and under ``png`` what is left of it when pictures
    are written to 8-bit PNG files and read the ordinary way. The report shows both.

    Args:
        attack: the search.
        name: what the attack is called in file names.
        sets: the test sets it is run on; None is the first one, which is in domain.
        gallery: how many of the first test pictures are kept, clean and attacked, as 8-bit PNG.
        seed: of the attack's own generator, which starts anew with each test run.
        objective: what the attack is after, where it is the abstention; None raises the cross-entropy of the true
            answer. Its threshold is the one in force unless it brings its own.
        check: on how many of the first pictures of a set the attack is checked, which costs about five attacks on them;
            0 leaves it out, and so does an objective.
        png: answer the questions once more with pictures that have been files.

    Raises:
        ValueError: if ``name`` cannot be part of a file name, or ``check`` is negative.
    """

    def __init__(
        self,
        attack: Attack,
        name: str = "linf_pgd",
        sets: Sequence[str] | None = None,
        gallery: int = 12,
        seed: int = 0,
        objective: AbstentionObjective | None = None,
        check: int = 4,
        png: bool = True,
    ) -> None:
        if check < 0:
            raise ValueError(f"Expected `check` of at least 0 but got {check}; 0 leaves the check out")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"Expected `name` of letters, digits, `_`, `.`, `-` but got {name!r}; it names files")
        super().__init__()
        self.attack, self.name, self.gallery, self.seed = attack, name, gallery, seed
        self.sets = None if sets is None else tuple(sets)
        self.objective, self.check, self.png = objective, check, png
        self._generator = torch.Generator()
        self._entries: list[dict[str, Any]] = []
        self._png: dict[str, Realisability] = {}

    @property
    def state_key(self) -> str:
        """Distinguishes several attacks in one Trainer."""
        return self._generate_state_key(name=self.name)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open a file a set."""
        self._generator.manual_seed(self.seed)
        self._entries = []
        present = test_names(trainer)
        sets = present[:1] if self.sets is None else self.sets
        if unknown := sorted(set(sets) - set(present)):
            raise ValueError(
                f"Expected `sets` among the test sets {present} but got {unknown}; mend the attack's config"
            )
        self._png = {name: Realisability() for name in sets}
        for name in sets:
            self.open(trainer, pl_module, f"{name}+{self.name}", self._description(), eps_of(self.attack))

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Attack a batch, answer it, write it."""
        name = test_names(trainer)[dataloader_idx]
        if name not in self._png:
            return
        assert isinstance(pl_module, SelectiveVLM)
        if batch_idx == 0 and self.check and self.objective is None:
            verdict = checked(pl_module, batch, self.attack, self.check, self.seed)
            for problem in verdict["problems"]:
                rank_zero_warn(f"{self.name} on {name}: {problem}")
            self._writers[f"{name}+{self.name}"].manifest["check"] = verdict
        result = attack_batch(pl_module, batch, self.attack, generator=self._generator, objective=self.objective)
        answers = pl_module.answer(batch.with_images(result.images))
        pl_module.log_answers(f"{name}+{self.name}", answers)
        self.write(f"{name}+{self.name}", answers)
        if self.png:
            files = read_again(pl_module, batch, result.images)
            change = float((read_images(files, "images") - read_images(batch, "images")).abs().max())
            self._png[name].update(outputs["predictions"], answers, pl_module.answer(files), change)
        for row, (before, after) in enumerate(zip(outputs["predictions"], answers, strict=True)):
            if len(self._entries) < self.gallery:
                self._keep(Path(trainer.default_root_dir), name, batch.images[row], result.images[row], before, after)

    def _keep(
        self, run: Path, name: str, clean: Tensor, attacked: Tensor, before: Prediction, after: Prediction
    ) -> None:
        folder = run / "gallery.part" / name
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^A-Za-z0-9_.-]", "_", before.uid)
        files = {"clean_png": f"{stem}.png", "attacked_png": f"{stem}+{self.name}.png"}
        save_png(clean, folder / files["clean_png"])
        save_png(attacked, folder / files["attacked_png"])
        entry: dict[str, Any] = {
            "uid": before.uid,
            "set": name,
            "attack": self.name,
            "eps": eps_of(self.attack),
            "question": before.question,
            "answers": list(before.answers),
            **{key: f"{name}/{file}" for key, file in files.items()},
        }
        for which, p in (("clean", before), ("attacked", after)):
            for key in ("answer", "confidence", "abstained", "accuracy"):
                entry[f"{which}_{key}"] = getattr(p, key)
        self._entries.append(entry)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give predictions and gallery their names."""
        for name, counts in self._png.items():
            if (summary := counts.summary()) is not None:
                self._writers[f"{name}+{self.name}"].manifest["png"] = summary
        super().on_test_end(trainer, pl_module)
        part, final = (Path(trainer.default_root_dir) / n for n in ("gallery.part", "gallery"))
        if not self._entries:
            return
        entries: list[dict[str, Any]] = []
        if part.is_dir():
            shutil.rmtree(final, ignore_errors=True)
            part.replace(final)
        else:  # another attack of this run came first: its folder held the pictures of all
            entries = json.loads((final / "index.json").read_text(encoding="utf-8"))
        (final / "index.json").write_text(json.dumps([*entries, *self._entries], indent=1) + "\n", encoding="utf-8")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Drop what was begun."""
        super().on_exception(trainer, pl_module, exception)
        shutil.rmtree(Path(trainer.default_root_dir) / "gallery.part", ignore_errors=True)

    def _description(self) -> str:
        p = self.attack.perturbation
        ranges = ", ".join(f"{name} {p.low[name]:.4g}..{p.high[name]:.4g}" for name in p.names)
        steps = {k: getattr(self.attack, k) for k in ("steps", "restarts") if hasattr(self.attack, k)}
        aim = "" if self.objective is None else f", for {self.objective!r}"
        return f"{type(self.attack).__name__} {steps} over {ranges}{aim}"


def eps_of(attack: Attack) -> float | None:
    """The L∞ radius of an attack in [0, 1] units, or None where it has none or other parameters too."""
    p = attack.perturbation
    return p.high["delta"] if p.names == ("delta",) and p.high["delta"] > 0 else None


def test_names(trainer: Trainer) -> list[str]:
    """The names of the test sets, in the order of their loaders."""
    names: list[str] = trainer.datamodule.test_names  # type: ignore[attr-defined]
    return names


def manifest(
    trainer: Trainer, pl_module: LightningModule, name: str, attack: str | None, eps: float | None = None
) -> dict[str, Any]:
    """How the predictions of a set are made."""
    assert isinstance(pl_module, SelectiveVLM)
    data: Any = trainer.datamodule  # type: ignore[attr-defined]
    seed = os.environ.get("PL_GLOBAL_SEED")
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return {
        "set": name,
        "attack": attack,
        **({} if eps is None else {"eps": eps}),
        "dialect": pl_module.dialect,
        "threshold": float(pl_module.threshold),
        "threshold_file": next((c.describe() for c in callbacks if isinstance(c, ApplyThreshold)), None),
        "confidence": pl_module.score_name,
        "model": pl_module.family.describe(),
        "data": data.describe(),
        "home": next(iter(test_names(trainer)), None),  # the set in domain, which others are seen against
        "checkpoint": str(trainer.ckpt_path) if trainer.ckpt_path else None,
        "seed": int(seed) if seed else None,
        "versions": versions(),
    }
