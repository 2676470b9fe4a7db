import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lit_vlr.functional import augrc, augrc_loss, aurc, aurc_loss
from tests.functional._cases import GOLDEN, ROWS, columns
from tests.oracles import selective as oracle

QUICK = settings(max_examples=60, deadline=None)
TWINS = {"aurc": (aurc_loss, aurc), "augrc": (augrc_loss, augrc)}
twins = pytest.mark.parametrize(("loss", "metric"), TWINS.values(), ids=TWINS)
losses = pytest.mark.parametrize("loss", [aurc_loss, augrc_loss])


def area(metric, confidence, correctness):
    """The area by plain loops over all orders, also of losses outside of [0, 1]."""
    return oracle.aurc(confidence, correctness, "mean") if metric is aurc else oracle.augrc(confidence, correctness)


def test_rank_weights_golden():
    """Ascending confidence, four rows; printed to four digits."""
    expected = GOLDEN["losses"]["aurc_rank_weights_ascending_confidence_n4"]
    terms = aurc_loss([0.1, 0.2, 0.3, 0.4], torch.ones(4), reduction="none")
    assert terms.tolist() == pytest.approx(expected, abs=1e-4)


@twins
@QUICK
@given(rows=ROWS)
def test_value_is_that_of_the_metric(loss, metric, rows):
    confidence, correctness = columns(rows)
    value = loss(confidence, 1 - torch.tensor(correctness, dtype=torch.float64))
    torch.testing.assert_close(value, metric(confidence, correctness), rtol=0, atol=1e-12)


@twins
@QUICK
@given(rows=ROWS, seed=st.integers(0, 99))
def test_gradient_equals_oracle(loss, metric, rows, seed):
    """The area is linear in the losses: the derivative is the area of a unit loss in that row, over all tie orders."""
    confidence, _ = columns(rows)
    generator = random.Random(seed)
    value = torch.tensor([generator.random() * 5 for _ in rows], dtype=torch.float64, requires_grad=True)
    loss(confidence, value).backward()
    for row in range(len(rows)):
        unit = [0.0 if other == row else 1.0 for other in range(len(rows))]
        assert value.grad[row].item() == pytest.approx(area(metric, confidence, unit), abs=1e-12)


@twins
def test_gradient_reaches_parameters_through_the_losses_only(loss, metric):
    weight = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    inputs = torch.tensor([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0], [0.0, 2.0, 1.0]], dtype=torch.float64)

    def objective(weight):
        logits = inputs @ weight
        return loss(logits, torch.nn.functional.softplus(-logits))

    assert torch.autograd.gradcheck(objective, (weight,))
    confidence = torch.rand(3, requires_grad=True)
    assert not loss(confidence, torch.rand(3)).requires_grad


@losses
def test_none_gives_the_terms_of_the_mean(loss):
    confidence, values = torch.rand(17), torch.rand(17)
    terms = loss(confidence, values, reduction="none")
    assert terms.shape == (17,)
    torch.testing.assert_close(terms.mean(), loss(confidence, values))


@losses
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_weights_are_those_of_the_batch_that_came(loss, batch_size):
    """All losses equal: every area of a constant is that constant (AURC), or half of it (AUGRC), at every size."""
    value = loss(torch.rand(batch_size), torch.full((batch_size,), 0.8))
    assert value.item() == pytest.approx(0.8 if loss is aurc_loss else 0.4)


@losses
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_that_of_the_losses(loss, dtype):
    value = loss(torch.rand(4), torch.ones(4, dtype=dtype))
    assert value.dtype == dtype


@losses
def test_wrong_arguments_are_refused(loss):
    with pytest.raises(TypeError, match=r"`loss` to be a floating-point tensor but got torch\.int64"):
        loss([0.5], torch.tensor([1]))
    with pytest.raises(TypeError, match="`loss` to be a floating-point tensor but got list"):
        loss([0.5], [1.0])
    with pytest.raises(ValueError, match="`loss` and `confidence` of one length but got 2 and 1"):
        loss([0.5], torch.ones(2))
    with pytest.raises(ValueError, match="`confidence` without NaN"):
        loss([float("nan")], torch.ones(1))
    with pytest.raises(ValueError, match=r"`reduction` to be one of \['mean', 'none'\] but got 'sum'"):
        loss([0.5], torch.ones(1), reduction="sum")
