"""`lit-vlr demo-page`: a page in the browser that asks a model about pictures, clean and attacked."""

from __future__ import annotations

import socket
import sys
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from lit_vlr.checkpoints import read_checkpoint
from lit_vlr.errors import UserError
from lit_vlr.predictor import SelectivePredictor
from lit_vlr.threshold_file import read_threshold
from lit_vlr.verbs.parser import Parser


def main(args: list[str]) -> None:
    """Serve the page until interrupted.

    Args:
        args: of the command line, after the verb.

    Raises:
        UserError: for what cannot be used; all of it is looked at before the model is loaded.
    """
    given = _parser().parse_args(args)
    if given.steps < 1:
        raise UserError(f"Expected --steps of at least 1 but got {given.steps}")
    read_checkpoint(given.checkpoint)
    if given.threshold is not None:
        read_threshold(given.threshold)
    check_address(given.host, given.port)
    if find_spec("gradio") is None:
        raise UserError(
            "Expected Gradio, which the page is made with, but it is not installed; pip install 'lit-vlr[page]'"
        )
    predictor = SelectivePredictor.from_checkpoint(given.checkpoint, given.threshold)
    if predictor.applied:
        print(f"lit-vlr: {predictor.applied}", file=sys.stderr)
    if not _is_loopback(given.host):
        print(f"lit-vlr: {given.host} is not this machine alone: whoever reaches it can use the page", file=sys.stderr)
    from lit_vlr.page.serving import serve

    serve(predictor, given.host, given.port, given.steps)


def check_address(host: str, port: int) -> None:
    """Look whether something can be served there.

    Raises:
        UserError: if the port is no port or not free, or the host is no address of this machine.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"Expected --port from 1 to 65535 but got {port}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: a port just left is free
            probe.bind(address)
    except socket.gaierror as error:
        raise UserError(f"Expected --host as a name or an address but got {host!r} ({error.strerror})") from error
    except OSError as error:
        raise UserError(
            f"Expected --host and --port that can be served at but {host}:{port} cannot ({error.strerror}); choose "
            "another port, and an address of this machine"
        ) from error


def _is_loopback(host: str) -> bool:
    return ip_address(socket.getaddrinfo(host, None)[0][4][0]).is_loopback


def _parser() -> Parser:
    parser = Parser(
        prog="lit-vlr demo-page",
        description="Serve a page where one drops a picture, asks, and drags the attack's ε and the threshold. "
        "The checkpoint brings the model's settings.",
    )
    said = "a file of <run>/checkpoints"
    parser.add_argument(
        "--checkpoint", "--ckpt_path", dest="checkpoint", type=Path, required=True, metavar="FILE", help=said
    )
    said = "a file of `lit-vlr calibrate`, used instead of the checkpoint's threshold"
    parser.add_argument("--threshold", type=Path, metavar="FILE", help=said)
    parser.add_argument("--host", default="127.0.0.1", help="where to serve (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=int, default=7860, help="the default is 7860")
    parser.add_argument("--steps", type=int, default=10, help="gradient steps of an attack (default: 10)")
    return parser
