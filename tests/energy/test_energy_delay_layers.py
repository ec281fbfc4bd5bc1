"""Delays add no synaptic operation: every kind counts as the linear layer that it is without delays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnkit
from snnkit.energy import price, trace
from snnkit.energy.rules import DelayMemory
from snnkit.neurons import DelayConv2d, DelayLinear

T, B = 12, 3


def counts(layer: nn.Module, x: torch.Tensor) -> dict[str, float]:
    net = nn.Sequential(layer, snnkit.LIF()).eval()
    found = trace(net, [x], T=T)
    assert not found.uncounted
    totals: dict[str, float] = {}
    for record in found.records:
        if record.kind == "weight":
            for key in ("sop", "dense", "numel_out", "nnz_in"):
                totals[key] = totals.get(key, 0.0) + float(sum(record.steps[key]))
    return totals


@pytest.mark.parametrize("interp", ["ste", "gauss", "fixed"])
@pytest.mark.parametrize("kind", ["axonal", "dendritic", "separable", "synaptic"])
def test_as_many_operations_as_without_delays(kind: str, interp: str) -> None:
    x = (torch.rand(T, B, 4) < 0.3).float()
    x[-6:] = 0  # every spike arrives within the sequence
    plain = counts(snnkit.PerStep(nn.Linear(4, 5, bias=False)), x)
    assert counts(DelayLinear(4, 5, 6, kind=kind, interp=interp), x) == plain


def test_several_synapses() -> None:
    x = (torch.rand(T, B, 4) < 0.3).float()
    x[-6:] = 0
    found = counts(DelayLinear(4, 5, 6, kind="synaptic", synapses=2), x)
    assert found["sop"] == int(x.sum()) * 10
    assert found["numel_out"] == T * B * 5


def test_convolution() -> None:
    x = (torch.rand(T, B, 4, 5, 5) < 0.3).float()
    x[-6:] = 0
    plain = counts(snnkit.PerStep(nn.Conv2d(4, 5, 3, bias=False)), x)
    assert counts(DelayConv2d(4, 5, 3, 6), x) == plain


def delay_memory(layer: nn.Module, x: torch.Tensor) -> list[DelayMemory]:
    return [memory for record in trace(layer.eval(), [x], T=T).records for memory in record.delays]


def test_memory_of_every_kind() -> None:
    layer, x = DelayLinear(4, 5, 6), torch.ones(T, B, 4)
    with torch.no_grad():
        layer.delay.copy_(torch.tensor([0.0, 1.6, 3.0, 6.0]))
    assert delay_memory(layer, x) == [DelayMemory("input", 4, 11, 6)]
    layer = DelayLinear(4, 5, 6, kind="dendritic")
    with torch.no_grad():
        layer.delay.copy_(torch.tensor([0.0, 1.6, 3.0, 6.0, 6.0]))
    assert delay_memory(layer, x) == [DelayMemory("output", 5, 17, 6)]
    assert delay_memory(DelayLinear(4, 5, 6, kind="synaptic", synapses=2), x) == [
        DelayMemory("synapse", 40, 35, 6)
    ]


def test_memory_before_a_convolution_is_that_of_every_pixel() -> None:
    layer, x = DelayConv2d(4, 5, 3, 6), torch.ones(T, B, 4, 5, 5)
    with torch.no_grad():
        layer.delay.copy_(torch.tensor([0.0, 1.6, 3.0, 6.0]))
    assert delay_memory(layer, x) == [DelayMemory("input", 4, 11 * 25, 6)]
    line = price(trace(layer.eval(), [x], T=T))
    assert line.by_term["mem_c"] > 0
