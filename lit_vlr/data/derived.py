"""Sets made of sets: parts, mixtures, corrupted copies. Each is a `Source`, so they nest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lit_vlr.data.corruptions import CorruptedPicture, Corruption, Severity, check_corruption
from lit_vlr.data.source import Source
from lit_vlr.errors import UserError
from lit_vlr.types import Sample


@dataclass(frozen=True)
class Subset(Source):
    """A random part of a set, in its order.

    Args:
        of: the set.
        n: how many samples.
        seed: of the choice.
    """

    of: Source
    n: int
    seed: int = 0

    def read(self) -> list[Sample]:
        """The samples chosen.

        Raises:
            UserError: if there are fewer than ``n``.
        """
        samples = self.of.read()
        if not 0 < self.n <= len(samples):
            raise UserError(f"Expected `n` from 1 to the {len(samples)} samples of {self.of} but got {self.n}")
        chosen = np.random.default_rng(self.seed).permutation(len(samples))[: self.n]
        return [samples[place] for place in sorted(chosen.tolist())]

    def __str__(self) -> str:
        return f"{self.n} of {self.of}"


@dataclass(frozen=True)
class Where(Source):
    """The samples of a set whose metadata say something.

    Args:
        of: the set.
        key: of the metadata: ``unanswerable_votes`` of VizWiz, say.
        at_least: smallest value that is kept, where values are numbers.
        equals: the value that is kept.
    """

    of: Source
    key: str
    at_least: float | None = None
    equals: str | int | bool | None = None

    def read(self) -> list[Sample]:
        """The samples that fit.

        Raises:
            UserError: if none does, none has the key, or not exactly one of the conditions is given.
        """
        if (self.at_least is None) == (self.equals is None):
            raise UserError("Expected one of `at_least` and `equals` but got both or none")
        samples = self.of.read()
        if not any(self.key in sample.metadata for sample in samples):
            known = sorted({key for sample in samples for key in sample.metadata})
            raise UserError(f"Expected `key` to be one of {known} in {self.of} but got {self.key!r}")
        kept = [sample for sample in samples if self._fits(sample.metadata.get(self.key))]
        if not kept:
            raise UserError(f"Expected samples of {self.of} with `{self.key}` as asked for but there are none")
        return kept

    def _fits(self, value: object) -> bool:
        if self.at_least is None:
            return value == self.equals
        return isinstance(value, int | float) and value >= self.at_least

    def __str__(self) -> str:
        fits = f"= {self.equals}" if self.at_least is None else f">= {self.at_least:g}"
        return f"{self.of} with {self.key} {fits}"


@dataclass(frozen=True)
class Mixture(Source):
    """Several sets in stated proportions, no sample twice.

    Selective prediction out of domain is reported on mixtures of in-domain questions and AdVQA.

    Args:
        parts: the sets, by name.
        proportions: of each in the mixture; they need not add up to 1.
        n: samples of the mixture; None is the most that the smallest part allows.
        seed: of the choices and of the order.

    Reference:
        Dancette et al., "Improving Selective Visual Question Answering by Learning from Your Peers", CVPR 2023,
        Section 4.
    """

    parts: Mapping[str, Source]
    proportions: Mapping[str, float]
    n: int | None = None
    seed: int = 0

    def read(self) -> list[Sample]:
        """The mixture, in a random order; ``metadata["part"]`` says which part each sample is of.

        Raises:
            UserError: if names differ, proportions are not positive, parts share a sample, or a part has too few.
        """
        if set(self.parts) != set(self.proportions) or not self.parts:
            raise UserError(
                f"Expected a proportion for each of {sorted(self.parts)} but got {sorted(self.proportions)}"
            )
        if not all(0 < share < float("inf") for share in self.proportions.values()):
            raise UserError(f"Expected positive `proportions` but got {dict(self.proportions)}; leave the part out")
        read = {name: part.read() for name, part in self.parts.items()}
        sizes = self._sizes({name: len(samples) for name, samples in read.items()})
        rng = np.random.default_rng(self.seed)
        mixed = []
        for name, samples in read.items():
            chosen = rng.permutation(len(samples))[: sizes[name]].tolist()
            mixed += [replace(samples[i], metadata={**samples[i].metadata, "part": name}) for i in sorted(chosen)]
        owner: dict[str, str] = {}
        for sample in mixed:
            if (other := owner.setdefault(sample.uid, sample.metadata["part"])) != sample.metadata["part"]:
                raise UserError(
                    f"Expected parts that share no sample but {sample.uid} was taken from `{other}` and from "
                    f"`{sample.metadata['part']}`; leave it out of one"
                )
        return [mixed[i] for i in rng.permutation(len(mixed)).tolist()]

    def _sizes(self, available: Mapping[str, int]) -> dict[str, int]:
        total = sum(self.proportions.values())
        shares = {name: self.proportions[name] / total for name in self.parts}
        n = self.n
        if n is None:
            n = min(int(available[name] / share + 1e-9) for name, share in shares.items())
        # Largest remainders: every size is within one of its share, and they add up to n.
        sizes = {name: int(n * share + 1e-9) for name, share in shares.items()}
        by_remainder = sorted(shares, key=lambda name: n * shares[name] - sizes[name], reverse=True)
        for name in by_remainder[: n - sum(sizes.values())]:
            sizes[name] += 1
        for name, size in sizes.items():
            if not 0 < size <= available[name]:
                raise UserError(
                    f"Expected {size} samples of `{name}` for a mixture of {n} but it has {available[name]}; change `n`"
                )
        return sizes

    def __str__(self) -> str:
        return "mixture of " + ", ".join(f"{self.proportions[name]:g} {part}" for name, part in self.parts.items())


@dataclass(frozen=True)
class Corrupted(Source):
    """A set with its pictures corrupted; see `lit_vlr.data.corruptions`.

    Uids stay, so that answers can be compared with those to the clean set; ``metadata`` says what was done.

    Args:
        of: the set.
        corruption: which kind.
        severity: 1 to 5.
        seed: what is random depends on it and on the uid alone.
    """

    of: Source
    corruption: Corruption
    severity: Severity = 3
    seed: int = 0

    def read(self) -> Sequence[Sample]:
        """The samples; pictures are corrupted when they are loaded.

        Raises:
            UserError: if there is no such corruption or severity.
        """
        check_corruption(self.corruption, self.severity)
        said = {"corruption": self.corruption, "severity": self.severity}
        return [
            replace(
                sample,
                image=CorruptedPicture(sample.image, self.corruption, self.severity, self.seed),
                metadata={**sample.metadata, **said},
            )
            for sample in self.of.read()
        ]

    def __str__(self) -> str:
        return f"{self.of} under {self.corruption} {self.severity}"
