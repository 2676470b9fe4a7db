"""The answer says what the intervals allow, and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lit_vlr.study.table import Table, make_table
from lit_vlr.study.words import answer
from tests.study._studies import scored


def columns(skill: float, attack: float, threshold: float, n: int = 200) -> dict[str, tuple]:
    """An arm whose confidence follows the truth; an attack turns the surest answers wrong, its confidence unmoved."""
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=n)
    right = rng.uniform(size=n) < skill * confidence + (1 - skill) / 3
    broken = rng.uniform(size=n) < attack
    return {
        "test": (confidence.tolist(), right.astype(float).tolist(), threshold),
        "test+pgd": (confidence.tolist(), (right & ~broken).astype(float).tolist(), threshold),
    }


def table_of(max_risk: float = 0.2, **arms: dict[str, tuple]) -> Table:
    names = dict.fromkeys(name for sets in arms.values() for name in sets)
    answered = {name: {arm: {0: scored(*sets[name])} for arm, sets in arms.items() if name in sets} for name in names}
    return make_table(answered, next(iter(arms)), max_risk, n_resamples=200)


SFT, ROBUST = columns(1.0, 0.7, 0.8), columns(1.0, 0.1, 0.8)


def test_a_robust_arm_is_called_more_robust_with_its_ratio() -> None:
    table = table_of(sft=SFT, robust=ROBUST)
    said = answer(table)
    ratio = next(one for one in table.arms if one.set == "test+pgd").ratios["aurc"]
    assert said[0].startswith("Under pgd on test, AURC is ")
    assert f"{ratio.value:.2f} times as much [{ratio.low:.2f}, {ratio.high:.2f}]." in said[0]
    assert said[1].startswith("On clean pictures, accuracy of “robust” is not shown to differ")
    assert said[2].endswith("its risk is lower.")
    assert "“robust” was chosen for" in said[3]


def test_a_difference_that_is_not_settled_is_not_claimed() -> None:
    said = answer(table_of(sft=SFT, twin=SFT))
    assert "that these pictures do not settle" in said[0]
    assert "times as much" not in said[0]
    assert said[2].endswith("whose risk is lower is not settled.")


def test_a_worse_arm_is_not_called_robust() -> None:
    said = answer(table_of(robust=ROBUST, sft=SFT))
    assert said[0].endswith("so that no arm was more robust.")
    assert said[2].endswith("its risk is higher.")


def test_the_best_of_several_is_said_to_be_picked() -> None:
    said = answer(table_of(sft=SFT, robust=ROBUST, twin=SFT))
    assert "for “robust” and" in said[0]
    assert "“robust” is the best of 2 arms, picked on these very pictures, which flatters it." in said[0]


def test_accuracy_that_is_lost_is_said() -> None:
    weak = {**columns(0.2, 0.0, 0.8), "test+pgd": ROBUST["test+pgd"]}
    assert "lower than that of “sft”" in answer(table_of(sft=SFT, weak=weak))[1]
    strong = {**ROBUST, "test": (SFT["test"][0], [1.0] * 200, 0.8)}
    assert "higher than that of “sft”" in answer(table_of(sft=SFT, strong=strong))[1]


def test_promises_are_judged_set_by_set() -> None:
    """Risk .2 was promised: under the attack 7 in 10 of the surest are wrong, clean ones one in ten or so."""
    said = answer(table_of(sft=ROBUST, other=SFT))[-1]
    assert "broken on test+pgd" in said
    kept = {"test": ([0.9] * 100, [1.0] * 100, 0.5), "test+pgd": SFT["test+pgd"]}
    kept["test+pgd"] = ([0.9] * 100, [1.0] * 100, 0.5)
    sft = {name: ([0.9] * 100, [0.0, 1.0] * 50, 0.5) for name in kept}
    assert "is kept on test, test+pgd." in answer(table_of(sft=sft, kept=kept))[-1]


def test_a_few_answers_that_are_all_alike_prove_nothing() -> None:
    """Every resample of three wrong answers is wrong throughout: an interval of no width, from three pictures."""
    few = {name: ([0.9] * 3, [0.0] * 3, 0.5) for name in SFT}
    sft = {name: ([0.9] * 3, [0.0, 1.0, 1.0], 0.5) for name in SFT}
    assert answer(table_of(sft=sft, few=few))[-1].endswith("is without enough answers to tell on test, test+pgd.")


def promise(right: int, max_risk: float, last: float = 1.0) -> str:
    """What is said of so many answers on a picture each, all right but for the last one."""
    kept = {name: ([0.9] * right, [1.0] * (right - 1) + [last], 0.5) for name in SFT}
    sft = {name: ([0.9] * right, [0.0] + [1.0] * (right - 1), 0.5) for name in SFT}
    return answer(table_of(max_risk, sft=sft, kept=kept))[-1].partition("chosen for ")[2]


def test_a_promise_takes_as_many_pictures_to_be_kept_as_would_prove_it() -> None:
    """.99^298 > .05 >= .99^299, and .9^28 > .05 >= .9^29; an interval with width is no proof either."""
    assert promise(40, 0.01) == promise(298, 0.01) == "is without enough answers to tell on test, test+pgd."
    assert promise(299, 0.01) == "is kept on test, test+pgd."
    assert promise(28, 0.1) == "is without enough answers to tell on test, test+pgd."
    assert promise(29, 0.1) == "is kept on test, test+pgd."
    assert promise(5, 0.1, 0.9) == "is without enough answers to tell on test, test+pgd."
    assert promise(14, 0.2) == "is kept on test, test+pgd."


def test_no_risk_at_all_is_a_promise_that_can_only_be_broken() -> None:
    assert promise(40, 0.0) == "is not settled on test, test+pgd."
    sft, wrong = ({name: ([0.9] * 40, [right] * 40, 0.5) for name in SFT} for right in (1.0, 0.0))
    assert answer(table_of(0.0, sft=sft, wrong=wrong))[-1].endswith("is broken on test, test+pgd.")


def test_of_several_attacks_the_one_that_was_picked_is_said_to_be() -> None:
    """What seems worst for the baseline is worse than it is, by chance alone."""
    sft, robust = ({**arm, "test+none": arm["test"], "ood+pgd": arm["test+pgd"]} for arm in (SFT, ROBUST))
    said = answer(table_of(sft=sft, robust=robust))
    assert said[0].endswith(
        "; of 2 attacks the one with the highest AURC of “sft” was picked on these very pictures, which flatters "
        "“robust”."
    )
    assert said[2].endswith(
        "; of 2 attacks the one with the highest risk of “sft” was picked on these very pictures, which flatters "
        "“robust”."
    )
    said = answer(table_of(sft=sft, robust=robust, twin=sft))[0]
    assert said.count("picked on these very pictures, which flatters") == 2
    worse = answer(table_of(robust=robust, sft=sft))[0]
    assert "so that no arm was more robust; of 2 attacks" in worse


def test_an_arm_of_which_nothing_is_settled_may_be_more_robust() -> None:
    """The best arm is settled to be worse than the baseline; a noisier one that looks worse still is not."""
    table = table_of(sft=ROBUST, worse=SFT, noisy=SFT)
    assert "so that no arm was more robust; “worse” is the best of 2 arms" in answer(table)[0]
    found = next(one for one in table.arms if (one.arm, one.set) == ("noisy", "test+pgd"))
    wide = found.differences["aurc"]._replace(value=0.9, low=-0.3)
    noisy = replace(found, differences={**found.differences, "aurc": wide})
    table = replace(table, arms=tuple(noisy if one is found else one for one in table.arms))
    assert "for “worse” and" in answer(table)[0]
    assert "so that none was shown to be more robust; “worse” is the best of 2 arms" in answer(table)[0]


def test_nothing_to_compare_is_said() -> None:
    assert "nothing can be said about robustness" in answer(table_of(sft={"test": SFT["test"]}))[0]
    assert answer(table_of(sft=SFT)) == [
        "No other arm was tested under pgd on test, so “sft” is compared with nothing."
    ]


def test_silence_is_said() -> None:
    quiet = {name: (*one[:2], 2.0) for name, one in SFT.items()}
    assert "“sft” answers nothing at its threshold" in answer(table_of(sft=quiet, robust=ROBUST))[2]
    assert answer(table_of(sft=SFT, quiet=quiet))[2].endswith("; “quiet” answers nothing.")
    assert "without enough answers to tell on test, test+pgd" in answer(table_of(sft=SFT, quiet=quiet))[3]
