"""`lit-vlr data`: check a set, say what to fetch for it, export answers to it, cut it into shards."""

from __future__ import annotations

import argparse
from pathlib import Path

from lit_vlr.data import benchmarks
from lit_vlr.data.checking import check_samples, contact_sheet
from lit_vlr.data.fetching import explain, verify
from lit_vlr.data.hosted import export
from lit_vlr.data.shards import write_shards
from lit_vlr.data.source import Benchmark
from lit_vlr.errors import UserError
from lit_vlr.verbs.parser import Parser

BENCHMARKS: dict[str, type[Benchmark]] = {
    made.name: made for made in (getattr(benchmarks, name) for name in benchmarks.__all__)
}
_SHOWN = 10  # problems


def main(args: list[str]) -> None:
    """Run one of the verbs.

    Args:
        args: of the command line, after ``data``.

    Raises:
        UserError: for malformed arguments, a set with problems, or files that are not what they should be.
    """
    given = _parser().parse_args(args)
    given.run(given)


def _parser() -> Parser:
    parser = Parser(prog="lit-vlr data", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)

    check = verbs.add_parser("check", help="walk through a set: counts, problems, a contact sheet")
    _add_set(check)
    check.add_argument("--pictures", type=int, metavar="N", help="load N pictures only, evenly spread (default: all)")
    check.add_argument("--sheet", type=Path, metavar="FILE", help="write a contact sheet, a PNG")
    check.set_defaults(run=_check)

    download = verbs.add_parser("download", help="say what to fetch from where; nothing is downloaded")
    _add_set(download)
    said = "SHA-256 sums as sha256sum writes them, relative to --root"
    download.add_argument("--checksums", type=Path, metavar="FILE", help=said)
    download.set_defaults(run=_download)

    out = verbs.add_parser("export", help="write answers as a hosted benchmark takes them")
    out.add_argument("--predictions", type=Path, required=True, metavar="FILE", help="answers of `lit-vlr test`")
    out.add_argument("--to", required=True, choices=("vqav2", "vizwiz", "grit", "touchstone"))
    out.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file; a folder for GRIT")
    out.add_argument("--questions", type=Path, metavar="FILE", help="official questions that have to be answered")
    out.add_argument("--task", default="vqa", help="of GRIT: vqa, categorization or refexp (default: %(default)s)")
    out.add_argument("--params", type=int, metavar="N", help="the model's parameters in millions, for GRIT")
    out.set_defaults(run=_export)

    shard = verbs.add_parser("shard", help="write a set as shards, for training on more than fits into memory")
    _add_set(shard)
    shard.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    shard.add_argument("--size", type=int, default=1000, metavar="N", help="samples a shard (default: %(default)s)")
    shard.set_defaults(run=_shard)
    return parser


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=sorted(BENCHMARKS), help="the benchmark")
    parser.add_argument("--root", type=Path, required=True, metavar="FOLDER", help="where its official files are")
    parser.add_argument("--split", help="default: the benchmark's own")


def _made(given: argparse.Namespace) -> Benchmark:
    made = BENCHMARKS[given.name]
    if given.split is None:
        given.split = made.at(given.root).split
    if made.splits and given.split not in made.splits:
        raise UserError(f"Expected --split to be one of {', '.join(made.splits)} but got {given.split!r}")
    return made.at(given.root, given.split)


def _check(given: argparse.Namespace) -> None:
    made = _made(given)
    samples = made.read()
    found = check_samples(samples, made.splits.get(given.split), given.pictures)
    width = max(map(len, found.counts))
    print(f"{made}\n" + "\n".join(f"  {what:<{width}}  {count}" for what, count in found.counts.items()))
    for problem in found.problems[:_SHOWN]:
        print(f"  problem: {problem}")
    if given.sheet is not None:
        contact_sheet(samples).save(given.sheet, "PNG")
        print(f"contact sheet: {given.sheet}")
    if found.problems:
        more = f", of which the first {_SHOWN} are shown" if len(found.problems) > _SHOWN else ""
        raise UserError(f"Expected a set without problems but found {len(found.problems)}{more}; see above")


def _download(given: argparse.Namespace) -> None:
    print("\n".join(explain(_made(given), given.root)))
    if given.checksums is None:
        print("no --checksums given: no file was verified")
        return
    for line in verify(given.checksums, given.root):
        print(line)


def _export(given: argparse.Namespace) -> None:
    n = export(given.predictions, given.to, given.out, given.questions, given.task, given.params)
    print(f"{n:,} answers: {given.out}")


def _shard(given: argparse.Namespace) -> None:
    print(f"{write_shards(_made(given).read(), given.out, given.size):,} samples: {given.out}")
