"""Golden values of CLIF, its gradient against plain sums, and spikingjelly's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_gradients, golden_input, oracle, relative_error, trace
from torch import Tensor

from snnkit.errors import ConfigError
from snnkit.neurons import CLIF, LIF

V = [0.625, -0.668558578630005, 0.165720710684998, -0.212625489781192, 0.0186872551094039]
V += [0.687201761033595, 0.343600880516797, -0.203199559741601]
M = [0, 1, 0.520703244762991, 1.35831586384813, 0.682330808223891]
M += [1.53092673758458, 0.831055588310812, 0.394437167186644]


def test_golden_values() -> None:
    s, state = trace(CLIF(), golden_input())
    assert s.flatten().tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert state.v.flatten().tolist() == pytest.approx(V, abs=1e-14)
    assert state.m.flatten().tolist() == pytest.approx(M, abs=1e-14)


def soft_spike(u: Tensor) -> Tensor:
    """A step with the derivative of ATan(2)."""
    s = torch.atan(math.pi * u) / math.pi
    return s + ((u >= 0).double() - s).detach()


@pytest.mark.parametrize("detach_reset", [False, True])
def test_gradient(detach_reset: bool) -> None:
    """The published equations, one neuron, in plain torch."""
    x = golden_input().flatten().requires_grad_()
    v, m, loss = torch.zeros(()).double(), torch.zeros(()).double(), torch.zeros(())
    for t in range(8):
        h = v * (1 - 1 / 2) + x[t]
        s = soft_spike(h - 1)
        m = m * torch.sigmoid(h / 2) + s
        v = h - (s.detach() if detach_reset else s) * (1 + torch.sigmoid(m))
        loss = loss + (t + 1) * s
    loss.backward()
    (got,) = golden_gradients(CLIF(surrogate="atan", detach_reset=detach_reset))
    assert got == pytest.approx(x.grad.tolist(), rel=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize(("tau", "threshold"), [(2.0, 1.0), (1.5, 0.7)])
def test_spikingjelly(tau: float, threshold: float) -> None:
    node = oracle("spikingjelly.activation_based.neuron").ComplementaryLIFNode(tau, threshold, step_mode="m")
    x = (1.5 * torch.randn(50, 2, 500, dtype=torch.float64) + 0.3).requires_grad_()
    got, state = CLIF(tau, threshold=threshold).run(x)
    wanted = node(x)
    assert torch.equal(got, wanted)
    assert torch.equal(state.v, node.v)
    assert torch.equal(state.m, node.m)
    weights = torch.randn_like(x)
    grads = [torch.autograd.grad((out * weights).sum(), x)[0] for out in (got, wanted)]
    assert relative_error(*grads) < 1e-12


def test_frequent_spikes_deepen_the_reset() -> None:
    """A lasting strong input makes it fire less than a LIF that subtracts the threshold alone."""
    x = torch.full((100, 1, 1), 1.2)
    assert CLIF()(x).mean() < LIF(reset="soft", decay_input=False)(x).mean()


@pytest.mark.parametrize(
    "settings",
    [
        {"tau": 0.9},
        {"tau": math.nan},
        {"tau": True},
        {"tau": "2"},
        {"threshold": 0.0},
        {"threshold": math.inf},
        {"detach_reset": None},
        {"fire_at_equal": 1},
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"CLIF\.{next(iter(settings))}.*expected"):
        CLIF(**settings)
