"""The result of one exchange as HTML: pictures, what is said, and why it is given or withheld."""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined

from lit_vlr.page.attacking import Exchange, Said
from lit_vlr.page.scale import Scale
from lit_vlr.report.gallery import MAX_SIDE, Answer, amplification, data_uri


def render(exchange: Exchange, scale: Scale) -> str:
    """What the page shows of an exchange; a fragment that fetches and runs nothing.

    Args:
        exchange: with the threshold that is in force.
        scale: of the slider, which the bars follow.
    """
    difference = exchange.attacked.pixels - exchange.clean.pixels
    factor = amplification(exchange.eps or None, [difference])
    sides = [_side("clean", exchange.clean, exchange.threshold, scale)]
    if exchange.eps:
        sides.append(_side("attacked", exchange.attacked, exchange.threshold, scale))
    template = files("lit_vlr.page").joinpath("result.html").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(
        exchange=exchange,
        sides=sides,
        difference=data_uri(np.clip(0.5 + factor * difference, 0, 1)),
        factor=factor,
        eps=f"{255 * exchange.eps:.3g}/255",
        pixelated=max(difference.shape[:2]) <= MAX_SIDE // 2,
        threshold=_number(exchange.threshold),
        place=f"{100 * scale.share(exchange.threshold):.1f}",
        # Aims that know the threshold were aimed at the one that was in force then.
        stale=exchange.aim != "answer" and bool(exchange.eps) and exchange.threshold != exchange.aimed_at,
        aimed_at=_number(exchange.aimed_at),
    )


def _side(name: str, said: Said, threshold: float, scale: Scale) -> dict[str, object]:
    given = said.answer(threshold) is not None
    verdict = Answer(said.text, said.confidence, not given, said.accuracy).verdict
    return {
        "name": name,
        "picture": data_uri(said.pixels),
        "text": said.text or "(nothing)",
        "given": given,
        "verdict": "" if verdict == "unlabelled" else verdict,
        "confidence": _number(said.confidence),
        "share": f"{100 * scale.share(said.confidence):.1f}",
    }


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "−∞" if value < 0 else "+∞"
