"""Delta activation: golden values, exact sums, gradients between steps, what a still input costs."""

from __future__ import annotations

import math

import pytest
import torch
from helpers import same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import snnkit
from snnkit.errors import ConfigError
from snnkit.neurons import DeltaActivation, accumulate_deltas

A = torch.tensor([0.1, 0.34, 0.36, 0.7, 0.65, 0.2], dtype=torch.float64).view(6, 1, 1)


def test_golden() -> None:
    neuron = DeltaActivation(0.25)
    out, state = neuron.run(A)
    assert (out / 0.25).flatten().tolist() == [0, 1, 0, 2, 0, -2]
    assert state.q.item() == 1
    assert accumulate_deltas(out, 0.25).flatten().tolist() == [0, 0.25, 0.25, 0.75, 0.75, 0.25]


def test_a_change_beyond_the_largest_is_sent_in_parts() -> None:
    neuron = DeltaActivation(0.25, levels=1)
    out, state = neuron.run(A)
    assert (out / 0.25).flatten().tolist() == [0, 1, 0, 1, 1, -1]
    assert state.q.item() == 2
    still, state = neuron.run(A[-1:].expand(3, 1, 1), state)
    assert (still / 0.25).flatten().tolist() == [-1, 0, 0]
    assert state.q.item() == 1


def test_gradient_goes_to_this_step_and_the_one_before() -> None:
    """``dL/dx[t] = w[t] - w[t+1]`` for ``L = sum w[t] out[t]``."""
    x = A.clone().requires_grad_()
    w = torch.tensor([1.0, 2, 4, 8, 16, 32], dtype=torch.float64).view(6, 1, 1)
    (w * DeltaActivation(0.25)(x)).sum().backward()
    assert x.grad.flatten().tolist() == [-1, -2, -4, -8, -16, 32]


def test_gradient_through_the_sum_is_that_of_the_identity() -> None:
    x = A.clone().requires_grad_()
    w = torch.tensor([1.0, 2, 4, 8, 16, 32], dtype=torch.float64).view(6, 1, 1)
    (w * DeltaActivation(0.25)(x).cumsum(0)).sum().backward()
    assert same_bits(x.grad, w)


def test_no_gradient_where_the_change_is_clipped() -> None:
    x = A.clone().requires_grad_()
    DeltaActivation(0.25, levels=1)(x)[3].sum().backward()  # 2 steps were due, 1 is sent
    assert not x.grad.any()


@settings(max_examples=100, deadline=None)
@given(
    x=st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=30),
    step=st.sampled_from([0.1, 0.25, 0.3, 1.0]),
)
def test_sum_of_the_changes_is_the_quantised_input(x: list[float], step: float) -> None:
    """Exactly, and within half a step of the input, as long as no change is clipped."""
    neuron, sequence = DeltaActivation(step), torch.tensor(x).view(-1, 1, 1) * step
    out, state = neuron.run(sequence)
    total = accumulate_deltas(out, step)
    assert same_bits(total, (sequence / step).round() * step)
    assert (total - sequence).abs().max() <= step * (0.5 + 1e-4)
    assert total[-1].item() == pytest.approx(state.q.item() * step)


def test_sums_do_not_drift() -> None:
    """A receiver that adds floats is off after some thousand steps; whole numbers are exact."""
    x = 10 * torch.rand(5000, 1, 1)
    out = DeltaActivation(0.1)(x)
    wanted = (x / 0.1).round() * 0.1
    assert same_bits(accumulate_deltas(out, 0.1), wanted)
    total = torch.zeros(1, 1)
    for change in out:
        total = total + change
    assert (total - wanted[-1]).abs() > 1e-5


def test_sum_goes_on_from_a_state() -> None:
    neuron = DeltaActivation(0.3)
    x = torch.randn(8, 2, 3)
    _, state = neuron.run(x[:5])
    rest = neuron.run(x[5:], state)[0]
    assert same_bits(accumulate_deltas(rest, 0.3, state.q), accumulate_deltas(neuron(x), 0.3)[5:])


def test_a_linear_receiver_adds_up() -> None:
    """The sum over time behind a linear layer is the layer of the quantised input."""
    neuron, layer = DeltaActivation(0.25), nn.Linear(5, 3, bias=False).double()
    x = torch.randn(20, 2, 5, dtype=torch.float64)
    quantised = accumulate_deltas(neuron(x), 0.25)
    assert torch.allclose(layer(neuron(x)).cumsum(0), layer(quantised), rtol=1e-12)


def test_a_still_input_costs_nothing() -> None:
    """Signed integer events behind the neuron, none while nothing changes."""
    neuron, still = DeltaActivation(0.25), torch.randn(1, 2, 6).expand(8, 2, 6)
    net = nn.Sequential(neuron, snnkit.PerStep(nn.Linear(6, 10, bias=False))).eval()
    trace = snnkit.energy.trace(net, still)
    (weight,) = [r for r in trace.records if r.kind != "neuron"]
    assert weight.a.name in ("integer", "ternary")
    assert weight.a.signed
    first = neuron(still)[0]
    assert trace.total.sop == 10 * first.count_nonzero().item()
    assert trace.total.sum_abs == pytest.approx(10 * (first / 0.25).abs().sum().item())


@pytest.mark.parametrize(
    "settings",
    [
        {"step_size": 0.0},
        {"step_size": -1},
        {"step_size": True},
        {"step_size": math.nan},
        {"step_size": "1"},
        {"levels": 0},
        {"levels": 256},
        {"levels": 1.0},
    ],
    ids=str,
)
def test_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"DeltaActivation\.{next(iter(settings))}.*expected"):
        DeltaActivation(**settings)


def test_sum_of_no_step() -> None:
    with pytest.raises(ConfigError, match=r"accumulate_deltas\.step_size"):
        accumulate_deltas(torch.zeros(1, 1), 0.0)
