"""What a study is: its arms, seeds, attacks, the promise that its thresholds make, and the cells that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lit_vlr.errors import UserError
from lit_vlr.study.checks import check_arm, check_overrides, check_seeds
from lit_vlr.study.settings import Arm, Promise, Seconds, Verb


@dataclass(frozen=True)
class Plan:
    """A study.

    Args:
        root: the folder that everything goes into: a folder for each arm and seed, the table, the report.
        arms: by name. The first that is fitted is what the others are compared with.
        common: config files of every arm and verb: base, model, data.
        attacks: config files of the test alone, added last: attacked and corrupted sets.
        seeds: of weights and data order.
        overrides: further arguments of every verb, as on the command line: `--trainer.max_steps=10`; no config files.
        threshold: how thresholds are chosen.
        checkpoint: which one of a fit is tested.
        costs: prices of a wrong answer that effective reliability is reported at.
        n_resamples: of the bootstrap.
        seconds: what stages take where none has been measured.

    Raises:
        UserError: for a plan that cannot be run.
    """

    root: Path
    arms: dict[str, Arm]
    common: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    overrides: tuple[str, ...] = ()
    threshold: Promise = field(default_factory=Promise)
    checkpoint: Literal["last", "best"] = "last"
    costs: tuple[float, ...] = (1.0, 10.0)
    n_resamples: int = 1000
    seconds: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        if not self.arms:
            raise UserError("Expected `arms` but there are none; name at least one")
        for name, arm in self.arms.items():
            check_arm(name, arm, self.common)
            check_seeds(self.seeds_of(name), f"arms.{name}.seeds" if arm.seeds is not None else "seeds")
        check_overrides(self.overrides, "overrides")
        if self.n_resamples < 1:
            raise UserError(f"Expected `n_resamples` of at least 1 but got {self.n_resamples}; 1000 is usual")
        if wrong := [cost for cost in self.costs if not 0 <= cost < float("inf")]:
            raise UserError(f"Expected `costs` of at least 0 but got {wrong[0]:g}; it is the price of a wrong answer")

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of an arm."""
        own = self.arms[arm].seeds
        return self.seeds if own is None else own

    @property
    def baseline(self) -> str:
        """The arm that the others are compared with: the first that is fitted, or the first."""
        return next((name for name, arm in self.arms.items() if arm.fit), next(iter(self.arms)))

    @property
    def cells(self) -> list[Cell]:
        """Every arm with every seed of it; seed by seed, so that an unfinished study has whole comparisons."""
        order = dict.fromkeys([*self.seeds, *(s for name in self.arms for s in self.seeds_of(name))])
        return [Cell(self, name, seed) for seed in order for name in self.arms if seed in self.seeds_of(name)]


@dataclass(frozen=True)
class Cell:
    """One arm with one seed.

    Attributes:
        plan: the study.
        arm: the arm's name.
        seed: of weights and data order.
    """

    plan: Plan
    arm: str
    seed: int

    @property
    def settings(self) -> Arm:
        """The arm."""
        return self.plan.arms[self.arm]

    @property
    def name(self) -> str:
        """``<arm>-<seed>``."""
        return f"{self.arm}-{self.seed}"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.plan.root / self.name

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """The stages, in their order."""
        fits: tuple[Verb, ...] = ("fit",) if self.settings.fit else ()
        validates: tuple[Verb, ...] = () if self.plan.threshold.method == "checkpoint" else ("validate",)
        return (*fits, *validates, "test")

    @property
    def threshold_file(self) -> Path:
        """What `lit-vlr calibrate` writes of the calibration predictions."""
        return self.folder / "threshold.json"

    @property
    def labels(self) -> Path | None:
        """What the fit learns from: the answers of all peers in one file; None where there are none."""
        return None if not self.settings.peers.folds else self.folder / "peers" / "labels.jsonl"

    def stated(self, verb: Verb) -> float:
        """What the plan states that a stage takes."""
        return self.plan.seconds.of(verb, self.settings)

    def files(self, verb: Verb) -> tuple[str, ...]:
        """The config files of a stage, later ones win."""
        arm = self.settings
        last = {"fit": arm.training, "validate": (), "test": self.plan.attacks}[verb]
        return (*self.plan.common, *arm.configs, *last)

    def peer_files(self, verb: Verb) -> tuple[str, ...]:
        """Those of its peers; a fold is answered without attacks."""
        arm = self.settings
        return (*self.plan.common, *arm.peers.configs, *(arm.training if verb == "fit" else ()))

    def arguments(self, verb: Verb) -> list[str]:
        """What `lit-vlr` is called with."""
        files = [part for file in self.files(verb) for part in ("--config", file)]
        seeds = [f"--seed_everything={self.seed}", f"--data.init_args.order_seed={self.seed}"]
        given = [verb, *files, *seeds, *self.plan.overrides, f"--trainer.default_root_dir={self.folder}"]
        if verb != "fit" and "fit" in self.verbs:
            given.append(f"--ckpt_path={self.folder / 'checkpoints' / self.plan.checkpoint}.ckpt")
        if verb == "test" and "validate" in self.verbs:
            given.append(f"--threshold={self.threshold_file}")
        if verb == "fit" and self.labels is not None:
            given.append(f"--model.objective.init_args.labels={self.labels}")
        return given

    def describe(self) -> dict[str, Any]:
        """What makes the cell what it is, besides the contents of its files."""
        found: dict[str, Any] = {
            "seed": self.seed,
            "files": {verb: list(self.files(verb)) for verb in self.verbs},
            "overrides": list(self.plan.overrides),
            "checkpoint": self.plan.checkpoint,
            "threshold": {
                "method": self.plan.threshold.method,
                "max_risk": self.plan.threshold.max_risk,
                "delta": self.plan.threshold.delta,
            },
        }
        if (peers := self.settings.peers).folds:
            files = {verb: list(self.peer_files(verb)) for verb in ("fit", "test")}
            found["peers"] = {"folds": peers.folds, "files": files, "overrides": list(peers.overrides)}
        return found
