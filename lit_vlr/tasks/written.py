"""Tasks as JSON: what a set of shards, or a manifest, keeps of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lit_vlr import tasks
from lit_vlr.errors import UserError
from lit_vlr.types import AnswerMetric, Task


def task_to_json(task: Task | None) -> dict[str, Any] | None:
    """A task by the name and the settings of its metric.

    Raises:
        UserError: if the metric is none of `lit_vlr.tasks`, which is where `task_from_json` looks for it.

    >>> task_to_json(Task(tasks.ExactMatch("gqa"), max_new_tokens=4))["metric"]
    {'name': 'ExactMatch', 'normalization': 'gqa'}
    """
    if task is None:
        return None
    metric: Any = task.metric
    name = type(metric).__name__
    if getattr(tasks, name, None) is not type(metric):
        raise UserError(f"Expected a metric of lit_vlr.tasks but got {metric!r}; only these can be written to a file")
    return {
        "metric": {"name": name, **asdict(metric)},
        "prompt": task.prompt,
        "max_new_tokens": task.max_new_tokens,
    }


def task_from_json(row: dict[str, Any] | None) -> Task | None:
    """What `task_to_json` wrote.

    Raises:
        UserError: if it is anything else.
    """
    if row is None:
        return None
    try:
        settings = dict(row["metric"])
        known = {name: made for name in tasks.__all__ if isinstance(made := getattr(tasks, name), type)}
        metric = known[settings.pop("name")](**settings)
        task = Task(metric, str(row["prompt"]), int(row["max_new_tokens"]))
    except (LookupError, TypeError, ValueError) as error:
        raise UserError(f"Expected a task with metric, prompt and max_new_tokens but got {str(row)[:200]}") from error
    if not isinstance(metric, AnswerMetric):
        raise UserError(f"Expected a metric of lit_vlr.tasks but got {metric!r}")
    return task
