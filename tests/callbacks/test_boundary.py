"""lit_vlr_callbacks can be lifted into any Lightning project: it needs none of our model code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import lit_vlr_callbacks

SCRIPT = """
import importlib, importlib.metadata, pkgutil, sys

BLOCKED = {"transformers", "peft", "bitsandbytes", "lit_vlr"}
ABSENT = {"sklearn"}  # which torch looks for: it must find nothing, not an error
sys.modules |= dict.fromkeys(ABSENT)

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

def from_name(name, found=importlib.metadata.Distribution.from_name):
    if name in BLOCKED:  # torchmetrics imports transformers where its metadata says that it is installed
        raise importlib.metadata.PackageNotFoundError(name)
    return found(name)

importlib.metadata.Distribution.from_name = from_name
sys.meta_path.insert(0, Wall())
import lit_vlr_callbacks

for module in pkgutil.walk_packages(lit_vlr_callbacks.__path__, "lit_vlr_callbacks."):
    importlib.import_module(module.name)
assert not BLOCKED & set(sys.modules), BLOCKED & set(sys.modules)
from lit_vlr_callbacks.png import reloaded

import torch
from lit_vlr_callbacks.attacks import PGD
from lit_vlr_callbacks.perturbations import Compose, Linf, Rotate

attack = PGD(Compose([Linf("8/255"), Rotate()]))
result = attack.attack(lambda x: x.flatten(1).sum(1), torch.rand(2, 3, 8, 8))
print("steps", result.steps)
"""


def test_works_where_the_model_libraries_are_blocked() -> None:
    root = Path(lit_vlr_callbacks.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "HOME": str(Path.home())},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "steps 4"


ALLOWED = {"torch", "lightning", "kornia", "torchmetrics", "numpy", "lit_vlr_callbacks"} | sys.stdlib_module_names


def imports(path: Path) -> set[str]:
    """Whatever a file imports, anywhere in it: the first part of each name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add((node.module or "").split(".")[0])
    return found


def test_nothing_else_is_imported_anywhere() -> None:
    root = Path(lit_vlr_callbacks.__file__).parent
    others = {path.name: more for path in sorted(root.rglob("*.py")) if (more := imports(path) - ALLOWED)}
    assert others == {}


def test_public_names() -> None:
    assert set(lit_vlr_callbacks.__all__) == {
        "AdversarialEvaluation",
        "AdversarialTraining",
        "AttackVerdict",
        "Candidates",
        "IsolatedBatches",
        "SupportsAbstentionAttack",
        "SupportsAttack",
        "SupportsLogits",
        "SurrogateLoss",
        "attack_batch",
        "check_attack",
    }
    for package in (
        lit_vlr_callbacks,
        lit_vlr_callbacks.attacks,
        lit_vlr_callbacks.perturbations,
        lit_vlr_callbacks.training,
    ):
        assert all(hasattr(package, name) for name in package.__all__)
