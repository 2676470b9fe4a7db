"""The page itself, in Gradio; nothing is decided here."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from PIL import Image

from lit_vlr.data.scenes import make_scenes
from lit_vlr.page.attacking import Aim, Exchange, answer_under_attack
from lit_vlr.page.rendering import render
from lit_vlr.page.scale import Scale
from lit_vlr.predictor import SelectivePredictor
from lit_vlr.types import Sample

if TYPE_CHECKING:
    import gradio as gr

MAX_EPS = 8
"""In 255ths."""
_AIMS: dict[Aim, str] = {
    "answer": "another answer",
    "confident": "another answer, given with confidence",
    "abstain": "abstention",
}
assert tuple(_AIMS) == get_args(Aim)
_SCENES = 5
_START = "Drop a picture or choose an example, ask, and press the button."


def build_page(predictor: SelectivePredictor, steps: int = 10) -> gr.Blocks:
    """The page of a model.

    Endpoints: ``/ask`` attacks and answers; ``/decide`` applies another threshold to what ``/ask`` found in the same
    session, and runs no model.

    Args:
        predictor: the model; nothing in it is changed.
        steps: of PGD.
    """
    import gradio as gr  # an extra

    scale = Scale.of(predictor.module)
    whose = "the threshold file's" if predictor.applied else "the checkpoint's"

    def ask(
        image: str | None, question: str, truth: str, eps: float, aim: Aim, position: float
    ) -> tuple[Exchange, str]:
        if not image:
            raise gr.Error("Expected a picture but there is none; drop one, or choose an example")
        try:
            found = answer_under_attack(
                predictor,
                Path(image),
                question,
                eps / 255,
                scale.threshold(position),
                aim=aim,
                truth=truth,
                steps=steps,
            )
        except ValueError as error:  # UserError is one
            raise gr.Error(str(error)) from error
        return found, render(found, scale)

    def ask_again(
        found: Exchange | None, image: str | None, question: str, truth: str, eps: float, aim: Aim, position: float
    ) -> tuple[Exchange | None, str]:
        """A slider that is moved before anything was asked is no question."""
        if found is None or not image:
            return found, _START
        return ask(image, question, truth, eps, aim, position)

    def decide(found: Exchange | None, position: float) -> str:
        return _START if found is None else render(found.at(scale.threshold(position)), scale)

    with gr.Blocks(title="lit_vlr", analytics_enabled=False) as page:
        gr.Markdown(f"# What does it say, and when does it abstain?\n{predictor.module.family.describe()}")
        found = gr.State(None)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                # The file as it came, for the package's own reader: Gradio's would take what it refuses.
                image = gr.Image(
                    label="picture",
                    type="filepath",
                    image_mode=None,
                    sources=["upload", "clipboard"],
                    buttons=[],
                    height=220,
                    elem_id="vlr-picture",
                )
                question = gr.Textbox(label="question", placeholder="What is …?", lines=1)
                truth = gr.Textbox(
                    label="true answer, if you know it",
                    info="The attack leads away from it; without one, from the model's own clean answer.",
                    lines=1,
                )
                eps = gr.Slider(0, MAX_EPS, value=0, step=1, label="ε of the attack, in 255ths (L∞); 0 is none")
                aim = gr.Radio([(label, name) for name, label in _AIMS.items()], value="answer", label="attack towards")
                button = gr.Button("Ask", variant="primary")
            with gr.Column(scale=3, min_width=420):
                threshold = gr.Slider(
                    scale.low,
                    scale.high,
                    value=scale.start,
                    step=scale.step,
                    label="threshold",
                    info=f"Starts at {scale.frozen:.4g}, {whose}. Far left answers everything, far right nothing. The "
                    f"confidence is {predictor.module.score_name}.",
                )
                shown = gr.HTML(_START)
                gr.Examples(_examples(make_scenes("test", _SCENES)), [image, question, truth], label="drawn scenes")
        asked = [image, question, truth, eps, aim, threshold]
        # One at a time: an attack holds the module's weights and modes still while it runs.
        alone = {"concurrency_limit": 1, "concurrency_id": "model"}
        asking = gr.on(
            [button.click, question.submit, truth.submit], ask, asked, [found, shown], api_name="ask", **alone
        )
        asking_again = gr.on(
            [eps.release, aim.input],
            ask_again,
            [found, *asked],
            [found, shown],
            api_visibility="private",
            trigger_mode="always_last",
            **alone,
        )
        decided = {"fn": decide, "inputs": [found, threshold], "outputs": shown, "queue": False}
        threshold.change(**decided, api_name="decide", show_progress="hidden", trigger_mode="always_last")
        # The slider may have moved while the attack ran.
        for event in (asking, asking_again):
            event.success(**decided, api_visibility="private", show_progress="hidden")
    return page


def _examples(scenes: Sequence[Sample]) -> list[list[str]]:
    """Scenes as picture files, which Gradio copies for itself, with question and true answer."""
    folder = Path(tempfile.mkdtemp(prefix="lit_vlr_scenes_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    rows = []
    for i, scene in enumerate(scenes):
        assert isinstance(scene.image, np.ndarray)
        Image.fromarray(scene.image).save(folder / f"{i}.png")
        rows.append([str(folder / f"{i}.png"), scene.question, str(scene.metadata["truth"])])
    return rows
