"""Which models the contract tests build: every ``*_test`` size with every registered neuron."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from snnkit.models import Backbone, create_model, list_models, list_neurons
from snnkit.neurons import make_neuron

MODELS = list_models("*_test")
PAIRS = [pytest.param(m, n, id=f"{m}-{n}") for m in MODELS for n in list_neurons()]

every_model = pytest.mark.parametrize("model", MODELS)
every_pair = pytest.mark.parametrize(("model", "neuron"), PAIRS)


def events(steps: int, batch: int, size: int = 16) -> Tensor:
    """Sparse counts, as event frames are."""
    return torch.poisson(0.3 * torch.ones(steps, batch, 2, size, size))


def unsaturated(model: str, neuron: str) -> dict[str, float]:
    """A scale for attention made for sparse spikes, where three large or dense outputs are multiplied."""
    made = make_neuron(neuron)
    dense = made.spike_levels is None and not made.signed  # nowhere 0, near 1 with lateral coupling
    counts = (made.spike_levels or 1) > 1
    return {"scale": 0.125 / 64} if (counts or dense) and model.startswith("spikformer") else {}


@cache
def _calibrated(model: str, neuron: str) -> dict[str, Tensor]:
    """Weights whose batch norms have seen data, so that neurons deep in the network fire."""
    torch.manual_seed(1)
    net = create_model(model, neuron=neuron)
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
    net = create_model(model, neuron=neuron, **settings)
    own, lively = net.state_dict(), _calibrated(model, neuron)
    # a read-out by votes has a wider head of its own
    net.load_state_dict({k: lively[k].clone() if lively[k].shape == v.shape else v for k, v in own.items()})
    return net.eval()
