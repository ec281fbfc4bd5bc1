"""Presets equal the libraries they are named after: 50 steps of random float32, bit for bit.

Spikes and states must be equal; gradients of a weighted sum of spikes within 1e-6 of the largest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import oracle, relative_error
from torch import Tensor

from snnkit.neurons import IF, LIF, LeakyIntegrator, Neuron
from snnkit.surrogate import FastSigmoid

pytestmark = pytest.mark.oracle

T, N = 50, 1000
Foreign = Callable[[Tensor], tuple[Tensor, Tensor]]  # x [T, B, N] -> spikes, potentials [T, B, N]


def inputs() -> Tensor:
    """Random currents, some of them exactly on a threshold grid."""
    x = 1.5 * torch.randn(T, 2, N) + 0.3
    x[:, :, ::10] = (4 * x[:, :, ::10]).round() / 4
    return x


def potentials(neuron: Neuron, x: Tensor) -> Tensor:
    states, state = [], None
    for t in range(x.shape[0]):
        _, state = neuron.run(x[t : t + 1], state)
        states.append(state.v)
    return torch.stack(states)


def assert_equal(neuron: Neuron, foreign: Foreign, *, gradient: bool = True) -> Tensor:
    x = inputs()
    theirs = x.clone().requires_grad_()
    s_theirs, v_theirs = foreign(theirs)
    ours = x.clone().requires_grad_()
    s, state = neuron.run(ours)
    assert s.shape == s_theirs.shape
    assert 0.02 < s.mean() < 0.98
    assert torch.equal(s, s_theirs), f"{(s != s_theirs).sum()} spikes differ"
    assert torch.equal(potentials(neuron, x), v_theirs.detach())
    assert torch.equal(state.v, v_theirs[-1])
    if gradient:
        weights = torch.randn_like(x)
        (s * weights).sum().backward()
        (s_theirs * weights).sum().backward()
        assert relative_error(ours.grad, theirs.grad) < 1e-6
    return weights if gradient else s


# -- spikingjelly ----------------------------------------------------------------------------------


def spikingjelly(name: str, **settings: Any) -> tuple[Any, Foreign]:
    library = oracle("spikingjelly.activation_based.neuron")
    surrogates = oracle("spikingjelly.activation_based.surrogate")
    settings.setdefault("surrogate_function", surrogates.Sigmoid())
    node = getattr(library, name)(step_mode="m", store_v_seq=True, **settings)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        return node(x), node.v_seq

    return node, run


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.25])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("tau", [2.0, 3.7])
def test_spikingjelly_lif(tau: float, decay_input: bool, v_reset: float | None, detach_reset: bool) -> None:
    settings: dict[str, Any] = {
        "tau": tau,
        "decay_input": decay_input,
        "v_reset": v_reset,
        "detach_reset": detach_reset,
    }
    _, foreign = spikingjelly("LIFNode", **settings)
    assert_equal(LIF.spikingjelly(**settings), foreign)


def test_spikingjelly_lif_by_default() -> None:
    library = oracle("spikingjelly.activation_based.neuron")
    node = library.LIFNode(step_mode="m", store_v_seq=True)
    assert_equal(LIF.spikingjelly(), lambda x: (node(x), node.v_seq))


def test_spikingjelly_lif_threshold_and_surrogate() -> None:
    surrogates = oracle("spikingjelly.activation_based.surrogate")
    _, foreign = spikingjelly("LIFNode", v_threshold=0.7, surrogate_function=surrogates.ATan())
    assert_equal(LIF.spikingjelly(v_threshold=0.7, surrogate="atan"), foreign)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("v_reset", [None, 0.0, -0.25])
def test_spikingjelly_if(v_reset: float | None, detach_reset: bool) -> None:
    _, foreign = spikingjelly("IFNode", v_reset=v_reset, detach_reset=detach_reset)
    neuron = IF(
        reset="soft" if v_reset is None else "hard",
        v_reset=v_reset,
        detach_reset=detach_reset,
        surrogate="sigmoid",
    )
    assert_equal(neuron, foreign)


@pytest.mark.parametrize("v_reset", [None, 0.0, -0.25])
@pytest.mark.parametrize("decay_input", [True, False])
@pytest.mark.parametrize("tau", [2.0, 3.0])
def test_spikingjelly_plif(tau: float, decay_input: bool, v_reset: float | None) -> None:
    node, foreign = spikingjelly("ParametricLIFNode", init_tau=tau, decay_input=decay_input, v_reset=v_reset)
    neuron = LIF(
        tau,
        decay_input=decay_input,
        reset="soft" if v_reset is None else "hard",
        v_reset=v_reset,
        learn_tau=True,
        surrogate="sigmoid",
    )
    assert torch.equal(neuron.tau_raw, node.w)
    assert_equal(neuron, foreign)
    assert relative_error(neuron.tau_raw.grad, node.w.grad) < 1e-5  # a sum of 100 000 float32 terms


@pytest.mark.parametrize("tau", [2.0, 3.7])
def test_spikingjelly_leaky_integrator(tau: float) -> None:
    library = oracle("spikingjelly.activation_based.neuron")
    x = inputs()
    theirs = torch.stack(library.NonSpikingLIFNode(tau=tau)(x))
    assert torch.equal(LeakyIntegrator(tau)(x), theirs)


# -- snntorch --------------------------------------------------------------------------------------


def snntorch(beta: float, **settings: Any) -> Foreign:
    node = oracle("snntorch").Leaky(beta=beta, **settings)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        mem, spikes, mems = node.init_leaky(), [], []
        for x_t in x:
            s, mem = node(x_t, mem)
            spikes.append(s)
            mems.append(mem)
        return torch.stack(spikes), torch.stack(mems)

    return run


@pytest.mark.parametrize("threshold", [1.0, 0.6])
@pytest.mark.parametrize("beta", [0.0, 0.5, 0.93, 1.0])
@pytest.mark.parametrize(
    ("mechanism", "delay"), [("zero", True), ("none", True), ("subtract", True), ("zero", False)]
)
def test_snntorch_leaky(mechanism: str, delay: bool, beta: float, threshold: float) -> None:
    settings: dict[str, Any] = {"reset_mechanism": mechanism, "reset_delay": delay, "threshold": threshold}
    assert_equal(LIF.snntorch(beta, **settings), snntorch(beta, **settings))


def test_snntorch_leaky_by_default() -> None:
    assert_equal(LIF.snntorch(0.8), snntorch(0.8))


def test_snntorch_subtract_is_a_delayed_reset() -> None:
    """The deliberate difference: the immediate soft reset fires elsewhere."""
    x = inputs()
    theirs, _ = snntorch(0.5)(x)
    assert not torch.equal(LIF(beta=0.5, reset="soft", fire_at_equal=False)(x), theirs)
    by_theta_over_beta = LIF(beta=0.5, reset="soft", reset_amount=2.0, fire_at_equal=False)
    assert torch.equal(by_theta_over_beta(x), theirs)


# -- norse -----------------------------------------------------------------------------------------


def norse(dt: float, reset_method: str, **parameters: float) -> Foreign:
    box = oracle("norse.torch.functional.lif_box")
    resets = oracle("norse.torch.functional.reset")
    module = oracle("norse.torch.module.lif_box")
    values = {name: torch.as_tensor(value) for name, value in parameters.items()}
    p = box.LIFBoxParameters(**values, reset_method=getattr(resets, f"reset_{reset_method}"))
    cell = module.LIFBoxCell(p=p, dt=dt)

    def run(x: Tensor) -> tuple[Tensor, Tensor]:
        state, spikes, potentials = None, [], []
        for x_t in x:
            z, state = cell(x_t, state)
            spikes.append(z)
            potentials.append(state.v)
        return torch.stack(spikes), torch.stack(potentials)

    return run


@pytest.mark.parametrize("dt", [0.001, 0.005])
@pytest.mark.parametrize("v_leak", [0.0, 0.1, -0.25])
@pytest.mark.parametrize("method", ["value", "subtract"])
def test_norse_box(method: str, v_leak: float, dt: float) -> None:
    settings: dict[str, float] = {"tau_mem_inv": 120.0, "v_leak": v_leak, "v_th": 0.4}
    neuron = LIF.norse_box(dt, reset_method=method, surrogate=FastSigmoid(1.0), **settings)
    assert_equal(neuron, norse(dt, method, **settings))


def test_norse_box_reset_potential() -> None:
    neuron = LIF.norse_box(0.003, v_th=0.5, v_reset=-0.2, v_leak=0.1, surrogate=FastSigmoid(1.0))
    assert_equal(neuron, norse(0.003, "value", v_th=0.5, v_reset=-0.2, v_leak=0.1))
