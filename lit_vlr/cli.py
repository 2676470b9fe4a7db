"""The command line: LightningCLI's verbs (fit, validate, test, predict) and lit_vlr's own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence

from lit_vlr.errors import ConfigError, UserError

_USAGE = """lit-vlr: selective prediction of vision-language models, in domain, out of domain and under attack

  lit-vlr fit      --config FILE ...    fine-tune; configs in the order base, model, data, objective, attack
  lit-vlr validate --config FILE ...    answer the calibration split: calibration.jsonl
  lit-vlr test     --config FILE ...    answer the test sets, clean and attacked, and write the report
  lit-vlr predict  --config FILE ...    print the answers, a JSON line each
  lit-vlr calibrate --predictions calibration.jsonl --target-risk R [--delta D] [--method M] [--out FILE]
                                        choose a threshold, with a guarantee; --threshold FILE of the others applies it
  lit-vlr score    --predictions FILE [FILE ...] [--threshold FILE] [--json]
                                        every selective metric, with intervals and paired differences
  lit-vlr study    --config FILE [--dry-run] [--keep-going]
                                        run arms x seeds x sets x attacks, resume what was begun; table and report
  lit-vlr peers    --config FILE ... --selector FILE ... --folds K --root DIR
                                        learn a selector from peers that each leave a fold out; resumes, too
  lit-vlr report   RUN ... [--out FILE] one report of several runs
  lit-vlr data     check | download | export | shard ...
                                        look at a set, fetch it, hand answers in, cut it into shards
  lit-vlr export   --checkpoint FILE --out DIR [--dtype D] [--adapter-only]
                                        a folder for plain transformers, adapters merged exactly; or for plain peft
  lit-vlr ask      --checkpoint FILE --image FILE --question TEXT [--threshold FILE]
  lit-vlr demo-page --checkpoint FILE [--threshold FILE] [--host H] [--port N]
                                        a page in the browser: drop a picture, ask, drag the attack's eps and threshold

`lit-vlr VERB --help` tells more."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; what the user can mend is printed as one line, with status 2.

    A run that SIGTERM ends leaves with 143, as a shell would say it.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print(_USAGE)
        return 0
    # Progress of library internals and advice about packages that are not there help nobody who runs a verb.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)  # speaks when it is imported
    try:
        _verb(args[0])(args)
    except (UserError, ConfigError, FileNotFoundError) as error:
        print(f"lit-vlr: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _verb(name: str) -> Callable[[list[str]], None]:
    own: dict[str, Callable[[list[str]], None]] = {
        "ask": _ask,
        "calibrate": _calibrate,
        "data": _data,
        "demo-page": _demo_page,
        "export": _export,
        "peers": _peers,
        "report": _report,
        "score": _score,
        "study": _study,
    }
    if name in own:
        return own[name]
    if name in ("fit", "validate", "test", "predict"):
        return _lightning
    verbs = ", ".join(("fit", "validate", "test", "predict", *own))
    raise UserError(f"Expected one of {verbs} but got {name!r}; see lit-vlr --help")


def _lightning(args: list[str]) -> None:
    from lightning.pytorch.utilities.exceptions import SIGTERMException
    from transformers.utils import logging

    from lit_vlr.lightning_cli import VLRCLI

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    _quiet()
    # Lightning warns of arguments that are passed on; from the shell it shall read them itself.
    try:
        VLRCLI.run(None if args == sys.argv[1:] else args)
    except SIGTERMException as error:
        # A SystemExit without a code: a fit that was told to end would look like one that is through.
        raise SystemExit(128 + signal.SIGTERM) from error


def _ask(args: list[str]) -> None:
    from jsonargparse import auto_cli

    from lit_vlr.ask import ask

    _quiet()
    print(auto_cli(ask, args=args[1:], as_positional=False))


def _calibrate(args: list[str]) -> None:
    from lit_vlr.verbs.calibrate import main as calibrate

    calibrate(args[1:])


def _data(args: list[str]) -> None:
    from lit_vlr.verbs.data import main as data

    data(args[1:])


def _demo_page(args: list[str]) -> None:
    from lit_vlr.verbs.demo_page import main as demo_page

    _quiet()
    demo_page(args[1:])


def _export(args: list[str]) -> None:
    from lit_vlr.verbs.export import main as export

    _quiet()
    export(args[1:])


def _peers(args: list[str]) -> None:
    from lit_vlr.verbs.peers import main as peers

    peers(args[1:])


def _score(args: list[str]) -> None:
    from lit_vlr.verbs.score import main as score

    score(args[1:])


def _study(args: list[str]) -> None:
    from lit_vlr.verbs.study import main as study

    study(args[1:])


def _report(args: list[str]) -> None:
    from lit_vlr.verbs.report import main as report

    report(args[1:])


def _quiet() -> None:
    """Silence warnings that say nothing about what the user did."""
    for message in (
        ".*does not have many workers.*",
        ".*is_gradient_checkpointing.*deprecated.*",
        ".*LeafSpec.*deprecated.*",
        ".*treespec.*deprecated.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*isinstance.treespec.*",
    ):
        warnings.filterwarnings("ignore", message=message)


if __name__ == "__main__":
    sys.exit(main())
