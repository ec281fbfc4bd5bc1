"""Every kind of layer with delays, as the contract tests build it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snnkit.neurons import AxonalDelay, Delayed, DelayLinear, DelayRecurrentLIF

LINEAR = {
    "axonal": {"kind": "axonal"},
    "dendritic": {"kind": "dendritic"},
    "separable": {"kind": "separable"},
    "synaptic": {"kind": "synaptic"},
    "synaptic_2": {"kind": "synaptic", "synapses": 2, "bias": True},
}
LAYERS = (*LINEAR, "line", "recurrent")
INTERPS = ("ste", "gauss", "triangle", "fixed")
every_layer = pytest.mark.parametrize("name", LAYERS)
every_interp = pytest.mark.parametrize("interp", INTERPS)


def build(name: str, interp: str = "ste", max_delay: int = 6, **settings: object) -> Delayed:
    """Four inputs, five outputs; the same delays whenever the seed is the same."""
    torch.manual_seed(1)
    if name == "line":
        return AxonalDelay(4, max_delay, interp=interp, **settings)
    if name == "recurrent":
        return DelayRecurrentLIF(4, max_delay, interp=interp, tau=2.0, threshold=0.4, bias=True, **settings)
    return DelayLinear(4, 5, max_delay, interp=interp, **{**LINEAR[name], **settings})


def spikes(name: str, steps: int = 12, batch: int = 3, density: float = 0.3) -> Tensor:
    shape = (4, 3, 3) if name == "line" else (4,)
    return (torch.rand(steps, batch, *shape, generator=torch.Generator().manual_seed(5)) < density).float()


def shift_loop(layer: Delayed, x: Tensor) -> Tensor:
    """Every connection by itself, from the definition: x of ``round(d)`` steps ago, times its weight."""
    x = x.double()
    if isinstance(layer, AxonalDelay):
        lags = layer.delay.detach().round().long().tolist()
        moved = [
            torch.cat([torch.zeros_like(x[:d, :, c]), x[: len(x) - d, :, c]]) for c, d in enumerate(lags)
        ]
        return torch.stack(moved, 2)
    weight = layer.weight.detach().double()
    if isinstance(layer, DelayRecurrentLIF):
        return recurrent_loop(layer, x, weight)
    rounded = {n: d.detach().round().long() for n, (d, _) in layer.delays().items()}
    out = torch.zeros(len(x), x.shape[1], layer.out_features, dtype=torch.float64)
    for t in range(len(x)):
        for o in range(layer.out_features):
            for i in range(layer.in_features):
                for s in range(layer.synapses):
                    if layer.kind == "synaptic":
                        w, d = weight[o, i, s], rounded["delay"][o, i, s]
                    else:
                        w, d = weight[o, i], 0
                        d = d + (rounded["delay"][i] if layer.kind in ("axonal", "separable") else 0)
                        d = d + (rounded["delay"][o] if layer.kind == "dendritic" else 0)
                        d = d + (rounded["delay_out"][o] if layer.kind == "separable" else 0)
                    if t - int(d) >= 0:
                        out[t, :, o] += w * x[t - int(d), :, i]
    return out if layer.bias is None else out + layer.bias.double()


def recurrent_loop(layer: DelayRecurrentLIF, x: Tensor, weight: Tensor) -> Tensor:
    """tau 2, hard reset, threshold 0.4: every spike is sent to all neurons 1 + d steps later."""
    steps, batch, channels = x.shape
    arriving = torch.zeros(steps + 99, batch, channels, dtype=torch.float64)
    v, out = torch.zeros(batch, channels, dtype=torch.float64), []
    for t in range(steps):
        h = v / 2 + (x[t] + arriving[t] + layer.bias.detach().double()) / 2
        s = (h >= 0.4).double()
        v = h * (1 - s)
        for j in range(channels):
            later = t + 1 + int(layer.delay[j].detach().round())
            arriving[later] += s[:, j : j + 1] * weight[:, j]
        out.append(s)
    return torch.stack(out)
