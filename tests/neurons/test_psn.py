"""Parallel neurons: golden values, spikingjelly as oracle, causality, the schedule of the mask."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import oracle, relative_error, same_bits
from torch import Tensor

from snnkit.energy.neuron_rules import neuron_spec
from snnkit.errors import ConfigError, InputTypeError, ShapeError, StateShapeError, StreamError
from snnkit.neurons import PSN, MaskedPSN, SlidingPSN
from snnkit.sequence import stream

X = [0.5, 1, 1.5, 0.25]
W = [[1, 0.5, 0, 0], [0.5, 1, 0, 0.25], [-1, 0.5, 1, 0], [0.25] * 4]
GRAD_X = [1.3864105714827, 2.69342196794453, 1.60760378601189, 0.997007178747296]
GRAD_B = [1, 1.01841884064565, 0.865201317426003, 2.96960987434354]


class Through(torch.nn.Module):
    """In place of the spike: shows the potential."""

    def __init__(self, neuron: torch.nn.Module) -> None:
        super().__init__()
        neuron._fire = lambda h: h
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        return self.neuron(x)


def golden(neuron: Any) -> Any:
    neuron = neuron.double()
    with torch.no_grad():
        neuron.weight.copy_(torch.tensor(W))
    return neuron


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


# -- golden values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("neuron", "wanted"),
    [
        (PSN(4), [0, 0.3125, 0.5, -0.1875]),
        (MaskedPSN(4, 2, lambda_=0.0), [0, 0.3125, 0.5, -0.1875]),
        (MaskedPSN(4, 2, lambda_=0.5), [-0.25, 0.28125, 0.75, -0.375]),
        (MaskedPSN(4, 2, lambda_=1.0), [-0.5, 0.25, 1, -0.5625]),
    ],
    ids=["psn", "0", "half", "1"],
)
def test_potentials(neuron: Any, wanted: list[float]) -> None:
    assert Through(golden(neuron))(column(X)).flatten().tolist() == wanted


def test_spikes_and_gradients_of_psn() -> None:
    neuron, x = golden(PSN(4)), column(X).requires_grad_()
    s = neuron(x)
    assert s.flatten().tolist() == [1, 1, 1, 0]
    (torch.arange(1, 5).view(4, 1, 1) * s).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx(GRAD_X, abs=1e-13)
    assert neuron.bias.grad.tolist() == pytest.approx(GRAD_B, abs=1e-13)
    outer = torch.tensor(GRAD_B).double().unsqueeze(1) * torch.tensor(X)
    torch.testing.assert_close(neuron.weight.grad, outer, rtol=1e-6, atol=1e-6)


def test_sliding() -> None:
    assert SlidingPSN(3).weight.tolist() == [0.25, 0.5, 1]
    assert Through(SlidingPSN(3))(column(X)).flatten().tolist() == [-0.5, 0.25, 1.125, 0.25]
    assert SlidingPSN(3)(column(X)).flatten().tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("neuron", [MaskedPSN(4, 2, lambda_=0.5), MaskedPSN(4, 3), SlidingPSN(3), PSN(4)])
def test_the_gradient_is_that_of_the_filter(neuron: Any) -> None:
    """Behind the potential everything is linear: numerical derivatives for inputs and parameters."""
    potentials, x = Through(neuron.double()), torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in neuron.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        given = {f"neuron.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(potentials, given, (x,))

    assert torch.autograd.gradcheck(run, (x, *neuron.parameters()))


# -- against spikingjelly --------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("lambda_", [None, 0.0, 0.3, 1.0])
def test_equals_spikingjelly(lambda_: float | None) -> None:
    theirs_of = oracle("spikingjelly.activation_based.neuron.psn")
    if lambda_ is None:
        ours, theirs = PSN(6), theirs_of.PSN(6)
    else:
        ours = MaskedPSN(6, 3, lambda_=lambda_)
        theirs = theirs_of.MaskedPSN(k=3, T=6, lambda_init=lambda_, step_mode="m")
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
        theirs.bias.copy_(ours.bias.unsqueeze(1))
    compare(ours, theirs, 6)


@pytest.mark.oracle
@pytest.mark.parametrize("k", [1, 2, 5])
def test_sliding_equals_spikingjelly(k: int) -> None:
    theirs = oracle("spikingjelly.activation_based.neuron.psn").SlidingPSN(k, step_mode="m")
    ours = SlidingPSN(k)
    assert torch.equal(ours.weight, theirs.weight)
    compare(ours, theirs, 9)


def compare(ours: Any, theirs: Any, steps: int) -> None:
    data, grads = 2 * torch.randn(steps, 5, 7), []
    weights = torch.randn_like(data)
    for net in (ours, theirs):
        x = data.clone().requires_grad_()
        out = net(x)
        (out * weights).sum().backward()
        grads.append([out.detach(), x.grad, net.weight.grad, net.bias.grad.flatten()])
    assert 0.05 < grads[0][0].mean() < 0.95
    assert torch.equal(grads[0][0], grads[1][0])
    for mine, other in zip(*grads, strict=True):
        assert relative_error(mine.flatten(), other.flatten()) < 1e-5


# -- causality, streaming, the schedule ------------------------------------------------------------


def test_psn_sees_the_future_and_says_so() -> None:
    neuron = PSN(4)
    with pytest.raises(StreamError, match=r"PSN.*whole sequence"):
        stream(neuron)
    with pytest.raises(StreamError, match="T=4"):
        neuron.step(torch.zeros(1, 1), neuron.initial_state(torch.zeros(1, 1)))


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_another_number_of_steps(steps: int) -> None:
    for neuron in (PSN(4), MaskedPSN(4, lambda_=0.9)):
        with pytest.raises(ShapeError, match=rf"T=4\): got {steps} steps.*sliding_psn"):
            neuron(torch.zeros(steps, 1, 1))
        assert neuron(torch.zeros(0, 1, 1)).shape == (0, 1, 1)
    if steps > 4:
        with pytest.raises(ShapeError, match="up to 4"):
            MaskedPSN(4)(torch.zeros(steps, 1, 1))


def test_causal_tells_the_truth_at_the_moment_of_asking() -> None:
    neuron, x = MaskedPSN(4, 2, lambda_=0.0), torch.randn(4, 2, 3)
    for value, causal in ((0.0, False), (0.999, False), (1.0, True), (0.5, False)):
        neuron.set_lambda(value)
        assert neuron.causal is causal
        assert f"lambda_={value:g}" in repr(neuron)
        leaf = x.clone().requires_grad_()
        neuron(leaf)[:2].sum().backward()
        assert leaf.grad[2:].any().item() is not causal
        if not causal:
            with pytest.raises(StreamError):
                stream(neuron)
            with pytest.raises(StreamError, match="set_lambda"):
                neuron.step(x[0], neuron.initial_state(x[0]))
    fresh = MaskedPSN(4, 2)
    fresh.load_state_dict(neuron.state_dict())
    assert not fresh.causal


def test_a_causal_mask_streams_up_to_its_steps() -> None:
    neuron, x = MaskedPSN(6, 3), 2 * torch.randn(6, 2, 3)
    whole = neuron(x)
    assert 0 < whole.mean() < 1
    for t in range(7):
        assert same_bits(neuron(x[:t]), whole[:t])
    with stream(neuron) as session:
        assert same_bits(torch.cat([session(x[:1]), session(x[1:4]), session(x[4:])]), whole)
        with pytest.raises(ShapeError, match=r"T=6\): got 1 steps after 6 earlier"):
            session(x[:1])


def test_both_ways_to_compute_a_full_mask_agree() -> None:
    """Taps over all steps, and the product with a masked matrix that compiled graphs and transforms take."""
    neuron, x = MaskedPSN(7, 3).double(), torch.randn(7, 4, 5, dtype=torch.float64)
    potentials = Through(neuron)
    dense = torch.func.vmap(lambda row: potentials(row.unsqueeze(1)).squeeze(1), 1, 1)(x)
    torch.testing.assert_close(dense, potentials(x), rtol=1e-12, atol=1e-12)
    with pytest.raises(StreamError, match="state=None"):
        torch.func.vmap(lambda row: neuron.run(row, neuron.initial_state(row[0]))[0], 1, 1)(x)


def test_masked_with_constant_diagonals_is_sliding() -> None:
    sliding, masked = SlidingPSN(3), MaskedPSN(8, 3)
    with torch.no_grad():
        for back in range(3):
            masked.weight.diagonal(-back).fill_(sliding.weight[2 - back])
    x = 2 * torch.randn(8, 3, 4)
    assert same_bits(masked(x), sliding(x))


def test_the_state_holds_inputs_with_the_batch_first() -> None:
    x = torch.randn(6, 2, 3)
    _, state = SlidingPSN(4).run(x)
    assert torch.equal(state.x, x[3:].movedim(0, 1))
    with pytest.raises(StateShapeError, match=r"\(2, 3, 3\).*\(4, 3, 3\)"):
        SlidingPSN(4).run(torch.randn(6, 4, 3), state)
    _, state = MaskedPSN(8, 2).run(x)
    assert state.steps.tolist() == [6, 6]


# -- settings and costs ----------------------------------------------------------------------------


def test_declared_products_are_not_counted_twice() -> None:
    for neuron, products in (
        (PSN(6), 6),
        (SlidingPSN(3), 3),
        (MaskedPSN(4, 2), 7 / 4),  # steps see 1, 2, 2, 2 inputs
        (MaskedPSN(4, 2, lambda_=0.5), 4),
    ):
        spec = neuron_spec(neuron)
        assert spec.covers_products
        assert (spec.cost.mul, spec.cost.add, spec.cost.cmp) == (products, products, 1)


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "4", None, float("nan")])
@pytest.mark.parametrize(
    ("make", "name"), [(PSN, "T"), (MaskedPSN, "T"), (MaskedPSN, "k"), (SlidingPSN, "k")]
)
def test_refused_counts(make: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{make.__name__}\.{name}: got .*expected an int >= 1"):
        make(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "1", None])
def test_refused_lambda(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"MaskedPSN\.lambda_: got .*\[0, 1\]"):
        MaskedPSN(lambda_=value)
    with pytest.raises(ConfigError, match=r"MaskedPSN\.lambda_: got .*\[0, 1\]"):
        MaskedPSN().set_lambda(value)


def test_other_refusals() -> None:
    with pytest.raises(ConfigError, match=r"SlidingPSN\.exp_init: got 1"):
        SlidingPSN(exp_init=1)
    for make in (PSN, MaskedPSN, SlidingPSN):
        with pytest.raises(InputTypeError, match="surrogate"):
            make(surrogate=3)
    assert MaskedPSN(3, 9).k == 3
