"""Golden values of KLIF and spikingjelly's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_gradients, golden_input, oracle, relative_error, same_bits, trace

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import KLIF, LIF

V = [0.390625, 0.712890625, 0.758056640625, 0, 0.078125, 0, 0, 0]
DK = 5.82316090565398


def test_golden_values() -> None:
    s, state = trace(KLIF(k=1.25), golden_input())
    assert s.flatten().tolist() == [0, 0, 0, 1, 0, 1, 0, 0]
    assert state.v.flatten().tolist() == V


def test_golden_gradients() -> None:
    dx, dk = golden_gradients(KLIF(k=1.25))
    assert dk == pytest.approx([DK], rel=1e-13)
    x, loss, v = golden_input().flatten().requires_grad_(), torch.zeros(()), torch.zeros(()).double()
    for t in range(8):  # the published equations in plain torch
        f = torch.relu(1.25 * (v + (x[t] - v) / 2))
        s = torch.atan(math.pi * (f - 1)) / math.pi
        s = s + ((f >= 1).double() - s).detach()
        v, loss = (1 - s) * f, loss + (t + 1) * s
    loss.backward()
    assert dx == pytest.approx(x.grad.tolist(), rel=1e-12)


def test_with_slope_one_a_positive_input_is_that_of_a_lif() -> None:
    x = 2 * torch.rand(50, 2, 100)
    assert same_bits(KLIF()(x).detach(), LIF()(x))


def test_scaled_back_the_slope_is_no_leak() -> None:
    """With ``scale_reset`` a silent positive neuron keeps the potential of a LIF, whatever its slope."""
    x = 0.2 * torch.rand(20, 1, 5, dtype=torch.float64)
    _, state = KLIF(k=3.0, scale_reset=True).double().run(x)
    torch.testing.assert_close(state.v.detach(), LIF().run(x)[1].v)


@pytest.mark.oracle
@pytest.mark.parametrize("scale_reset", [False, True])
@pytest.mark.parametrize("decay_input", [False, True])
@pytest.mark.parametrize("v_reset", [0.0, -0.25, None])
@pytest.mark.parametrize("detach_reset", [False, True])
def test_spikingjelly(
    scale_reset: bool, decay_input: bool, v_reset: float | None, detach_reset: bool
) -> None:
    library = oracle("spikingjelly.activation_based.neuron")
    node = library.KLIFNode(
        scale_reset=scale_reset,
        tau=3.0,
        decay_input=decay_input,
        v_reset=v_reset,
        surrogate_function=oracle("spikingjelly.activation_based.surrogate").ATan(2.0),
        detach_reset=detach_reset,
        step_mode="m",
    ).double()
    how: Any = {"reset": "soft"} if v_reset is None else {"reset": "hard", "v_reset": v_reset}
    ours = KLIF(3.0, decay_input=decay_input, scale_reset=scale_reset, detach_reset=detach_reset, **how)
    ours.double()
    with torch.no_grad():
        ours.k.fill_(1.375)
        node.k.fill_(1.375)
    x = (2.5 * torch.randn(50, 2, 300, dtype=torch.float64) + 0.3).requires_grad_()
    got, state = ours.run(x)
    wanted = node(x)
    assert torch.equal(got, wanted)
    assert torch.equal(state.v, node.v)
    weights = torch.randn_like(x)
    grads = [
        torch.autograd.grad((out * weights).sum(), (x, k)) for out, k in ((got, ours.k), (wanted, node.k))
    ]
    for a, b in zip(*grads, strict=True):
        assert relative_error(a, b) < 1e-12


def test_a_slope_for_each_channel() -> None:
    neuron = KLIF(channels=2)
    with torch.no_grad():
        neuron.k.copy_(torch.tensor([1.0, 3.0]))
    out = neuron(torch.ones(1, 1, 2, 3))
    assert out[0, 0].tolist() == [[0.0] * 3, [1.0] * 3]
    with pytest.raises(ShapeError, match=r"KLIF\(channels=2\)"):
        neuron(torch.ones(1, 1, 3))


@pytest.mark.parametrize(
    "settings",
    [
        {"tau": 0.5},
        {"tau": True},
        {"k": 0.0},
        {"k": -1},
        {"k": math.nan},
        {"k": "1"},
        {"decay_input": None},
        {"scale_reset": 0},
        {"v_reset": 1.5},
        {"channels": 0},
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"KLIF\.{next(iter(settings))}.*expected"):
        KLIF(**settings)
