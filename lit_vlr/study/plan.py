"""What a study is: its arms, seeds, attacks, the promise that its thresholds make, and the cells that follow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lit_vlr.errors import UserError
from lit_vlr.study.settings import Arm, Promise, Seconds, Verb

_OURS = (
    "--config",
    "--trainer.default_root_dir",
    "--ckpt_path",
    "--threshold",
    "--seed_everything",
    "--data.init_args.order_seed",
)
"""Arguments that the study gives itself."""


@dataclass(frozen=True)
class Plan:
    """A study.

    Args:
        root: the folder that everything goes into: a folder for each arm and seed, the table, the report.
        arms: by name. The first that is fitted is what the others are compared with.
        common: config files of every arm and verb: base, model, data.
        attacks: config files of the test alone, added last: attacked and corrupted sets.
        seeds: of weights and data order.
        overrides: further arguments of every verb, as on the command line: `--trainer.max_steps=10`.
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
            if not re.fullmatch(r"[A-Za-z0-9_+.][A-Za-z0-9_+.-]*", name) or set(name) == {"."}:
                raise UserError(f"Expected arms named by letters, digits and _+.- but got {name!r}; it names a folder")
            if arm.training and not arm.fit:
                raise UserError(f"Expected no `training` of arm {name!r}, which is not fitted; set `fit` or drop it")
            if not (arm.configs or self.common):
                raise UserError(
                    f"Expected config files for arm {name!r} but there are none; give `common` or `configs`"
                )
            _check_seeds(self.seeds_of(name), f"arms.{name}.seeds" if arm.seeds is not None else "seeds")
        for given in self.overrides:
            if not given.startswith("--") or given.split("=")[0] in _OURS:
                raise UserError(
                    f"Expected `overrides` such as --trainer.max_steps=10 but got {given!r}; folders, seeds, "
                    "checkpoints and thresholds are the study's"
                )
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
        fits: tuple[Verb, ...] = ("fit",) if self.plan.arms[self.arm].fit else ()
        validates: tuple[Verb, ...] = () if self.plan.threshold.method == "checkpoint" else ("validate",)
        return (*fits, *validates, "test")

    @property
    def threshold_file(self) -> Path:
        """What `lit-vlr calibrate` writes of the calibration predictions."""
        return self.folder / "threshold.json"

    def files(self, verb: Verb) -> tuple[str, ...]:
        """The config files of a stage, later ones win."""
        arm = self.plan.arms[self.arm]
        last = {"fit": arm.training, "validate": (), "test": self.plan.attacks}[verb]
        return (*self.plan.common, *arm.configs, *last)

    def arguments(self, verb: Verb) -> list[str]:
        """What `lit-vlr` is called with."""
        files = [part for file in self.files(verb) for part in ("--config", file)]
        seeds = [f"--seed_everything={self.seed}", f"--data.init_args.order_seed={self.seed}"]
        given = [verb, *files, *seeds, *self.plan.overrides, f"--trainer.default_root_dir={self.folder}"]
        if verb != "fit" and "fit" in self.verbs:
            given.append(f"--ckpt_path={self.folder / 'checkpoints' / self.plan.checkpoint}.ckpt")
        if verb == "test" and "validate" in self.verbs:
            given.append(f"--threshold={self.threshold_file}")
        return given

    def describe(self) -> dict[str, Any]:
        """What makes the cell what it is, besides the contents of its files."""
        return {
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


def _check_seeds(seeds: Sequence[int], name: str) -> None:
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise UserError(f"Expected `{name}` of at least 0, each once, but got {list(seeds)}; [0, 1, 2] say")
