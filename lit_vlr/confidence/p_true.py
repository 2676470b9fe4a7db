"""Asking the model whether its answer is right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from lit_vlr.confidence.base import Confidence, scores_of_candidates
from lit_vlr.confidence.normalized_probability import normalized_probability
from lit_vlr.errors import UserError
from lit_vlr.functional._validation import check_number
from lit_vlr.models.base import IMAGE, Generated, ModelFamily
from lit_vlr.models.second_adapter import is_of_adapter
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

    .. math:: p_\text{true} = \frac{p(\text{right})}{p(\text{right}) + p(\text{wrong})}, \qquad
        \text{score} = p_\text{true}^{\alpha} \cdot \bar p^{\,1 - \alpha}

    with the normalised probability :math:`\bar p` of the answer (`NormalizedProbability`), which counts where
    :math:`\alpha < 1`.

    The default prompt and its lettered options are Kadavath's, with the picture before them. Letters behind a bracket
    are single tokens in nearly every tokenizer, "yes" and "no" in most.

    A model that was not taught to judge itself may know nothing of it. The objectives `SelfEvaluation` and `RTuning`
    teach it with this very prompt.

    Args:
        prompt: the whole text, with one ``<image>``, ``{question}`` and ``{answer}``; for a chat model with its roles.
        right: what the model says after the prompt if the answer is right; one token.
        wrong: what it says if it is wrong; one token.
        adapter: the name of an adapter of its own that judges, beside the one that answers; the objective
            `SelfEvaluation` trains it. None judges with the model as it answers.
        share: :math:`\alpha`, in [0, 1]; 1 asks the model alone.

    Raises:
        UserError: if the prompt lacks a field or the options are equal.
        ValueError: if the share is out of range.

    Reference:
        Kadavath et al., Language Models (Mostly) Know What They Know, arXiv 2207.05221, section 4; without the
        further samples that the prompt may show. Chen et al., "Adaptation with Self-Evaluation to Improve Selective
        Prediction in LLMs", Findings of EMNLP 2023, section 4, for the adapter and the share.
    """

    taught_by = "self_evaluation"

    def __init__(
        self, prompt: str = _PROMPT, right: str = "A", wrong: str = "B", adapter: str | None = None, share: float = 1.0
    ) -> None:
        super().__init__()
        if prompt.count(IMAGE) != 1 or "{question}" not in prompt or "{answer}" not in prompt:
            raise UserError(f"Expected `prompt` with one {IMAGE}, a {{question}} and an {{answer}} but got {prompt!r}")
        if right == wrong:
            raise UserError(f"Expected `right` and `wrong` to differ but both are {right!r}")
        self.prompt, self.right, self.wrong, self.adapter = prompt, right, wrong, adapter
        self.share = check_number("share", share, 0, 1, "1 asks the model alone")

    def check(self, family: ModelFamily) -> None:
        """Check that both options are single tokens of the family's tokenizer."""
        family.option_tokens(self.prompt, [self.right, self.wrong])

    def prepare(self, family: ModelFamily) -> None:
        """Add the adapter, where it has one of its own."""
        if self.adapter is not None:
            family.add_adapter(self.adapter)

    @property
    def learns(self) -> bool:
        """An adapter of its own does; without one it can be taught and need not be."""
        return self.adapter is not None

    def trains_in_family(self, parameter: str) -> bool:
        """The parameters of an adapter of its own are."""
        return self.adapter is not None and is_of_adapter(parameter, self.adapter)

    @torch.no_grad()
    def forward(self, generated: Generated, family: ModelFamily, batch: Batch, max_new_tokens: int) -> Tensor:
        """The confidence of each answer, (B,)."""
        true = self.log_odds(generated.texts, family, batch).sigmoid()
        if self.share == 1:
            return true
        likely = normalized_probability(generated.token_log_probs, generated.token_mask)
        return true.pow(self.share) * likely.pow(1 - self.share)

    def candidate_scores(self, family: ModelFamily, batch: Batch, answers: Sequence[Sequence[Sequence[int]]]) -> Tensor:
        """Log of the confidence in the likeliest answer, less for others by as much as they are less likely, (B, K).

        The likeliest of them is what would be given, so it alone is asked about: two passes.
        """
        likely = family.answer_log_probs(batch, answers)
        chosen = [row[k] for row, k in zip(answers, likely.argmax(1).tolist(), strict=True)]
        odds = self.log_odds([family.answer_text(tokens) for tokens in chosen], family, batch)
        lengths = torch.tensor([len(tokens) for tokens in chosen], device=likely.device)
        typical = likely.amax(1) / lengths
        score = self.share * torch.nn.functional.logsigmoid(odds) + (1 - self.share) * typical
        return scores_of_candidates(score, likely)

    def log_odds(self, answers: Sequence[str], family: ModelFamily, batch: Batch) -> Tensor:
        """Log of p(right) / p(wrong) of an answer a row, (B,), float32, with gradients.

        Gradients reach the adapter of its own and the pictures, or the whole model where it has none.
        """
        prompts = [self.ask(sample.question, answer) for sample, answer in zip(batch.samples, answers, strict=True)]
        with nullcontext() if self.adapter is None else family.adapter(self.adapter):
            right, wrong = family.option_log_probs(batch, prompts, [self.right, self.wrong]).unbind(1)
        return right - wrong

    def ask(self, question: str, answer: str) -> str:
        """The prompt about one answer; fields and pictures that these texts name are text.

        >>> PTrue("<image>{question} {answer}. Right?", " yes", " no").ask("Is <image> {answer}?", "red")
        '<image>Is  {answer}? red. Right?'
        """
        fields = {"{question}": question.replace(IMAGE, ""), "{answer}": answer.replace(IMAGE, "")}
        return re.sub(r"\{question\}|\{answer\}", lambda found: fields[found.group()], self.prompt)
