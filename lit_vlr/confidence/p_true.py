"""Asking the model whether its answer is right."""

from __future__ import annotations

import re

from torch import Tensor

from lit_vlr.confidence.base import Confidence
from lit_vlr.errors import UserError
from lit_vlr.models.base import IMAGE, Generated, ModelFamily
from lit_vlr.types import Batch

_PROMPT = """<image>
Question: {question}
Proposed answer: {answer}
Is the proposed answer:
(A) True
(B) False
The proposed answer is: ("""


class PTrue(Confidence):
    r"""Probability that the model calls its own answer right, in [0, 1]; one more pass, of one token.

    .. math:: \frac{p(\text{right})}{p(\text{right}) + p(\text{wrong})}

    The default prompt and its lettered options are the paper's, with the picture before them. Letters behind a bracket
    are single tokens in nearly every tokenizer, "yes" and "no" in most.

    Args:
        prompt: the whole text, with one ``<image>``, ``{question}`` and ``{answer}``; for a chat model with its roles.
        right: what the model says after the prompt if the answer is right; one token.
        wrong: what it says if it is wrong; one token.

    Raises:
        UserError: if the prompt lacks a field or the options are equal.

    Reference:
        Kadavath et al., Language Models (Mostly) Know What They Know, arXiv 2207.05221, section 4; without the
        further samples that the prompt may show.
    """

    def __init__(self, prompt: str = _PROMPT, right: str = "A", wrong: str = "B") -> None:
        super().__init__()
        if prompt.count(IMAGE) != 1 or "{question}" not in prompt or "{answer}" not in prompt:
            raise UserError(f"Expected `prompt` with one {IMAGE}, a {{question}} and an {{answer}} but got {prompt!r}")
        if right == wrong:
            raise UserError(f"Expected `right` and `wrong` to differ but both are {right!r}")
        self.prompt, self.right, self.wrong = prompt, right, wrong

    def check(self, family: ModelFamily) -> None:
        """Check that both options are single tokens of the family's tokenizer."""
        family.option_tokens(self.prompt, [self.right, self.wrong])

    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        prompts = [
            self.ask(sample.question, answer) for sample, answer in zip(batch.samples, generated.texts, strict=True)
        ]
        right, wrong = family.option_log_probs(batch, prompts, [self.right, self.wrong]).unbind(1)
        return (right - wrong).sigmoid()

    def ask(self, question: str, answer: str) -> str:
        """The prompt about one answer; fields and pictures that these texts name are text.

        >>> PTrue("<image>{question} {answer}. Right?", " yes", " no").ask("Is <image> {answer}?", "red")
        '<image>Is  {answer}? red. Right?'
        """
        fields = {"{question}": question.replace(IMAGE, ""), "{answer}": answer.replace(IMAGE, "")}
        return re.sub(r"\{question\}|\{answer\}", lambda found: fields[found.group()], self.prompt)
