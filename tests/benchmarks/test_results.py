"""The study behind the README's figures runs the command lines that it says."""

from __future__ import annotations

from pathlib import Path

from scripts.results import plan_of


def test_command_lines_of_the_results() -> None:
    plan = plan_of(Path("out"), [0, 1])
    assert [cell.name for cell in plan.cells] == [
        *("base-0", "standard-0", "adversarial-0"),
        *("standard-1", "adversarial-1"),
    ]
    files = ("base", "model/tiny_llava", "data/scenes", "objective/sft", "attack/linf_pgd", "experiment/results")
    given = [part for name in files for part in ("--config", f"configs/{name}.yaml")]
    given += ["--seed_everything=1", "--data.init_args.order_seed=1", "--trainer.default_root_dir=out/adversarial-1"]
    cell = plan.cells[-1]
    assert cell.verbs == ("fit", "test")
    assert cell.arguments("fit") == ["fit", *given]
    assert cell.arguments("test") == ["test", *given, "--ckpt_path=out/adversarial-1/checkpoints/last.ckpt"]
    assert plan.cells[0].verbs == ("test",)
