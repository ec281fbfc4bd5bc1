"""Which models the contract tests build: every ``*_test`` size with every registered neuron."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnkit.models import Backbone, create_model, list_models, list_neurons

MODELS = list_models("*_test")
PAIRS = [pytest.param(m, n, id=f"{m}-{n}") for m in MODELS for n in list_neurons()]

# what a plain name does not say: Izhikevich neurons count in mV, GLIF has a gate for each of T steps
NEEDED: dict[str, dict[str, Any]] = {"izhikevich": {"input_scale": 50.0}, "glif": {"T": 8}}

every_model = pytest.mark.parametrize("model", MODELS)
every_pair = pytest.mark.parametrize(("model", "neuron"), PAIRS)


def spec(neuron: Any) -> Any:
    """The argument ``neuron`` of a model, for a registered name."""
    needed = NEEDED.get(neuron) if isinstance(neuron, str) else None
    return {"name": neuron, **needed} if needed else neuron


def events(steps: int, batch: int, size: int = 16) -> Tensor:
    """Sparse counts, as event frames are."""
    return torch.poisson(0.3 * torch.ones(steps, batch, 2, size, size))


@cache
def _calibrated(model: str, neuron: str) -> dict[str, Tensor]:
    """Weights whose batch norms have seen data, so that neurons deep in the network fire."""
    torch.manual_seed(1)
    net = create_model(model, neuron=spec(neuron))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.5, 3.0)
            nn.init.uniform_(module.bias, 0.0, 0.8)
            module.momentum = None  # plain average over the batches below
    with torch.no_grad():
        for _ in range(4):
            net(events(4, 8))
    return net.state_dict()


def build(model: str, neuron: Any = "lif", **settings: Any) -> Backbone:
    """A model in evaluation mode with lively weights."""
    net = create_model(model, neuron=spec(neuron), **settings)
    own, lively = net.state_dict(), _calibrated(model, neuron)
    # a read-out by votes has a wider head of its own
    net.load_state_dict({k: lively[k].clone() if lively[k].shape == v.shape else v for k, v in own.items()})
    return net.eval()
