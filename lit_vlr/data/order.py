"""Training orders as pure functions of (seed, batches completed): nothing to save, nothing to restore.

Lightning starts a resumed epoch at its first batch unless the loader can go on by itself. These samplers ask how far
the run is whenever they are iterated, so that one resumed in the middle of an epoch sees what it would have seen.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
from torch.utils.data import Sampler

from lit_vlr.errors import UserError


class TrainingOrder(Sampler[int]):
    """An order of n samples in batches, which are consecutive: the last batch of an epoch may be short.

    Args:
        n: number of samples.
        batch_size: rows a batch.
        seed: of the orders, one an epoch.
        completed: training batches done since the run began.
    """

    def __init__(self, n: int, batch_size: int, seed: int, completed: Callable[[], int]) -> None:
        self.n, self.batch_size, self.seed, self.completed = n, batch_size, seed, completed

    @abstractmethod
    def epoch(self, generator: torch.Generator, skip: int) -> Iterator[int]:
        """The order of one epoch from its ``skip``-th sample on."""

    def __iter__(self) -> Iterator[int]:
        epoch, batches = divmod(self.completed(), -(-self.n // self.batch_size))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return self.epoch(generator, batches * self.batch_size)

    def __len__(self) -> int:
        return self.n


class ResumableSampler(TrainingOrder):
    """A permutation an epoch."""

    def epoch(self, generator: torch.Generator, skip: int) -> Iterator[int]:
        """See `TrainingOrder`."""
        return iter(torch.randperm(self.n, generator=generator)[skip:].tolist())


class BucketedSampler(TrainingOrder):
    """A permutation an epoch in which the samples of a batch cost about the same, so that little is padded.

    A permutation is cut into pools of ``pool`` batches, each pool is sorted by cost and cut into batches, and all full
    batches of the epoch are permuted. A short batch stays last.

    Args:
        n: number of samples.
        batch_size: rows a batch.
        seed: of the orders.
        completed: training batches done since the run began.
        cost: of a sample, by its place; asked once a sample.
        pool: batches that are sorted together: more pad less, and mix less.
    """

    def __init__(
        self,
        n: int,
        batch_size: int,
        seed: int,
        completed: Callable[[], int],
        cost: Callable[[int], float],
        pool: int = 50,
    ) -> None:
        super().__init__(n, batch_size, seed, completed)
        self.cost, self.pool = cost, pool
        self._costs: dict[int, float] = {}

    def epoch(self, generator: torch.Generator, skip: int) -> Iterator[int]:
        """See `TrainingOrder`."""
        order: list[int] = torch.randperm(self.n, generator=generator).tolist()
        size, full = self.batch_size, self.n // self.batch_size
        # Ranks break ties: equal costs would else bring samples back into the order of the data set.
        batches = []
        for start in range(0, full * size, self.pool * size):
            pool = sorted(order[start : min(start + self.pool * size, full * size)], key=self._cost)
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        mixed = [batches[i] for i in torch.randperm(full, generator=generator).tolist()]
        flat = [place for batch in mixed for place in batch] + order[full * size :]
        return iter(flat[skip:])

    def _cost(self, place: int) -> float:
        if place not in self._costs:
            self._costs[place] = self.cost(place)
        return self._costs[place]


class WindowedSampler(TrainingOrder):
    """An order an epoch that stays within a few blocks at a time, for sets that are read from large files.

    Blocks are permuted; the samples of ``window`` blocks at a time are permuted together. Memory and reading are
    bounded by the window, and nothing of the size of the set is ever made.

    Args:
        blocks: number of samples of each block.
        batch_size: rows a batch.
        seed: of the orders.
        completed: training batches done since the run began.
        window: blocks that are mixed.

    Raises:
        UserError: if the window is empty.
    """

    def __init__(
        self, blocks: Sequence[int], batch_size: int, seed: int, completed: Callable[[], int], window: int = 4
    ) -> None:
        if window < 1:
            raise UserError(f"Expected `window` of at least 1 block but got {window}")
        super().__init__(sum(blocks), batch_size, seed, completed)
        self.blocks, self.window = list(blocks), window
        self._starts = [0, *torch.tensor(self.blocks).cumsum(0).tolist()]

    def epoch(self, generator: torch.Generator, skip: int) -> Iterator[int]:
        """See `TrainingOrder`."""
        order = torch.randperm(len(self.blocks), generator=generator).tolist()
        seeds = torch.randint(2**62, (len(order),), generator=generator).tolist()  # so that windows can be skipped
        for first in range(0, len(order), self.window):
            group = order[first : first + self.window]
            size = sum(self.blocks[block] for block in group)
            if skip >= size:
                skip -= size
                continue
            places = torch.cat([torch.arange(self._starts[block], self._starts[block + 1]) for block in group])
            mixed = places[torch.randperm(size, generator=torch.Generator().manual_seed(seeds[first]))]
            yield from mixed[skip:].tolist()
            skip = 0
