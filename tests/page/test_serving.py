"""The page as a browser meets it: served on this machine, asked through Gradio's own client."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import pytest
from PIL import Image

from lit_vlr.data.scenes import make_sample
from lit_vlr.module import SelectiveVLM
from lit_vlr.objectives.sft import SFT
from lit_vlr.page import attacking
from lit_vlr.page.attacking import answer_under_attack
from lit_vlr.page.rendering import render
from lit_vlr.page.scale import Scale
from lit_vlr.predictor import SelectivePredictor
from lit_vlr.verbs.demo_page import check_address
from tests._tiny import family

pytest.importorskip("gradio", reason="the page needs the optional extra, and an older pillow: make test-page")

SCENE = make_sample("test", 0)


class Served(NamedTuple):
    predictor: SelectivePredictor
    url: str
    client: Any
    page: Any
    reached: list[str]


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A page on a free port, and every address that this process connected to since."""
    from gradio_client import Client

    from lit_vlr.page.serving import serve

    predictor = SelectivePredictor(SelectiveVLM(family(), SFT(), max_new_tokens=4))
    predictor.module.threshold.fill_(0.31234)
    reached: list[str] = []
    connect = socket.socket.connect

    def noted(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            reached.append(address[0])
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", noted)
        port = free_port()
        page = serve(predictor, "127.0.0.1", port, steps=3, block=False)
        url = f"http://127.0.0.1:{port}/"
        yield Served(predictor, url, Client(url, verbose=False), page, reached)
        page.close()


@pytest.fixture
def picture(tmp_path: Path) -> Any:
    from gradio_client import handle_file

    Image.fromarray(SCENE.image).save(tmp_path / "scene.png")
    return handle_file(str(tmp_path / "scene.png"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_it_answers_and_attacks_as_python_does(served, picture) -> None:
    scale = Scale.of(served.predictor.module)
    said = served.client.predict(picture, SCENE.question, "", 4, "answer", scale.start, api_name="/ask")
    found = answer_under_attack(served.predictor, SCENE.image, SCENE.question, 4 / 255, steps=3)
    assert found.threshold == pytest.approx(0.31234)
    assert found.moved
    assert said == render(found, scale)


def test_moving_the_threshold_attacks_nothing_again(served, picture, monkeypatch) -> None:
    scale = Scale.of(served.predictor.module)
    attacks = []
    monkeypatch.setattr(
        attacking,
        "attack_batch",
        lambda *given, attack=attacking.attack_batch, **named: attacks.append(1) or attack(*given, **named),
    )
    client = served.client
    client.predict(picture, SCENE.question, "", 2, "answer", scale.start, api_name="/ask")
    assert attacks == [1]
    everything = client.predict(scale.low, api_name="/decide")
    nothing = client.predict(scale.high, api_name="/decide")
    assert [page.count("would have said") for page in (everything, nothing)] == [0, 2]
    assert attacks == [1]
    # Nor does the page itself: the slider is bound to `decide` and to nothing else.
    slider = next(block for block in served.page.blocks.values() if getattr(block, "label", "") == "threshold")
    bound = [fn.api_name for fn in served.page.fns.values() for target, _ in fn.targets if target == slider._id]
    assert bound == ["decide"]


@pytest.mark.parametrize(
    ("question", "aim", "message"),
    [(" ", "answer", "Expected a question but it is empty"), ("What?", "havoc", "havoc")],
)
def test_what_cannot_be_asked_is_said(served, picture, question, aim, message) -> None:
    with pytest.raises(Exception, match=message):
        served.client.predict(picture, question, "", 0, aim, 0.5, api_name="/ask")


def test_without_a_picture_it_says_so(served) -> None:
    with pytest.raises(Exception, match="Expected a picture but there is none"):
        served.client.predict(None, "What?", "", 0, "answer", 0.5, api_name="/ask")


def test_a_picture_that_the_package_refuses_is_refused(served, tmp_path) -> None:
    """Gradio itself reads GIF; the page goes by the package's own rules."""
    from gradio_client import handle_file

    Image.fromarray(SCENE.image).save(tmp_path / "scene.gif")
    with pytest.raises(Exception, match="convert or replace it"):
        served.client.predict(handle_file(str(tmp_path / "scene.gif")), "What?", "", 0, "answer", 0.5, api_name="/ask")


def test_a_port_that_is_served_at_is_taken(served) -> None:
    with pytest.raises(ValueError, match="Address already in use"):
        check_address("127.0.0.1", int(served.url.rsplit(":", 1)[1].strip("/")))


def test_nothing_outside_of_this_machine_is_reached(served, picture) -> None:
    served.client.predict(picture, SCENE.question, "", 1, "abstain", 0.0, api_name="/ask")
    assert served.reached
    assert all(ip_address(host).is_loopback for host in served.reached), served.reached


def test_browsers_are_told_to_fetch_from_nowhere_else(served) -> None:
    with urlopen(served.url) as answer:
        page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    assert not re.search(r"https?:|//|\*", policy)
    assert "fonts.googleapis" not in page
    # What is loaded at once is local; the policy is for what scripts may ask for later.
    loaded = re.findall(r"<(?:script|link|img)\b[^>]*(?:src|href)=\"([^\"]+)\"", page)
    assert not [one for one in loaded if re.match(r"(https?:)?//", one) and not one.startswith(served.url)]
