"""The LightningModule: wiring between a family, an objective and the selective metrics. No maths here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torchmetrics import MetricCollection

from lit_vlr.calibration import Calibrator
from lit_vlr.candidates import answer_candidates
from lit_vlr.confidence import Confidence, SequenceProbability
from lit_vlr.errors import CheckpointError, UserError
from lit_vlr.metrics import AUGRC, AURC, CoverageAtRisk
from lit_vlr.models.base import ModelFamily
from lit_vlr.objectives.base import Objective
from lit_vlr.objectives.tokens import answer_cross_entropy
from lit_vlr.optim import Optimisation, build_optimizer
from lit_vlr.options import choose_options, is_chosen
from lit_vlr.tasks import answer_limits, score_answer
from lit_vlr.types import Batch, Prediction
from lit_vlr_callbacks import Candidates
from lit_vlr_callbacks.batch import select_rows

Dialect = Literal["no_skip", "official", "evalai", "pre2021"]
Answers = dict[str, list[Prediction]]
"""What evaluation steps hand to callbacks, under ``predictions``."""


class SelectiveVLM(LightningModule):
    """Fine-tunes a vision-language model and measures how well it knows when it is right.

    Checkpoints hold what was trained, and the threshold; the quantised base is found again by its name.

    Args:
        family: the model.
        objective: what is minimised.
        optimisation: optimiser and schedule.
        max_new_tokens: bound on a generated answer, where the sample's task does not bring its own.
        dialect: of VQA accuracy; see `lit_vlr.functional.vqa_accuracy`.
        max_risk: the risk that validation reports coverage at.
        confidence: how sure an answer is; None is `SequenceProbability`. Validation, test, predict and ask all use it.

    Attributes:
        threshold: answers with a lower confidence are abstained from; state, not a setting: it is fitted on the
            calibration split (`FitThreshold`) and travels in the checkpoint. -inf answers everything. It means nothing
            to another confidence than the one it was fitted with.
        calibrator: of the threshold file that is applied; None without one, and never part of a checkpoint.

    Raises:
        UserError: if the confidence cannot be had from the family.
    """

    def __init__(
        self,
        family: ModelFamily,
        objective: Objective,
        optimisation: Optimisation = Optimisation(),  # noqa: B008 - frozen
        max_new_tokens: int = 10,
        dialect: Dialect = "no_skip",
        max_risk: float = 0.1,
        confidence: Confidence | None = None,
    ) -> None:
        super().__init__()
        # Under LightningCLI these are plain settings (class paths and arguments), and `load_from_checkpoint` makes the
        # objects again; in Python they would be the objects themselves, which no checkpoint should hold.
        objects = ["family", "objective", "optimisation", "confidence"]
        self.save_hyperparameters(ignore=[] if self._from_cli() else objects)
        self.family = family
        self.objective = objective
        self.optimisation = optimisation
        self.max_new_tokens = max_new_tokens
        self.dialect: Dialect = dialect
        self.confidence = SequenceProbability() if confidence is None else confidence
        if family.is_local:
            self.confidence.check(family)  # else when the model is loaded: a configuration is checked without a hub
        self.strict_loading = False  # the frozen base is not in the checkpoint; `on_load_checkpoint` checks the rest
        self.threshold: Tensor
        self.register_buffer("threshold", torch.tensor(float("-inf"), dtype=torch.float64))
        self.selective = MetricCollection(
            {"aurc": AURC(), "augrc": AUGRC(), "coverage_at_risk": CoverageAtRisk(max_risk)}, prefix="val/selective/"
        )
        self.calibrator: Calibrator | None = None
        self._random_state: Tensor | None = None

    @property
    def score_name(self) -> str:
        """What ``confidence`` is; a threshold means nothing to another score."""
        return repr(self.confidence)

    @staticmethod
    def _from_cli() -> bool:
        from lightning.pytorch.core.mixins.hparams_mixin import _given_hyperparameters

        return _given_hyperparameters.get() is not None

    def configure_model(self) -> None:
        """Load the base model, once, where it will run, and make what depends on its sizes and tokens."""
        self.confidence.check(self.family)
        self.family.load(self.device)
        self.confidence.prepare(self.family)
        self.objective.prepare(self.family, self.confidence)
        self.confidence.to(self.device)
        self.objective.to(self.device)

    def on_fit_start(self) -> None:
        """Refuse to leave a confidence untrained that has something to learn.

        Raises:
            UserError: if the objective does not train it.
        """
        if self.confidence.learns and not self.objective.trains(self.confidence):
            raise UserError(
                f"Expected an objective that trains {self.score_name} but got {self.objective!r}; add --config "
                f"configs/objective/{self.confidence.taught_by}.yaml, or choose a confidence that learns nothing"
            )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move and cast, but leave the threshold as precise as it was chosen: a cast of the model is not one of it.

        Lightning casts the whole module under ``bf16-true`` and ``16-true``; .9987 would become 1.
        """
        threshold = self.threshold
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.threshold = threshold.to(self.threshold.device)
        return self

    def attack_loss(self, images: Tensor, batch: Batch) -> Tensor:
        """What an attack raises: cross-entropy of the true answer, (B,); see `lit_vlr_callbacks.SupportsAttack`."""
        attacked = batch.with_images(images)
        return answer_cross_entropy(self.family(attacked), len(batch))

    def attack_logits(self, images: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is said of the true answer's tokens, teacher-forced; see `lit_vlr_callbacks.SupportsLogits`.

        Returns:
            Logits (N, V) at the answer tokens, and the row of each, (N,).
        """
        output = self.family(batch.with_images(images))
        return output.answer_logits, output.answer_rows

    def attack_candidates(self, images: Tensor, batch: Batch, threshold: float | None = None) -> Candidates:
        """What it may answer, for attacks on its abstention; see `lit_vlr_callbacks.SupportsAbstentionAttack`."""
        least = float(self.threshold) if threshold is None else threshold
        asked = batch.with_images(images)
        limit = max(answer_limits(batch.samples, self.max_new_tokens))
        return answer_candidates(self.family, self.confidence, asked, limit, self.dialect, least)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; the only place where per-sample losses are reduced."""
        loss: Tensor = self.objective(self.family(batch), batch).mean()
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def answer(self, batch: Batch) -> list[Prediction]:
        """Generate, score and decide, for each row.

        Rows whose tasks bound answers differently are generated apart, so that no row's answer is cut, or goes on,
        because of its neighbours; so are rows whose options are chosen by likelihood.

        Raises:
            UserError: if a confidence is NaN, which would never be below the threshold; or if options are chosen by
                likelihood and the confidence is about generated answers.
        """
        limits = answer_limits(batch.samples, self.max_new_tokens)
        ways = list(zip(limits, map(is_chosen, batch.samples), strict=True))
        if len(set(ways)) == 1:
            return self._answer(batch, *ways[0])
        answers: dict[int, Prediction] = {}
        for way in sorted(set(ways)):
            rows = [row for row, other in enumerate(ways) if other == way]
            part = select_rows(batch, torch.tensor(rows), len(batch))
            answers |= zip(rows, self._answer(part, *way), strict=True)
        return [answers[row] for row in range(len(batch))]

    def _answer(self, batch: Batch, max_new_tokens: int, choose: bool) -> list[Prediction]:
        if choose:
            if not isinstance(self.confidence, SequenceProbability):
                raise UserError(
                    f"Expected the confidence SequenceProbability() for {batch.samples[0].uid}, whose options are "
                    f"chosen by likelihood, but got {self.score_name}; use it, or `choose: words`"
                )
            texts, confidence = choose_options(self.family, batch)
        else:
            generated = self.family.generate(batch, max_new_tokens)
            confidence = self.confidence(generated, self.family, batch, max_new_tokens).double().cpu()
            texts = generated.texts
        if bool(confidence.isnan().any()):
            uid = batch.samples[int(confidence.isnan().int().argmax())].uid
            raise UserError(
                f"Expected {self.score_name} to be a number but got nan for {uid}; the model's scores are not finite: "
                "try `--trainer.precision 32-true`"
            )
        threshold = self.threshold.cpu()
        abstained = (confidence < threshold) | threshold.isposinf()  # +inf abstains even where confidence is +inf
        declined = self.confidence.declines(texts)
        abstained |= torch.tensor(declined)
        calibrated = [None] * len(confidence) if self.calibrator is None else self.calibrator(confidence).tolist()
        return [
            Prediction(
                uid=sample.uid,
                image_id=sample.image_id,
                question=sample.question,
                answer=text,
                confidence=float(confidence[i]),
                abstained=bool(abstained[i]),
                accuracy=score_answer(text, sample, self.dialect),
                answers=sample.answers,
                metadata=sample.metadata,
                calibrated=calibrated[i],
                declined=declined[i],
            )
            for i, (sample, text) in enumerate(zip(batch.samples, texts, strict=True))
        ]

    def validation_step(self, batch: Batch, batch_idx: int) -> Answers:
        """Loss, answers, selective metrics."""
        loss = self.objective(self.family(batch), batch).mean()
        predictions = self.answer(batch)
        if unscored := [p.uid for p in predictions if p.accuracy is None]:
            raise UserError(
                f"Expected answers that can be scored one by one but that to {unscored[0]} cannot; validate on a "
                "labelled split of a benchmark with an accuracy"
            )
        correctness = torch.tensor([p.accuracy for p in predictions], dtype=torch.float64)
        confidence = torch.tensor([p.confidence for p in predictions], dtype=torch.float64)
        declined = torch.tensor([p.declined for p in predictions], dtype=torch.float64)
        self.selective.update(confidence=confidence, correctness=correctness, abstained=declined)
        self.log("val/loss", loss, batch_size=len(batch), sync_dist=True)
        self.log("val/accuracy", correctness.mean().float(), prog_bar=True, batch_size=len(batch), sync_dist=True)
        return {"predictions": predictions}

    def on_validation_epoch_end(self) -> None:
        """Log what the whole split says."""
        self.log_dict({name: value.float() for name, value in self.selective.compute().items()}, sync_dist=False)
        self.selective.reset()

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> Answers:
        """Answers; `RecordPredictions` writes them."""
        predictions = self.answer(batch)
        self.log_answers(self.trainer.datamodule.test_names[dataloader_idx], predictions)  # type: ignore[attr-defined]
        return {"predictions": predictions}

    def log_answers(self, name: str, predictions: Sequence[Prediction]) -> None:
        """Log accuracy and abstention rate of a batch of a test set; for evaluation hooks."""
        known = [p for p in predictions if p.accuracy is not None]
        if not known:
            return
        values = {
            f"test/{name}/accuracy": sum(p.accuracy or 0.0 for p in known) / len(known),
            f"test/{name}/abstention_rate": sum(p.abstained for p in known) / len(known),
        }
        self.log_dict(
            values, batch_size=len(known), on_step=False, on_epoch=True, add_dataloader_idx=False, sync_dist=True
        )

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> list[Prediction]:
        """Answers."""
        return self.answer(batch)

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's own union
        """The optimiser over what trains, and its schedule.

        Raises:
            UserError: if nobody can say how many steps the fit has.
        """
        trained = {name: p for name, p in self.named_parameters() if p.requires_grad}
        steps = self.trainer.estimated_stepping_batches
        if not 0 <= steps < math.inf:  # inf of a fit without an end, -1 of batches that nobody can count
            raise UserError(
                f"Expected a fit whose steps can be counted, since the learning rate's schedule needs an end, but got "
                f"`max_epochs` {self.trainer.max_epochs} without `max_steps`; give `trainer.max_steps`"
            )
        return build_optimizer(trained, self.optimisation, int(steps), self._tower_of)

    def _tower_of(self, parameter: str) -> str | None:
        own = parameter.startswith("confidence.") or self.confidence.scorer.trains_in_family(parameter)
        return "confidence" if own else self.family.tower_of(parameter)

    def _trained_names(self) -> set[str]:
        """What a checkpoint holds: what is trained, the threshold, and what the objective has to remember."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        remembered = {f"objective.{name}" for name in self.objective.state_dict()}
        return trained | remembered | {"threshold"}

    def model_names(self) -> set[str]:
        """What is trained of the model itself: its adapters and projector, without those of a learned confidence."""
        trained = {name for name, p in self.named_parameters() if p.requires_grad and name.startswith("family.")}
        return {name for name in trained if self._tower_of(name) != "confidence"}

    def base_dtype(self) -> str | None:
        """What `auto` is here: the base that adapters are trained on is rounded to it before it is quantised.

        None for a family that quantises nothing.
        """
        quantization = getattr(self.family, "quantization", None)
        return None if quantization is None else str(quantization.dtype(self.device)).removeprefix("torch.")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep only what was trained: a 4-bit base neither belongs in a checkpoint nor loads from one."""
        wanted = self._trained_names()
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in wanted}
        checkpoint["random_state"] = torch.get_rng_state()
        checkpoint["confidence"] = repr(self.confidence)
        if (dtype := self.base_dtype()) is not None:
            checkpoint["compute_dtype"] = dtype

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check, since Lightning no longer does, that the checkpoint is of this model.

        A threshold that was fitted with another confidence is dropped, with a warning.

        Raises:
            CheckpointError: if parameters are missing, unknown or of another shape.
        """
        self.configure_model()
        check_adapter_state(checkpoint.get("state_dict", {}), self._trained_names(), self.state_dict())
        self._random_state = checkpoint.get("random_state")
        fitted = checkpoint.get("confidence", repr(SequenceProbability()))  # before there were others
        if fitted != repr(self.confidence):
            rank_zero_warn(
                f"The checkpoint's threshold was fitted with {fitted} and says nothing about {self.confidence!r}; "
                "every question is answered until a validation has fitted another"
            )
            checkpoint["state_dict"]["threshold"] = torch.full_like(self.threshold, float("-inf"))

    def on_train_start(self) -> None:
        """Go on with the random stream of the run that is resumed."""
        if self._random_state is not None:
            torch.set_rng_state(self._random_state)
            self._random_state = None


def check_adapter_state(found: Mapping[str, Tensor], wanted: set[str], state: Mapping[str, Tensor]) -> None:
    """Compare a checkpoint's parameters with what a model trains.

    Raises:
        CheckpointError: naming an example of each difference.
    """
    missing, unknown = sorted(wanted - set(found)), sorted(set(found) - wanted)
    tensors = [k for k in wanted & set(found) if isinstance(state[k], Tensor)]  # an extra state has no shape
    shapes = [k for k in tensors if found[k].shape != state[k].shape]
    if missing or unknown or shapes:
        kinds = {"missing": missing, "unknown": unknown, "of another shape": sorted(shapes)}
        said = "; ".join(f"{len(names)} {kind} (such as {names[0]})" for kind, names in kinds.items() if names)
        raise CheckpointError(
            f"Expected a checkpoint of this model but its parameters differ: {said}; "
            "use the --config files (model, LoRA, objective) that it was trained with"
        )
