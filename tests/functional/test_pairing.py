import pytest
from hypothesis import given
from hypothesis import strategies as st

from lit_vlr.functional import pair_by_id


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.randoms())
def test_order_does_not_matter(ids, random):
    shuffled = random.sample(ids, len(ids))
    pairs = pair_by_id([(uid, uid.upper()) for uid in shuffled], [(uid, uid.lower()) for uid in ids])
    assert pairs == [(uid, uid.upper(), uid.lower()) for uid in ids]


@pytest.mark.parametrize(
    ("predictions", "references", "error", "message"),
    [
        ([], [], ValueError, "`references` with at least one sample but got none"),
        ([("a", 1), ("a", 1)], [("a", 1)], ValueError, r"id of `predictions` once but got 1 \('a'\) more than once"),
        ([("a", 1)], [("a", 1), ("a", 2)], ValueError, r"id of `references` once but got 1 \('a'\)"),
        ([], [("a", 1)], ValueError, r"ids of `references` but got 1 \('a'\) missing and 0 too many; score"),
        ([("a", 1), ("b", 1)], [("a", 1)], ValueError, r"0 missing and 1 \('b'\) too many"),
        ([], [(c, 1) for c in "abcdefg"], ValueError, r"7 \('a', 'b', 'c', 'd', 'e', …\) missing"),
        ([(7, 1)], [("7", 1)], TypeError, "ids of `predictions` to be strings but got 7; convert"),
        ([([], 1)], [("7", 1)], TypeError, r"ids of `predictions` to be strings but got \[\]"),
        ([("7", 1)], [(None, 1)], TypeError, "ids of `references` to be strings but got None"),
    ],
)
def test_wrong_ids_are_refused(predictions, references, error, message):
    with pytest.raises(error, match=message):
        pair_by_id(predictions, references)
