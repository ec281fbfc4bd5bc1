"""Every neuron and every family of models of the project is counted whole: nothing listed, nothing warned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnkit
from snnkit.energy import trace
from snnkit.errors import ConfigError
from snnkit.models import MODELS, create_model
from snnkit.neurons import NEURONS

T, B, N = 4, 3, 8


class Net(nn.Module):
    def __init__(self, neuron):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.neuron, self.last = nn.Linear(6, N), neuron, nn.Linear(N, 2)

    def forward(self, x):
        return self.last(self.neuron(4 * self.first(x)))


def build(name):
    for needed in ({}, {"channels": N}, {"T": T}):
        try:
            return snnkit.make_neuron(name, **needed)
        except (ConfigError, TypeError) as error:
            missing = error
    raise missing


@pytest.mark.parametrize("name", NEURONS.names())
def test_neurons(name):
    neuron = build(name)
    x = (torch.rand(T, B, 6, generator=torch.Generator().manual_seed(0)) < 0.5).float()
    result = trace(Net(neuron).eval(), x)
    assert (result.T, result.samples) == (T, B)
    assert (result.uncounted, result.warnings) == ([], [])
    own = result.by_layer["neuron"]
    assert own.neuron_steps == T * B * N
    assert own.muls == own.adds == own.cmps == 0  # its declared cost stands for them
    sent = next(r for r in result.records if r.path == "last").a
    if neuron.spike_levels is None:
        assert sent.name == "real"
    else:
        assert sent.is_event
        assert sent.levels <= neuron.spike_levels
        assert own.spikes == result.by_layer["last"].nnz_in


@pytest.mark.parametrize("name", [n for n in MODELS.names() if n.endswith("_test")])
def test_models(name):
    net = create_model(name).eval()
    x = (torch.rand(T, 2, net.in_channels, 16, 16) < 0.3).float()
    with torch.no_grad():
        result = trace(net, x)
    assert (result.T, result.samples, result.uncounted) == (T, 2, [])
    slots = sum(
        m.weight.numel() for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d))
    )
    assert result.total.dense > T * 2 * slots  # every weight is used in every step
    assert result.coverage == 1.0


def test_memory_does_not_grow_with_the_number_of_batches():
    """What is kept after 40 batches has the size of what is kept after 3."""

    def kept(batches):
        g = torch.Generator().manual_seed(0)
        stream = ((torch.rand(T, B, 6, generator=g) < 0.5).float() for _ in range(batches))
        result = trace(Net(snnkit.LIF()).eval(), stream)
        assert result.samples == batches * B
        arrays = [v for r in result.records for v in r.steps.values()]
        moments = [v for v in vars(result.moments).values() if hasattr(v, "nbytes")]
        return len(result.records), sum(a.nbytes for a in arrays), sum(m.nbytes for m in moments)

    assert kept(40) == kept(3)
