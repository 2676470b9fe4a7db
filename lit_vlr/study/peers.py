"""Learning from peers: models that each leave a fold out, as cells of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lit_vlr.data.splits import HELD
from lit_vlr.study.plan import Cell, Plan
from lit_vlr.study.settings import Verb


@dataclass(frozen=True)
class Peer(Cell):
    """A model that is trained on all folds but one, as its cell's own model is, and then answers that one.

    Attributes:
        fold: the one left out.

    Reference:
        Dancette et al., "Improving Selective Visual Question Answering by Learning from Your Peers", CVPR 2023,
        Section 3.
    """

    fold: int

    @property
    def name(self) -> str:
        """``<arm>-<seed>/peers/<fold>``."""
        return f"{super().name}/peers/{self.fold}"

    @property
    def verbs(self) -> tuple[Verb, ...]:
        """The stages; no threshold is chosen, for a label is how right an answer is, given or not."""
        return ("fit", "test")

    @property
    def labels(self) -> Path | None:
        """It learns from nobody."""
        return None

    @property
    def answers(self) -> Path:
        """Where its answers to its fold are."""
        return self.folder / "predictions" / f"{HELD}.jsonl"

    def files(self, verb: Verb) -> tuple[str, ...]:
        """The config files of a stage, later ones win."""
        return self.peer_files(verb)

    def arguments(self, verb: Verb) -> list[str]:
        """What `lit-vlr` is called with."""
        peers = self.settings.peers
        folds = [f"--data.init_args.folds={peers.folds}", f"--data.init_args.fold={self.fold}"]
        # Whatever else the files let a test do (blind controls, attacks), a fold only has to be answered.
        alone = '--trainer.callbacks=[{"class_path": "lit_vlr.recording.RecordPredictions"}]'
        return [*super().arguments(verb), *peers.overrides, *folds, *([alone] if verb == "test" else [])]

    def stated(self, verb: Verb) -> float:
        """What the plan states that a stage takes."""
        return self.plan.seconds.label if verb == "test" else super().stated(verb)

    def describe(self) -> dict[str, Any]:
        """What makes it what it is, besides the contents of its files."""
        said = {**super().describe(), "fold": self.fold}
        del said["threshold"]  # no part in it
        return said


def peers_of(cell: Cell) -> list[Peer]:
    """The peers of a cell, in the order of their folds; none where its arm has none."""
    return [Peer(cell.plan, cell.arm, cell.seed, fold) for fold in range(cell.settings.peers.folds)]


def runs_of(plan: Plan) -> list[Cell]:
    """Every cell, each after its peers."""
    return [run for cell in plan.cells for run in (*peers_of(cell), cell)]
