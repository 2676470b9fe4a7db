import json
import sys
from importlib.util import find_spec

import torch

from benchmarks import attack_strength


def run(tmp_path, monkeypatch, known):
    monkeypatch.setattr(attack_strength, "find_spec", lambda name: find_spec("torch") if name in known else None)
    small = ["--samples=40", "--steps=4", "--queries=10", "--seeds=1", "--epochs=1", f"--out={tmp_path}"]
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["attack_strength", *small, f"--threads={threads}"])
    attack_strength.main()
    return json.loads((tmp_path / "attack_strength.json").read_text()), (tmp_path / "attack_strength.md").read_text()


def test_it_measures_what_is_there_and_says_what_is_not(tmp_path, monkeypatch):
    result, table = run(tmp_path, monkeypatch, known=())
    assert set(result["absent"]) == {"torchattacks", "autoattack"}
    assert "torchattacks is absent (pip install" in table
    found = {(row["norm"], row["attack"]): row for row in result["results"]}
    assert set(found) == {(n, a) for n in ("Linf", "L2") for a in ("APGD-CE", "APGD-DLR", "ensemble")}
    for row in result["results"]:
        assert 0 <= row["robust_accuracy"] <= result["clean_accuracy"]
        assert 0 < row["largest_radius"] <= row["eps"]
        assert row["outside"] == 0
        assert row["times_ours"] == {"median": 1.0, "min": 1.0}
    for norm in ("Linf", "L2"):
        alone = [found[norm, kind]["robust_accuracy"] for kind in ("APGD-CE", "APGD-DLR")]
        assert found[norm, "ensemble"]["robust_accuracy"] <= min(alone)


def test_the_judge_counts_rows_and_measures_the_radius():
    images, labels = attack_strength.digits()
    images, labels = images[:20] * 0.5, labels[:20]
    net = attack_strength.train(images, labels, epochs=1)

    def shifted(net, images, labels, seed):
        net(images[:5])
        return images + 0.25

    linf, l2 = (attack_strength.once(shifted, net, images, labels, 0, norm) for norm in ("Linf", "L2"))
    assert linf["radius"] == 0.25
    assert l2["radius"] == 0.25 * 16
    assert linf["passes_a_sample"] == 5 / 20
    assert linf["outside"] == 0
