"""A word written on the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from lit_vlr_callbacks.perturbations.base import Params, Perturbation, to_number
from lit_vlr_callbacks.perturbations.common import whole_place
from lit_vlr_callbacks.perturbations.glyphs import FIRST, LAST, render


class Typographic(Perturbation):
    """Write one word of a list on each picture: white letters with a black outline, readable on any ground.

    Models that read obey what they read. Parameters, each (B,): ``text_opacity``, identity 0; ``text_word``, of which
    the whole number is the index of the word; ``text_size``, the size of the font as a part of the picture's height (a
    word that is too wide is set smaller); ``text_top`` and ``text_left``, 0 at one border, 1 where the word meets the
    other. The gradient to the opacity can be used, but word, size and place act in whole steps: hence search without
    gradients. The letters are those of Aileron, a sans-serif, brought along (`glyphs`).

    Args:
        words: what may be written; for a question with known answers, the wrong ones.
        low: least size, in (0, 1].
        high: greatest size, in [low, 1].
        opacity: greatest opacity, in [0, 1].

    Raises:
        ValueError: if there is no word, or one that is empty or not printable ASCII, or a number is out of its range.

    Reference:
        Goh et al., Multimodal Neurons in Artificial Neural Networks, Distill 2021, "Typographic attacks";
        Cheng et al., arXiv 2402.19150 (on vision-language models).
    """

    differentiable = False

    def __init__(
        self, words: list[str], low: float | str = 0.1, high: float | str = 0.25, opacity: float | str = 1.0
    ) -> None:
        least, most, strongest = to_number(low, "low"), to_number(high, "high"), to_number(opacity, "opacity")
        if not isinstance(words, list) or not words or not all(word.strip() for word in words):
            raise ValueError(f"Expected a list of words to write but got {words!r}; give at least one, none empty")
        if not all(FIRST <= ord(c) <= LAST for c in "".join(words)):
            raise ValueError(f"Expected words of printable ASCII but got {words!r}; the font has no others")
        if not 0 < least <= most <= 1:
            raise ValueError(
                f"Expected sizes 0 < low <= high <= 1 but got {least:g} and {most:g}; they are parts of the height"
            )
        if not 0 <= strongest <= 1:
            raise ValueError(f"Expected `opacity` in [0, 1] but got {strongest:g}; 1 hides what is below")
        super().__init__(
            {"text_opacity": 0.0, "text_word": 0.0, "text_size": least, "text_top": 0.5, "text_left": 0.5},
            {"text_opacity": 0.0, "text_word": 0.0, "text_size": least, "text_top": 0.0, "text_left": 0.0},
            {
                "text_opacity": strongest,
                "text_word": float(len(words)),
                "text_size": most,
                "text_top": 1.0,
                "text_left": 1.0,
            },
        )
        self.words = list(words)

    def _apply(self, images: Tensor, params: Params) -> Tensor:
        height, width = images.shape[2:]
        settled = {name: value.detach() for name, value in params.items()}
        written = []
        for i, image in enumerate(images):
            word = self.words[min(int(settled["text_word"][i]), len(self.words) - 1)]
            drawn = render(word, max(1, round(float(settled["text_size"][i]) * height)), width, height)
            cover, ink = torch.from_numpy(drawn).to(image)
            top = int(whole_place(settled["text_top"][i], height - cover.shape[0]))
            left = int(whole_place(settled["text_left"][i], width - cover.shape[1]))
            room = (left, width - left - cover.shape[1], top, height - top - cover.shape[0])
            cover, ink = (torch.nn.functional.pad(part, room) for part in (cover, ink))
            written.append(image + params["text_opacity"][i] * cover * (ink - image))
        return torch.stack(written)
