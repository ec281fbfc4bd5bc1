"""GLIF against its equations in plain numbers, spikingjelly's, and its limits in time."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_input, oracle, relative_error, same_bits, trace
from torch import Tensor

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import GLIF, LIF
from snnkit.sequence import stream


def plain(neuron: GLIF, x: Tensor) -> list[tuple[float, float]]:
    """Potential and spike of each step of one neuron, in Python floats."""
    p = {
        n.removesuffix("_raw"): torch.sigmoid(q.detach().double()).tolist()
        for n, q in neuron.named_parameters()
    }
    a, b, c, v, s, out = p["a"], p["b"], p["c"], 0.0, 0.0, []
    for t, x_t in enumerate(x.flatten().tolist()):
        exponential = (1 - a * (1 - p["tau"])) * v * (1 - c * s)
        linear = (1 - a) * p["leak"] + (1 - c) * p["amount"] * s
        v = exponential - linear + x_t * (1 - b * (1 - p["gain"][t]))
        s = float(v >= p["threshold"])
        out.append((v, s))
    return out


@pytest.mark.parametrize("gates", [None, -30.0, 30.0], ids=["drawn", "closed", "open"])
def test_equations(gates: float | None) -> None:
    neuron = GLIF(8).double()
    with torch.no_grad():
        neuron.gain_raw.copy_(torch.linspace(-2, 2, 8))
        for name in ("a", "b", "c"):
            if gates is not None:
                getattr(neuron, f"{name}_raw").fill_(gates)
    s, state = trace(neuron, golden_input())
    wanted = plain(neuron, golden_input())
    assert state.v.flatten().tolist() == pytest.approx([v for v, _ in wanted], abs=1e-14)
    assert s.flatten().tolist() == [s for _, s in wanted]
    assert s.any()
    assert state.t.flatten().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_open_gates_are_a_lif_with_hard_reset() -> None:
    """a = c = 1 and b = 0: exponential leak, reset to 0 in the next step, input as it is."""
    neuron = GLIF(50, tau=0.25, threshold=0.5).double()
    with torch.no_grad():
        for name, value in (("a", 1e3), ("b", -1e3), ("c", 1e3)):
            getattr(neuron, f"{name}_raw").fill_(value)
    x = torch.randn(50, 2, 100, dtype=torch.float64)
    threshold = torch.sigmoid(neuron.threshold_raw).item()
    beta = torch.sigmoid(neuron.tau_raw).item()
    assert same_bits(neuron(x).detach(), LIF(beta=beta, threshold=threshold)(x))


def test_initial_values() -> None:
    neuron = GLIF(4, channels=5)
    values = {n.removesuffix("_raw"): torch.sigmoid(p) for n, p in neuron.named_parameters()}
    wanted = {"tau": 0.25, "threshold": 0.5, "leak": 0.5 / 8, "amount": 0.5, "gain": 0.5}
    for name, value in wanted.items():
        torch.testing.assert_close(values[name], torch.full_like(values[name], value))
    assert values["gain"].shape == (4, 5)
    for name in ("a", "b", "c"):
        logits = getattr(neuron, f"{name}_raw")
        assert logits.shape == (5,)
        assert 0 < logits.abs().max() <= 0.1


@pytest.mark.oracle
@pytest.mark.parametrize("channels", [None, 3])
def test_spikingjelly(channels: int | None) -> None:
    library = oracle("spikingjelly.activation_based.neuron")
    node = library.GatedLIFNode(
        5, channels, surrogate_function=oracle("spikingjelly.activation_based.surrogate").ATan(2.0)
    ).double()
    neuron = GLIF(5, channels=channels).double()
    names = {"a": "alpha", "b": "beta", "c": "gamma", "tau": "tau", "threshold": "v_threshold"}
    names |= {"leak": "linear_decay", "amount": "v_subreset", "gain": "conduct"}
    pairs = [(getattr(neuron, f"{ours}_raw"), getattr(node, theirs)) for ours, theirs in names.items()]
    with torch.no_grad():
        for ours, theirs in pairs:
            theirs.add_(0.5 * torch.randn_like(theirs))
            ours.copy_(theirs)
    x = (torch.randn(5, 2, 3, 4, 4, dtype=torch.float64) + 0.5).requires_grad_()
    got, state = neuron.run(x)
    wanted = node(x)
    assert torch.equal(got, wanted)
    torch.testing.assert_close(state.v, node.v, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(x)
    mine = torch.autograd.grad((got * weights).sum(), (x, *(p for p, _ in pairs)))
    theirs = torch.autograd.grad((wanted * weights).sum(), (x, *(p for _, p in pairs)))
    for a, b in zip(mine, theirs, strict=True):
        assert relative_error(a, b) < 1e-10


# -- time ------------------------------------------------------------------------------------------


def test_past_the_last_step() -> None:
    neuron, x = GLIF(4), torch.rand(5, 2, 3)
    with pytest.raises(ShapeError, match=r"GLIF\(T=4\): got 5 steps after 0.*T=5"):
        neuron(x)
    with stream(neuron) as session:
        parts = torch.cat([session(x[:3]), session(x[3:4])])
        assert same_bits(parts, neuron(x[:4]).detach())
        with pytest.raises(ShapeError, match=r"got 1 steps after 4"):
            session(x[4:])
    _, state = neuron.run(x[:4])
    with pytest.raises(ShapeError, match="after 4"):
        neuron.step(x[4], state)
    assert neuron.run(x[:0], state)[1] is state


def test_compiled_and_transformed_networks_know_the_limit_too() -> None:
    neuron = GLIF(2).requires_grad_(False)
    with pytest.raises(ShapeError, match="got 3 steps"):
        torch.func.vmap(neuron, in_dims=2, out_dims=2)(torch.rand(3, 2, 4))
    with pytest.raises(Exception, match="got 3 steps"):
        torch.compile(neuron, fullgraph=True, backend="eager")(torch.rand(3, 2, 4))
    torch._dynamo.reset()


def test_each_step_has_its_own_gain() -> None:
    neuron = GLIF(3)
    neuron(torch.rand(2, 2, 4)).sum().backward()
    assert neuron.gain_raw.grad[:2].all()
    assert neuron.gain_raw.grad[2] == 0


BAD = [{"T": 0}, {"T": 4.0}, {"T": True}, {"tau": 0.0}, {"tau": 1}, {"tau": math.nan}, {"threshold": 1.0}]
BAD += [
    {"threshold": True},
    {"threshold": None},
    {"gain": -0.5},
    {"gain": "0.5"},
    {"leak": 0.0},
    {"leak": True},
]
BAD += [{"amount": 2.0}, {"channels": 1.5}]


@pytest.mark.parametrize("settings", BAD, ids=str)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"GLIF\.{next(iter(settings))}.*expected"):
        GLIF(**settings)
