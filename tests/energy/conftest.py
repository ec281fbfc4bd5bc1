"""A network whose energy can be worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnkit.energy import NeuronCost, trace


class Fire(nn.Module):
    spike_levels = 1

    def energy_ops(self):
        return NeuronCost(mul=1, add=1, cmp=1, spike_add=1, state_words=1)

    def forward(self, x):
        return (x > 0).to(x.dtype)


class Tiny(nn.Module):
    """4 -> 3 spiking neurons -> 2. All weights positive: any input event makes all neurons fire."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fire, self.fc2 = nn.Linear(4, 3, bias=False), Fire(), nn.Linear(3, 2)
        for p in self.parameters():
            nn.init.constant_(p, 0.25)

    def forward(self, x):
        return self.fc2(self.fire(self.fc1(x)))


@pytest.fixture
def tiny_net():
    """The network itself."""
    return Tiny()


@pytest.fixture
def tiny():
    """Its trace on T = 2 steps of B = 1 sample with 2 and 3 events."""
    return trace(Tiny(), torch.tensor([[[1.0, 0, 1, 0]], [[1, 1, 1, 0]]]))
