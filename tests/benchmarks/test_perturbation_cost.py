import json
import sys

import lit_vlr_callbacks.perturbations as exported
from benchmarks import perturbation_cost
from lit_vlr_callbacks.perturbations import Perturbation


def test_it_measures_whatever_is_exported(tmp_path, monkeypatch):
    arguments = ["--batch=2", "--side=56", "--repeats=2", f"--out={tmp_path / 'x.json'}"]
    monkeypatch.setattr(sys, "argv", ["perturbation_cost", *arguments])
    perturbation_cost.main()
    result = json.loads((tmp_path / "x.json").read_text())
    measured = {row["perturbation"] for row in result["results"]}
    kinds = {name: getattr(exported, name) for name in exported.__all__}
    known = {n for n, k in kinds.items() if isinstance(k, type) and issubclass(k, Perturbation)} - {"Perturbation"}
    assert measured | set(result["left_out"]) == known | {perturbation_cost.UNIT, perturbation_cost.PEER}
    assert result["left_out"] == {"Compose": "needs perturbations"}
    assert "| L2 | yes |" in (tmp_path / "x.md").read_text()
    assert "| Jpeg | searched |" in (tmp_path / "x.md").read_text()
    assert all(row["milliseconds"] > 0 for row in result["results"])
    unit = next(row for row in result["results"] if row["perturbation"] == perturbation_cost.UNIT)
    assert unit[f"times_{perturbation_cost.UNIT}"] == {"median": 1.0, "min": 1.0, "max": 1.0}


def test_a_new_perturbation_is_found(monkeypatch):
    class Fog(exported.Brightness):
        differentiable = False

    monkeypatch.setattr(exported, "Fog", Fog, raising=False)
    monkeypatch.setattr(exported, "__all__", [*exported.__all__, "Fog"])
    assert isinstance(perturbation_cost.discover()[0]["Fog"], Fog)
    rows = perturbation_cost.measure(1, 56, 1)
    assert next(row for row in rows if row["perturbation"] == "Fog")["differentiable"] is False
