"""The mixture of neurons against its equations, written as loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.errors import ConfigError, UnknownNameError
from snnkit.neurons import MixtureNeuron, make_neuron


def lively(channels: int, **settings: Any) -> MixtureNeuron:
    neuron = MixtureNeuron(channels, **settings)
    torch.nn.init.normal_(neuron.weight)
    torch.nn.init.normal_(neuron.bias)
    return neuron


def loops(neuron: MixtureNeuron, x: Tensor) -> Tensor:
    """LIF (tau 2, decaying input) and IF with hard resets to 0, for ``x [T, B, C, P]``."""
    out = torch.zeros_like(x)
    T, B, C, P = x.shape
    for b in range(B):
        for p in range(P):
            mean = x[:, b, :, p].mean(0)
            gates = (neuron.weight @ mean + neuron.bias).softmax(0)
            for c in range(C):
                v = [0.0, 0.0]
                for t in range(T):
                    h = [v[0] + (float(x[t, b, c, p]) - v[0]) / 2, v[1] + float(x[t, b, c, p])]
                    v = [0.0 if one >= 1 else one for one in h]
                    trace = [1.0 if was >= 1 else one for was, one in zip(h, v, strict=True)]
                    out[t, b, c, p] = float(gates[0] * trace[0] + gates[1] * trace[1] >= neuron.threshold)
    return out


def test_equals_the_equations() -> None:
    neuron, x = lively(3, neurons=("lif", "if"), threshold=0.4), torch.randn(6, 2, 3, 4, dtype=torch.float64)
    wanted = loops(neuron.double(), x)
    assert torch.equal(neuron(x), wanted)
    assert 0.05 < wanted.mean() < 0.95


def test_gates_are_shares_that_all_channels_of_a_place_have() -> None:
    neuron, x = lively(5), torch.randn(4, 2, 5, 7)
    gates = neuron.gates(x)
    assert gates.shape == (4, 2, 1, 7)
    torch.testing.assert_close(gates.sum(0), torch.ones(2, 1, 7))
    torch.testing.assert_close(neuron.gates(x.flip(0)), gates)  # the order of the steps does not matter


def test_only_the_largest_gates_count() -> None:
    every, best, x = lively(5), MixtureNeuron(5, top=2), torch.randn(4, 2, 5, 7)
    best.load_state_dict(every.state_dict())
    gates, kept = every.gates(x), best.gates(x)
    assert ((kept > 0).sum(0) == 2).all()
    assert torch.equal(kept.argmax(0), gates.argmax(0))
    torch.testing.assert_close(kept.sum(0), torch.ones(2, 1, 7))
    pair = gates.topk(2, dim=0).values
    torch.testing.assert_close(kept.topk(2, dim=0).values, pair / pair.sum(0))


def test_one_member_alone_decides_where_the_gate_is_sure() -> None:
    neuron, x = MixtureNeuron(2, neurons=("lif", "if"), threshold=1.0), 2 * torch.rand(8, 3, 2)
    torch.nn.init.zeros_(neuron.weight)
    with torch.no_grad():
        neuron.bias.copy_(torch.tensor([-200.0, 200.0]))
    assert torch.equal(neuron(x), make_neuron("if")(x))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"neurons": ("lif",)}, "at least two members"),
        ({"top": 1}, "top: got 1"),
        ({"top": 5}, "top: got 5"),
        ({"threshold": 0.0}, "threshold: got 0"),
        ({"neurons": ("lif", {"name": "psn"})}, "got 'psn'"),
        ({"neurons": ("lif", "ielif")}, "got 'ielif'"),
        ({"neurons": ("lif", "synaptic_lif")}, "a state v alone"),
    ],
)
def test_refusals(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        MixtureNeuron(4, **settings)


def test_unknown_members() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'lif'"):
        MixtureNeuron(4, neurons=("if", "lift"))
