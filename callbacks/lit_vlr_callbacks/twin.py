"""A second self of a LightningModule, whose steps can run without being noticed by the first."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn
from torchmetrics import Metric, MetricCollection


def twin(module: LightningModule, rename: Callable[[str], str], metrics: dict[str, nn.Module]) -> LightningModule:
    """The same layers and weights under a module with metrics of its own, which logs under other names.

    Lists, dictionaries and sets of the module are copied too, not what is in them: a step that collects its outputs in
    a list fills that of the twin. What the twin logs, the module logs.

    Args:
        module: the module, in a Trainer.
        rename: of a logged name.
        metrics: the copies of its metrics by their place in it; those that are missing are added. Lightning holds on
            to the metric that was logged first, so a second twin has to get those of the first.
    """
    other = _with_metrics(module, "", metrics)
    assert isinstance(other, LightningModule)
    for name, value in vars(other).items():
        if isinstance(value, (list, dict, set)):
            vars(other)[name] = copy.copy(value)
    other.trainer = module.trainer
    places: dict[int, str] = {}  # known once a metric is logged

    def log(name: str, value: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Lightning's own
        if isinstance(value, Metric):
            if not places:
                places.update({id(child): place for place, child in other.named_modules() if isinstance(child, Metric)})
            kwargs.setdefault("metric_attribute", places.get(id(value)))
        module.log(rename(name), value, *args, **kwargs)

    vars(other)["log"] = log  # `log_dict` comes through here as well
    return other


def _with_metrics(module: nn.Module, place: str, metrics: dict[str, nn.Module]) -> nn.Module:
    """The module itself where it holds no metric; else a shallow copy around the copies of its metrics."""
    if isinstance(module, (Metric, MetricCollection)):
        if place not in metrics:
            metrics[place] = copy.deepcopy(module)
        return metrics[place]
    if place and not any(isinstance(child, Metric) for child in module.modules()):
        return module
    other = copy.copy(module)
    other._modules = {
        name: child if child is None else _with_metrics(child, f"{place}.{name}".lstrip("."), metrics)
        for name, child in module._modules.items()
    }
    return other
