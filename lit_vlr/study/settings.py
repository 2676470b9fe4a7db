"""What a plan is made of: arms, the promise that thresholds make, and what stages cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lit_vlr.errors import UserError

Verb: TypeAlias = Literal["fit", "validate", "test"]


@dataclass(frozen=True)
class Peers:
    """Models that each leave a part of the training set out; their answers to it are what a selector learns from.

    Args:
        folds: how many parts and peers, at least 2, 10 in the paper; 0 has none.
        configs: config files of every peer, after the `common` ones and instead of its arm's: the objective that the
            arm's own model is trained with.
        overrides: further arguments of every peer, after the study's: `--trainer.max_steps=10`.

    Reference:
        Dancette et al., "Improving Selective Visual Question Answering by Learning from Your Peers", CVPR 2023,
        Section 3.
    """

    folds: int = 0
    configs: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Args:
        configs: config files of every verb, after the `common` ones: objective, confidence.
        training: config files of the fit alone, after those: adversarial training.
        fit: False tests the base model as it is.
        seeds: instead of the study's; one is enough for an arm that is not fitted.
        peers: whose answers the fit learns from. Each is fitted first, with `training`, too, and answers its part; all
            answers go to the argument `labels` of the objective, which has to be `TrainSelector`.
    """

    configs: tuple[str, ...] = ()
    training: tuple[str, ...] = ()
    fit: bool = True
    seeds: tuple[int, ...] | None = None
    peers: Peers = field(default_factory=Peers)


@dataclass(frozen=True)
class Promise:
    """How the threshold of a cell is chosen, on its calibration predictions alone, before anything is tested.

    Args:
        method: `empirical` is right on the calibration split and promises nothing; `ltt` (Learn-then-Test) keeps the
            risk with probability 1 - delta; `checkpoint` takes the one that a fit has left in its checkpoint (and
            answers everything where there is none), and writes no calibration predictions.
        max_risk: allowed among the answered questions; with `checkpoint`, say what the fit was told.
        delta: of `ltt`.

    Raises:
        UserError: if a number is out of range.
    """

    method: Literal["empirical", "ltt", "checkpoint"] = "empirical"
    max_risk: float = 0.1
    delta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.max_risk <= 1 or (self.method == "ltt" and not self.max_risk):
            low = "(0" if self.method == "ltt" else "[0"  # no number of questions proves that nothing is wrong
            raise UserError(f"Expected `threshold.max_risk` in {low}, 1] but got {self.max_risk:g}; 10% is 0.1")
        if not 0 < self.delta < 1:
            raise UserError(f"Expected `threshold.delta` in (0, 1) but got {self.delta:g}; 0.05 is usual")


@dataclass(frozen=True)
class Seconds:
    """What a stage takes where none like it has been measured yet; for the estimate that `--dry-run` prints.

    Args:
        fit: of an arm without training configs, and of each peer of it.
        training: of an arm with them.
        label: the answers of a peer to the part that it left out.
        validate: the calibration split.
        test: all sets and attacks.
    """

    fit: float = 300.0
    training: float = 700.0
    label: float = 120.0
    validate: float = 30.0
    test: float = 120.0

    def of(self, verb: Verb, arm: Arm) -> float:
        """One stage of an arm."""
        if verb == "fit":
            return self.training if arm.training else self.fit
        return self.validate if verb == "validate" else self.test
