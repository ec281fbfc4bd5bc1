"""Which models the contract tests build: every ``*_test`` size with every registered neuron."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import pytest
import torch
from _pytest.mark import ParameterSet
from torch import Tensor, nn

from snnkit.errors import StreamError
from snnkit.layers import FiringRate, RepConv
from snnkit.models import MODELS as MODEL_REGISTRY
from snnkit.models import Backbone, create_model, list_models, list_neurons
from snnkit.neurons import NEURONS, NeuronFactory
from snnkit.neurons.psn import ParallelNeuron
from snnkit.sequence import Stateful, stream

MODELS = list_models("*_test")
# By default every neuron goes through every test in the smallest model of each residual kind, LIF in all;
# the whole matrix is slow.
ALL_NEURONS = {"sdt_test", "spikformer_test"}


def _pair(model: str, neuron: str) -> ParameterSet:
    marks = () if neuron == "lif" or model in ALL_NEURONS else pytest.mark.slow
    return pytest.param(model, neuron, id=f"{model}-{neuron}", marks=marks)


PAIRS = [_pair(m, n) for m in MODELS for n in list_neurons()]

# what a plain name does not say: Izhikevich neurons count in mV
NEEDED: dict[str, dict[str, Any]] = {"izhikevich": {"input_scale": 50.0}}

every_model = pytest.mark.parametrize("model", MODELS)
compiled_model = pytest.mark.parametrize(
    "model", [m if m in ALL_NEURONS else pytest.param(m, marks=pytest.mark.slow) for m in MODELS]
)
every_pair = pytest.mark.parametrize(("model", "neuron"), PAIRS)
# graphs take seconds each; every neuron is exported alone in its own contract tests
exported_pair = pytest.mark.parametrize(
    ("model", "neuron"),
    [
        pytest.param(m, n, id=f"{m}-{n}", marks=() if m in ALL_NEURONS and n == "lif" else pytest.mark.slow)
        for m in MODELS
        for n in list_neurons()
    ],
)


def events(steps: int, batch: int, size: int = 16) -> Tensor:
    """Sparse counts, as event frames are."""
    return torch.poisson(0.3 * torch.ones(steps, batch, 2, size, size))


def unsaturated(model: str, neuron: str) -> dict[str, float]:
    """A scale for attention made for sparse spikes, where three large or dense outputs are multiplied."""
    made = NeuronFactory(spec(neuron, 4))("mlp1", 4)
    dense = made.spike_levels is None and not made.signed  # nowhere 0, near 1 with lateral coupling
    counts = (made.spike_levels or 1) > 1
    return {"scale": 0.125 / 64} if (counts or dense) and model.startswith("spikformer") else {}


def spec(neuron: Any, steps: int) -> Any:
    """The argument ``neuron`` of a model: a name, with what that neuron needs, as a fixed number of steps."""
    if not isinstance(neuron, str):
        return neuron
    fixed = {"T": steps} if "T" in inspect.signature(NEURONS.get(neuron)).parameters else {}
    needed = NEEDED.get(neuron, {}) | fixed
    return {"name": neuron, **needed} if needed else neuron


def streams(net: Backbone) -> bool:
    """Whether every neuron is causal; a network in which one is not is shown to refuse."""
    if all(module.causal for module in net.modules() if isinstance(module, Stateful)):
        return True
    with pytest.raises(StreamError, match="needs the whole sequence"):
        stream(net)
    return False


@cache
def _calibrated(model: str, neuron: str, steps: int) -> dict[str, Tensor]:
    """Weights whose batch norms have seen data, so that neurons deep in the network fire."""
    if steps != 4 and spec(neuron, steps) == spec(neuron, 4):
        return _calibrated(model, neuron, 4)
    torch.manual_seed(1)
    net = create_model(model, neuron=spec(neuron, steps))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.5, 3.0)
            nn.init.uniform_(module.bias, 0.0, 0.8)
            module.momentum = None  # plain average over the batches below
        elif isinstance(module, ParallelNeuron):
            reach = module.k if hasattr(module, "k") else module.T
            # a weighted mean of the inputs: with random signs, many neurons would never or always fire
            nn.init.uniform_(module.weight, 0.4 / reach, 1.6 / reach)
    with torch.no_grad():
        for _ in range(4):
            net(events(steps, 8))
    return net.state_dict()


def accepts(model: str, setting: str) -> bool:
    """Whether the family of the model has that setting of its own."""
    return setting in inspect.signature(MODEL_REGISTRY.get(model)).parameters


def hold_running_values(net: nn.Module) -> None:
    """RepConv and DSSA read running values in training, which a second forward moves again."""
    for module in net.modules():
        if isinstance(module, RepConv):
            module.inner_norm.momentum = 0.0
        elif isinstance(module, FiringRate):
            module.momentum = 1.0


@cache
def shared(model: str, **settings: Any) -> Backbone:
    """As :func:`build` with LIF neurons, once for all tests that neither train nor change it."""
    return build(model, **settings)


def build(model: str, neuron: Any = "lif", steps: int = 4, **settings: Any) -> Backbone:
    """A model in evaluation mode with lively weights; ``steps`` is for neurons with a fixed number."""
    net = create_model(model, neuron=spec(neuron, steps), **settings)
    own, lively = net.state_dict(), _calibrated(model, neuron, steps)
    # a read-out by votes has a wider head of its own
    net.load_state_dict({k: lively[k].clone() if lively[k].shape == v.shape else v for k, v in own.items()})
    return net.eval()
