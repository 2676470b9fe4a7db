"""APGD and the ensemble beside torchattacks and the autoattack package; `make bench-attacks`.

One classifier, trained here with a seed on real digits (of scikit-learn, 8 × 8, brought to 16 × 16), adversarially, so
that its robust accuracy is neither nothing nor all; one budget of steps, restarts and queries. Each attack returns
pictures; this file, not the attack, says how many of them are still classified rightly, and how far they are from the
clean ones. Model passes are rows that went through the network, counted by a hook. Attacks run in turn, once a seed;
processor time is compared within a turn, and the median of such paired ratios survives a busy machine.

The peers are optional, and left out with a word where they are absent: ``pip install --no-deps torchattacks``; the
autoattack package from https://github.com/fra31/auto-attack. Writes ``benchmarks/results/attack_strength.json`` and,
as a table, ``attack_strength.md``.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from lit_vlr_callbacks.attacks import (
    APGD,
    PGD,
    Attack,
    EachTarget,
    Ensemble,
    LogitsLoss,
    Square,
    Stage,
    cross_entropy,
    dlr,
    margin,
    wrong_first,
)
from lit_vlr_callbacks.perturbations import L2, Linf, Perturbation
from scripts.results import machine

CLASSES, TRAINED = 10, 1000
EPS = {"Linf": 0.2, "L2": 1.5}
EPS_TRAINED = 0.15
OURS, TORCHATTACKS, AUTOATTACK = "lit_vlr_callbacks", "torchattacks", "autoattack"
PEERS = {
    TORCHATTACKS: "pip install --no-deps torchattacks",
    AUTOATTACK: "the package of https://github.com/fra31/auto-attack on PYTHONPATH",
}
Run: TypeAlias = Callable[[nn.Module, Tensor, Tensor, int], Tensor]
"""Network, pictures, labels and seed to attacked pictures."""


def digits() -> tuple[Tensor, Tensor]:
    """All 1797 digits, (1797, 1, 16, 16) in [0, 1], and their classes."""
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    images = nn.functional.interpolate(images, size=(16, 16), mode="bilinear").clamp(0, 1)
    return images, torch.tensor(data.target)


def train(images: Tensor, labels: Tensor, epochs: int, seed: int = 0) -> nn.Module:
    """A convolutional network, trained on pictures under PGD of three steps."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(512, 64),
            nn.ReLU(),
            nn.Linear(64, CLASSES),
        )
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    attack = PGD(Linf(EPS_TRAINED), steps=3, keep_best=False)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(64):
            attacked = attack.attack(LogitsLoss(net, labels[rows]), images[rows], generator=generator).images
            optimizer.zero_grad()
            cross_entropy(net(attacked), labels[rows]).mean().backward()
            optimizer.step()
    return net.eval().requires_grad_(False)


def threat(norm: str) -> Perturbation:
    """The ball."""
    return Linf(EPS[norm]) if norm == "Linf" else L2(EPS[norm])


def ours(build: Callable[[LogitsLoss, Tensor], tuple[Attack, LogitsLoss]]) -> Run:
    """Run one of the project's attacks."""

    def run(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        attack, loss = build(LogitsLoss(net, labels, margin), images)
        return attack.attack(loss, images, generator=torch.Generator().manual_seed(seed)).images

    return run


def apgd(norm: str, name: str, steps: int) -> Run:
    """APGD on one loss, done with a sample once that loss says that it is broken.

    Cross-entropy is `wrong_first`, whose gradient is the same.
    """
    loss, limit = (wrong_first, math.log(CLASSES)) if name == "ce" else (dlr, 0.0)
    attack = APGD(threat(norm), steps=steps, success_loss=limit, early_stop=True)
    return ours(lambda given, _: (attack, given.using(loss)))


def cascade(norm: str, steps: int, queries: int) -> Run:
    """APGD on cross-entropy, APGD on the margin of every wrong class, three of them at once, then Square."""
    ball = threat(norm)
    plain = APGD(ball, steps=steps, success_loss=math.log(CLASSES), early_stop=True)
    aimed = APGD(ball, steps=steps, success_loss=0.0, early_stop=True)
    stages: list[Attack | Stage] = [
        Stage(plain, lambda loss: loss.using(wrong_first)),  # type: ignore[attr-defined]
        EachTarget(aimed, together=3),
        Square(ball, queries=queries, success_loss=0.0),
    ]
    return ours(lambda given, _: (Ensemble(ball, stages, success_loss=0.0), given))


def torchattacks_apgd(norm: str, name: str, steps: int) -> Run:
    """The peer's APGD."""
    library = import_module(TORCHATTACKS)

    def run(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        attacked: Tensor = library.APGD(net, norm=norm, eps=EPS[norm], steps=steps, loss=name, seed=seed)(
            images, labels
        )
        return attacked

    return run


def torchattacks_cascade(norm: str, steps: int, queries: int) -> Run:
    """The peer's, with the members of ours."""
    library = import_module(TORCHATTACKS)

    def run(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        common = {"norm": norm, "eps": EPS[norm], "seed": seed}
        attacks = [
            library.APGD(net, steps=steps, loss="ce", **common),
            library.APGDT(net, steps=steps, n_classes=CLASSES, **common),
            library.Square(net, n_queries=queries, **common),
        ]
        attacked: Tensor = library.MultiAttack(attacks)(images, labels)
        return attacked

    return run


def autoattack(norm: str, members: list[str], steps: int, queries: int) -> Run:
    """The package that came with the paper, with some of its attacks."""
    library = import_module(AUTOATTACK)

    def run(net: nn.Module, images: Tensor, labels: Tensor, seed: int) -> Tensor:
        attack = library.AutoAttack(
            net, norm=norm, eps=EPS[norm], seed=seed, verbose=False, device="cpu", version="custom",
            attacks_to_run=members,
        )  # fmt: skip
        attack.apgd.n_restarts = attack.apgd_targeted.n_restarts = attack.fab.n_restarts = 1
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = CLASSES - 1
        for searched in (attack.apgd, attack.apgd_targeted, attack.fab):
            searched.n_iter = steps
        for searched in (attack.apgd, attack.apgd_targeted):
            searched.n_iter_2 = max(int(0.22 * steps), 1)
            searched.n_iter_min = max(int(0.06 * steps), 1)
            searched.size_decr = max(int(0.03 * steps), 1)
        attack.square.n_queries = queries
        attacked: Tensor = attack.run_standard_evaluation(images, labels, bs=len(images))
        return attacked

    return run


def contestants(norm: str, steps: int, queries: int, absent: dict[str, str]) -> dict[tuple[str, str], Run]:
    """Every attack by what it is and whose; of each kind, the project's first."""
    found: dict[tuple[str, str], Run] = {}
    for name in ("ce", "dlr"):
        found[f"APGD-{name.upper()}", OURS] = apgd(norm, name, steps)
        if TORCHATTACKS not in absent:
            found[f"APGD-{name.upper()}", TORCHATTACKS] = torchattacks_apgd(norm, name, steps)
        if AUTOATTACK not in absent:
            found[f"APGD-{name.upper()}", AUTOATTACK] = autoattack(norm, [f"apgd-{name}"], steps, queries)
    found["ensemble", OURS] = cascade(norm, steps, queries)
    if TORCHATTACKS not in absent:
        found["ensemble", TORCHATTACKS] = torchattacks_cascade(norm, steps, queries)
    if AUTOATTACK not in absent:
        members = ["apgd-ce", "apgd-t", "square"]
        found["ensemble", AUTOATTACK] = autoattack(norm, members, steps, queries)
        found["ensemble", f"{AUTOATTACK}, with FAB"] = autoattack(
            norm, [*members[:2], "fab-t", members[2]], steps, queries
        )
    return found


def once(run: Run, net: nn.Module, images: Tensor, labels: Tensor, seed: int, norm: str) -> dict[str, float]:
    """One attack with one seed: what is left of the accuracy, and what it took."""
    rows = [0]
    hook = net.register_forward_hook(lambda module, given, output: rows.__setitem__(0, rows[0] + len(output)))
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        started = time.process_time()
        attacked = run(net, images, labels, seed).detach()
        seconds = time.process_time() - started
    hook.remove()
    change = (attacked.double() - images.double()).flatten(1)
    with torch.no_grad():
        right = (net(attacked).argmax(1) == labels).double().mean()
    return {
        "robust_accuracy": float(right),
        "seconds": seconds,
        "passes_a_sample": rows[0] / len(images),
        "radius": float((change.abs().amax(1) if norm == "Linf" else change.norm(dim=1)).max()),
        "outside": float(max(0.0, -attacked.min(), attacked.max() - 1)),
    }


def measure(
    net: nn.Module, images: Tensor, labels: Tensor, norms: list[str], steps: int, queries: int, seeds: int
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """A row for each attack, and what was absent."""
    absent = {name: remedy for name, remedy in PEERS.items() if find_spec(name) is None}
    rows = []
    for norm in norms:
        runs = contestants(norm, steps, queries, absent)
        turns = [
            {key: once(run, net, images, labels, seed, norm) for key, run in runs.items()} for seed in range(seeds)
        ]
        for kind, package in runs:
            found = [turn[kind, package] for turn in turns]
            ratios = [turn[kind, package]["seconds"] / turn[kind, OURS]["seconds"] for turn in turns]
            rows.append(
                {
                    "norm": norm,
                    "eps": EPS[norm],
                    "attack": kind,
                    "package": package,
                    "robust_accuracy": round(statistics.mean(f["robust_accuracy"] for f in found), 5),
                    "robust_accuracy_by_seed": [round(f["robust_accuracy"], 5) for f in found],
                    "seconds": round(statistics.median(f["seconds"] for f in found), 3),
                    "times_ours": {"median": round(statistics.median(ratios), 2), "min": round(min(ratios), 2)},
                    "passes_a_sample": round(statistics.mean(f["passes_a_sample"] for f in found), 1),
                    "largest_radius": max(f["radius"] for f in found),
                    "outside": max(f["outside"] for f in found),
                }
            )
    return rows, absent


def table(result: dict[str, Any]) -> str:
    """The rows as Markdown."""
    lines = [
        f"Clean accuracy {100 * result['clean_accuracy']:.1f}% of {result['samples']} digits; {result['steps']} steps, "
        f"{result['queries']} queries, {result['seeds']} seeds. Radius is the largest change of any picture, as a "
        "share of eps.",
        "",
        "| norm | attack | package | robust accuracy, % | CPU seconds | time beside ours | passes a sample | radius |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for row in result["results"]:
        cells = [
            f"{row['norm']}, {row['eps']}",
            row["attack"],
            row["package"],
            f"{100 * row['robust_accuracy']:.2f}",
            f"{row['seconds']:.2f}",
            f"{row['times_ours']['median']:.2f}",
            f"{row['passes_a_sample']:.0f}",
            f"{row['largest_radius'] / row['eps']:.7f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for name, remedy in result["absent"].items():
        lines += ["", f"Not measured: {name} is absent ({remedy})."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--norms", nargs="+", choices=list(EPS), default=list(EPS))
    parser.add_argument("--steps", type=int, default=100, help="of every APGD")
    parser.add_argument("--queries", type=int, default=1000, help="of Square")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--samples", type=int, default=797, help="attacked digits; the classifier saw none of them")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images, labels = digits()
    net = train(images[:TRAINED], labels[:TRAINED], args.epochs)
    images, labels = images[TRAINED:][: args.samples], labels[TRAINED:][: args.samples]
    rows, absent = measure(net, images, labels, args.norms, args.steps, args.queries, args.seeds)
    with torch.no_grad():
        clean = float((net(images).argmax(1) == labels).double().mean())
    result = {
        "command": " ".join(["python -m benchmarks.attack_strength", *sys.argv[1:]]),
        "what": "robust accuracy and time of attacks on one classifier, at one budget",
        "clean_accuracy": clean,
        **{key: getattr(args, key) for key in ("samples", "steps", "queries", "seeds", "epochs", "threads")},
        "absent": absent,
        "machine": machine(),
        "results": rows,
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "attack_strength.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    (args.out / "attack_strength.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
