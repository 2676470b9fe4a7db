"""AURC and AUGRC of generated answers: the expected soft accuracy, exactly, and what is made of it."""

from __future__ import annotations

import pytest
import torch

from lit_vlr.confidence import SequenceProbability
from lit_vlr.errors import UserError
from lit_vlr.functional import vqa_accuracy
from lit_vlr.objectives import SFT, AUGRCObjective, AURCObjective
from lit_vlr.objectives.judging import expected_accuracy
from lit_vlr.objectives.rank_weighted import greedy_log_probability
from tests._tiny import batch, family


@pytest.fixture(scope="module")
def asked():
    made = family(bits=16).eval()
    return made, batch(made, 8)


def by_enumeration(made, rows) -> torch.Tensor:
    """Every annotator's answer as the target of a pass of its own."""
    found = []
    for sample in rows.samples:
        total = torch.zeros(())
        for answer in sorted(set(sample.answers)):
            output = made(made.collate([sample], [answer]))
            log_probs = output.answer_logits.log_softmax(-1).gather(1, output.answer_labels[:, None])
            total = total + log_probs.sum().exp() * float(vqa_accuracy(answer, sample.answers, dialect="no_skip"))
        found.append(total)
    return torch.stack(found)


def test_the_expected_accuracy_is_the_sum_over_what_annotators_said(asked) -> None:
    made, rows = asked
    assert {len(set(sample.answers)) for sample in rows.samples} > {1}
    weight = next(p for n, p in made.named_parameters() if "lora_B" in n)
    found, expected = expected_accuracy(made, rows, "no_skip"), by_enumeration(made, rows)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)
    grads = [torch.autograd.grad(value.sum(), weight)[0] for value in (found, expected)]
    torch.testing.assert_close(*grads, atol=1e-6, rtol=1e-3)
    assert grads[0].any()


@pytest.mark.parametrize("kind", [AURCObjective, AUGRCObjective])
def test_it_is_weighed_by_rank_beside_the_anchor_after_cross_entropy(asked, kind) -> None:
    made, rows = asked
    objective = kind(anchor=0.25, after=2)
    objective.prepare(made, SequenceProbability())
    output = made(rows)
    plain = SFT()(output, rows)
    for _ in range(2):  # the limit that it starts from
        assert torch.equal(objective(output, rows), plain)
    weights = objective.weights(greedy_log_probability(output, len(rows))).float()
    expected = weights * (1 - expected_accuracy(made, rows, "no_skip")) + 0.25 * plain
    torch.testing.assert_close(objective(output, rows), expected)
    again = kind(anchor=0.25, after=2)
    again.load_state_dict(objective.state_dict())
    assert int(again.seen) == 3
    objective.eval()
    objective(output, rows)
    assert int(objective.seen) == 3


def test_errors() -> None:
    with pytest.raises(ValueError, match="Expected `risk` to be one of"):
        AURCObjective(risk="rank")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`anchor`"):
        AURCObjective(anchor=-1)
    with pytest.raises(UserError, match="Expected `after` of at least 0"):
        AUGRCObjective(after=-1)
