"""`lit-vlr demo-page`: what is wrong is said in a line, before a model is loaded."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

import pytest

from lit_vlr.cli import main
from lit_vlr.predictor import SelectivePredictor
from tests._tiny import arguments


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a fit of one step."""
    folder = tmp_path_factory.mktemp("run")
    limits = ["--trainer.max_steps=1", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"]
    quiet = ["--trainer.enable_progress_bar=false", "--trainer.logger=false"]
    configs = ("base", "model/tiny_llava", "data/scenes", "objective/sft")
    assert main(arguments("fit", folder, *limits, *quiet, configs=configs)) == 0
    return folder / "checkpoints" / "last.ckpt"


@pytest.fixture(autouse=True)
def no_model(request, monkeypatch) -> None:
    """Mistakes are found before anything is loaded."""
    if "serves" in request.node.name:
        return

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(SelectivePredictor, "from_checkpoint", never)


def bad(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    capsys.readouterr()
    assert main(["demo-page", *given]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def test_a_checkpoint_is_needed(capsys) -> None:
    assert "--checkpoint" in bad(capsys)


def test_a_missing_or_damaged_checkpoint_is_named(checkpoint, tmp_path, capsys) -> None:
    assert "none.ckpt but there is no such file" in bad(capsys, "--ckpt_path", str(tmp_path / "none.ckpt"))
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(checkpoint.read_bytes()[:5000])
    assert "damaged.ckpt cannot be read" in bad(capsys, "--checkpoint", str(damaged))


def test_a_threshold_file_that_cannot_be_used_is_named(checkpoint, tmp_path, capsys) -> None:
    said = bad(capsys, "--checkpoint", str(checkpoint), "--threshold", str(tmp_path / "none.json"))
    assert "none.json" in said


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_is_none_is_named(checkpoint, capsys, port) -> None:
    assert f"--port from 1 to 65535 but got {port}" in bad(capsys, "--checkpoint", str(checkpoint), "--port", port)


def test_a_port_in_use_is_named(checkpoint, capsys) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        said = bad(capsys, "--checkpoint", str(checkpoint), "--port", port)
    assert f"127.0.0.1:{port} cannot (Address already in use); choose another port" in said


def test_an_address_of_another_machine_is_named(checkpoint, capsys) -> None:
    said = bad(capsys, "--checkpoint", str(checkpoint), "--host", "192.0.2.1")  # reserved for documentation
    assert "192.0.2.1:7860 cannot" in said
    assert "an address of this machine" in said
    assert "Expected --host as a name or an address" in bad(
        capsys, "--checkpoint", str(checkpoint), "--host", "no.such.host.invalid"
    )


def test_steps_are_counted_from_one(checkpoint, capsys) -> None:
    assert "--steps of at least 1 but got 0" in bad(capsys, "--checkpoint", str(checkpoint), "--steps", "0")


def test_without_gradio_the_extra_is_named(checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert "pip install 'lit-vlr[page]'" in bad(capsys, "--checkpoint", str(checkpoint), "--port", str(free_port()))


@pytest.mark.skipif(
    find_spec("gradio") is None, reason="the page needs the optional extra, and an older pillow: make test-page"
)
def test_it_serves_until_it_is_interrupted(checkpoint) -> None:
    port = free_port()
    command = [sys.executable, "-m", "lit_vlr.cli", "demo-page", "--checkpoint", str(checkpoint), "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # What a shell starts in the background ignores Ctrl-C, and so would its children: this test may be among them.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=interruptible)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said == f"page: http://127.0.0.1:{port}/ (Ctrl-C ends it)\n"
        with urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        deadline = time.time() + 20
        while process.poll() is None and time.time() < deadline:
            time.sleep(0.1)
        assert process.poll() in (0, 130)
    finally:
        process.kill()
        process.wait()


def interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
