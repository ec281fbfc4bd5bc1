"""What is known about every registered model, in one table: ``snnkit models`` and docs/models.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import TokenTimeHead
from .backbone import Backbone
from .point_model import PointModel
from .registry import create_model, list_models, model_info

__all__ = ["ModelRow", "macs_per_step", "model_table"]


POINTS = 1024  # of the clouds at which models of clouds are counted


@dataclass(frozen=True)
class ModelRow:
    """One line of the table.

    Attributes:
        name: of the model. input: ``"T x C x H x W"``, or "T x points x C", at which it was counted.
        parameters: number of them. macs: multiply-adds per step of convolutions and classifier, without
            products of the attention, unfused.
        accuracy, source, paper: published, see :class:`snnkit.models.ModelInfo`.
    """

    name: str
    input: str
    parameters: int
    macs: int
    accuracy: str
    source: str
    paper: str


def model_table(pattern: str = "*") -> list[ModelRow]:
    """Rows of the sizes whose names match a shell-style pattern, without the micro sizes for tests."""
    return [_row(name) for name in list_models(pattern) if not name.endswith(("_test", "_micro"))]


def macs_per_step(net: nn.Module, x: Tensor) -> int:
    """Multiply-adds of all convolutions and linear layers for ``x [T, B, ...]``, per step and sample."""
    total = 0

    def count(module: nn.Module, _: Any, out: Tensor) -> None:
        nonlocal total
        weight = module.weight
        assert isinstance(weight, Tensor)
        total += out.numel() * weight[0].numel()

    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad():
            net(x)
    finally:
        for handle in handles:
            handle.remove()
    return total // (x.shape[0] * x.shape[1])


def _row(name: str) -> ModelRow:
    with torch.device("meta"):  # shapes only, no memory
        net: nn.Module = create_model(name).eval()
        if isinstance(net, Backbone):
            size = net.img_size
            steps = net.T if isinstance(net.head, TokenTimeHead) else 1  # costs of a step do not depend on T
            macs = macs_per_step(net, torch.empty(steps, 1, net.in_channels, size, size))
            shape: tuple[object, ...] = (net.T, net.in_channels, size, size)
    if isinstance(net, PointModel):  # which points are neighbours needs values
        net = create_model(name).eval()
        assert isinstance(net, PointModel)
        cloud = torch.rand(net.T, 1, POINTS, net.in_channels, generator=torch.Generator().manual_seed(0))
        macs = macs_per_step(net, cloud)
        shape = (net.T, f"{POINTS} points", net.in_channels)
    info = model_info(name)
    return ModelRow(
        name,
        " x ".join(map(str, shape)),
        sum(p.numel() for p in net.parameters()),
        macs,
        info.accuracy,
        info.source,
        info.paper,
    )
