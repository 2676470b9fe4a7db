"""Random numbers of generation: a row's are its own, so that the rest of the batch cannot change its answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lit_vlr.errors import UserError


@dataclass(frozen=True)
class Sampling:
    """How further answers are drawn.

    Attributes:
        samples: answers a question, K.
        temperature: scores are divided by it; 1 draws from the model's own distribution.
        seed: of the draws; 0 or more.

    Raises:
        UserError: if one is out of range.
    """

    samples: int = 8
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise UserError(f"Expected `samples` of at least 1 but got {self.samples}; it is answers a question")
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"Expected `temperature` above 0 but got {self.temperature}; 1 leaves the model as it is")
        if self.seed < 0:
            raise UserError(f"Expected `seed` of at least 0 but got {self.seed}")

    def draws(self, uids: Sequence[str], steps: int) -> Tensor:
        """Uniform numbers in [0, 1), (B · K, steps), row by row: those of a uid do not depend on the other rows.

        >>> alone, among = Sampling(samples=2).draws(["b"], 3), Sampling(samples=2).draws(["a", "b"], 3)
        >>> torch.equal(alone, among[2:])
        True
        """
        seeds = [row_seed(self.seed, uid, sample) for uid in uids for sample in range(self.samples)]
        return torch.from_numpy(np.stack([np.random.default_rng(seed).random(steps) for seed in seeds]))


def row_seed(seed: int, uid: str, draw: int) -> int:
    """A seed below 2⁶³ of its own for each draw on each sample: the rows of a batch share no random stream."""
    digest = hashlib.blake2b(f"{seed}/{draw}/{uid}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
