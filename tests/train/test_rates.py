"""Rates count spikes, whatever one of them adds to the output, and of either sign."""

from __future__ import annotations

import torch
from torch import nn

from snnkit.neurons import IELIF, ILIF, LIF, CountSpike, DeltaActivation, UltraLIF
from snnkit.train.rates import as_events, spike_outputs


def test_outputs_in_spikes() -> None:
    x = 2 * torch.randn(5, 4, 8)
    for neuron in (LIF(), ILIF(4), IELIF(4), IELIF(4, learn_scale=True)):
        out = neuron(x)
        assert torch.allclose(as_events(neuron, out), (out / neuron.spike_unit).round())
    delta, fixed = DeltaActivation(0.25), CountSpike(unit=0.5, n_max=3)
    for neuron in (delta, fixed):
        assert torch.equal(as_events(neuron, neuron(x)), (neuron(x) / neuron.spike_unit).abs())
    assert as_events(LIF(), x) is x


def test_soft_outputs_are_no_spikes() -> None:
    net = nn.Sequential(UltraLIF(), IELIF(4), UltraLIF(output="hard", theta=0.5))
    with spike_outputs(net) as outputs:
        net(torch.randn(5, 4, 8))
    assert list(outputs) == ["1", "2"]
    assert torch.equal(outputs["1"], outputs["1"].round())
