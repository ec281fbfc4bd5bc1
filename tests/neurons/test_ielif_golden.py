"""IE-LIF: golden counts and gradients, the learned scale, the relation to I-LIF, what a spike tells."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import nn

import snnkit
from snnkit.errors import ConfigError
from snnkit.neurons import IELIF, ILIF, spike_entropy

U = [-0.3, 0, 0.1, 0.124999, 0.125, 0.126, 0.2, 0.374999, 0.375, 0.4, 0.5, 0.8, 0.875, 0.9, 1, 1.2, 5]
N = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 4, 4, 4, 4, 4]
MASK = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]
X = 2 * torch.tensor([0.625, 0.75, 0.5, 1.5, 0.125, 2.5, 0, -0.375], dtype=torch.float64).view(8, 1, 1)


@pytest.mark.parametrize("round", ["half_up", "half_even"])
def test_published_quantiser(round: Any) -> None:
    """Output n/4; the factors D and 1/D cancel in the gradient. Half even differs at the ties."""
    u = torch.tensor(U, dtype=torch.float64).view(1, 1, -1).requires_grad_()
    out = IELIF(round=round)(u)
    even = {0.125: 0, 0.375: 2, 0.875: 4} if round == "half_even" else {}
    assert (4 * out).flatten().tolist() == [even.get(v, n) for v, n in zip(U, N, strict=True)]
    out.sum().backward()
    assert u.grad.flatten().tolist() == MASK


def test_scales() -> None:
    """ "pre" widens the window by D, "post" and "none" differ by the unit alone."""
    u = torch.linspace(-1, 5, 97, dtype=torch.float64).view(1, 1, -1)
    none, post, pre = (IELIF(4, scale=scale) for scale in ("none", "post", "pre"))
    assert same_bits(none(u) / 4, post(u))
    assert same_bits(pre(u / 4), post(u))
    for neuron, unit in ((none, 1.0), (post, 0.25), (pre, 0.25)):
        assert neuron.spike_unit == unit
        assert neuron(u).max() == 4 * unit
        x = u.clone().requires_grad_()
        neuron(x).sum().backward()
        inside = (u > 0) & (u < (1 if neuron is pre else 4))
        assert same_bits(x.grad, inside.double() * (0.25 if neuron is post else 1.0))


def test_with_a_membrane_it_is_ilif() -> None:
    """Golden values of I-LIF; gradients too, as no potential of this sequence is on a boundary."""
    results = []
    for neuron in (ILIF(4), IELIF(4, scale="none", round="half_even", tau=4 / 3)):
        x = X.clone().requires_grad_()
        out, state = neuron.run(x)
        assert out.flatten().tolist() == [1, 2, 1, 3, 0, 4, 0, 0]
        (torch.arange(1, 9).view(8, 1, 1) * out).sum().backward()
        results.append((out, state.v, x.grad))
    assert same_bits(*results)


def test_gradient_without_detach() -> None:
    x = X.clone().requires_grad_()
    neuron = IELIF(4, scale="none", tau=4 / 3, detach_reset=False)
    (torch.arange(1, 9).view(8, 1, 1) * neuron(x)).sum().backward()
    assert x.grad.flatten().tolist() == [1, 2, 3, 4, 5, 1.75, 7, 0]


def test_steps_of_the_membrane_are_of_the_input_unit() -> None:
    """ "pre" equals "none" on D times the input: threshold 1/D, potentials D times smaller."""
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    pre, none = IELIF(4, tau=2.0), IELIF(4, scale="none", tau=2.0)
    out, state = pre.run(x)
    wanted, state_none = none.run(4 * x)
    assert same_bits(4 * out, wanted)
    assert same_bits(4 * state.v, state_none.v)


# -- learned scale ---------------------------------------------------------------------------------


def test_gradient_of_the_learned_scale() -> None:
    """LSQ: ``G sum g (n - h/a)`` in the window, ``g D`` above, 0 below; a itself is softplus(raw)."""
    neuron = IELIF(4, learn_scale=True).double()
    h = torch.tensor([[-0.4, 0.3, 0.55, 0.9], [1.9, 0.05, 7.0, 0.62]], dtype=torch.float64)
    g = torch.tensor([[1.0, -2.0, 0.5, 3.0], [1.5, 1.0, -1.0, 2.0]], dtype=torch.float64)
    x = h.view(1, 2, 4).requires_grad_()
    (neuron(x) * g).sum().backward()
    a = neuron.spike_unit.item()
    wanted = 0.0
    for h_i, g_i in zip(h.flatten().tolist(), g.flatten().tolist(), strict=True):
        u = h_i / a
        wanted += g_i * (0 if u <= 0 else 4 if u >= 4 else math.floor(u + 0.5) - u)
    wanted /= math.sqrt(4 * 4)  # D = 4, 4 features
    slope = torch.sigmoid(neuron.scale_raw).item()
    assert neuron.scale_raw.grad.item() == pytest.approx(wanted * slope, rel=1e-12)
    assert same_bits(x.grad.view(2, 4), g * ((h > 0) & (h < 4 * a)))


def test_learned_scale_starts_at_that_of_the_scale_or_of_the_data() -> None:
    assert IELIF(4, learn_scale=True).spike_unit.item() == pytest.approx(0.25)
    assert IELIF(4, scale="none", learn_scale=True).spike_unit.item() == pytest.approx(1.0)
    neuron, x = IELIF(4, learn_scale=True), 3 * torch.randn(50, 4)
    neuron.fit_scale(x)
    assert neuron.spike_unit.item() == pytest.approx(2 * x.abs().mean().item() / 2, rel=1e-5)


def test_scale_cannot_be_fitted_to_nothing() -> None:
    for x in (torch.zeros(3), torch.zeros(0), torch.tensor([math.nan])):
        with pytest.raises(ConfigError, match="fit_scale"):
            IELIF(learn_scale=True).fit_scale(x)
    with pytest.raises(ConfigError, match="learn_scale=True"):
        IELIF().fit_scale(torch.ones(3))


# -- information -----------------------------------------------------------------------------------


def test_entropy_of_a_normal_input() -> None:
    """u ~ N(1/4, 1/16): 0.631 bit for a binary spike at 1/2, 1.840 bit for counts up to 4."""
    p = (torch.arange(100000, dtype=torch.float64) + 0.5) / 100000
    u = (0.25 + 0.25 * torch.special.ndtri(p)).view(1, 1, -1)
    assert spike_entropy((u >= 0.5).long(), 1) == pytest.approx(0.631, abs=5e-4)
    assert spike_entropy(4 * IELIF(4)(u), 4) == pytest.approx(1.8395, abs=5e-4)


def test_entropy_is_at_most_that_of_equal_shares() -> None:
    assert spike_entropy(torch.arange(5).repeat(7), 4) == pytest.approx(math.log2(5))
    assert spike_entropy(torch.full((3, 2), 2.0), 4) == 0.0


@pytest.mark.parametrize("counts", [[], [5.0], [-1.0], [0.25]], ids=str)
def test_entropy_of_what_is_no_count(counts: list) -> None:
    with pytest.raises(ConfigError, match=r"spike_entropy\.counts.*0\.\.4"):
        spike_entropy(torch.tensor(counts), 4)


# -- energy ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"scale": "none"}, {"learn_scale": True, "levels": 3}], ids=str)
def test_counts_are_billed_as_additions(settings: dict) -> None:
    """As many additions as unit events, for the scaled output too."""
    neuron, x = IELIF(**settings), 6 * torch.rand(4, 2, 6)
    net = nn.Sequential(neuron, snnkit.PerStep(nn.Linear(6, 10, bias=False))).eval()
    trace = snnkit.energy.trace(net, x)
    (weight,) = [r for r in trace.records if r.kind != "neuron"]
    assert (weight.a.name, weight.a.levels) == ("integer", neuron.levels)
    counts = (neuron(x) / neuron.spike_unit).round()
    assert trace.total.sum_abs == 10 * counts.sum().item()
    assert trace.total.sop == 10 * (counts > 0).sum().item()


def test_declared_costs() -> None:
    assert IELIF(4).energy_ops() == snnkit.neurons.NeuronOps(cmp=3.0)
    assert IELIF(4, tau=2.0).energy_ops() == ILIF(4).energy_ops()


@pytest.mark.parametrize(
    "settings",
    [
        {"levels": 0},
        {"levels": 2.0},
        {"levels": True},
        {"levels": 256},
        {"scale": "both"},
        {"round": "down"},
        {"learn_scale": 1},
        {"tau": 0.5},
        {"tau": "2"},
        {"tau": math.nan},
        {"detach_reset": None},
        {"scale": "post", "learn_scale": True},
    ],
    ids=str,
)
def test_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"IELIF\.{next(iter(settings))}.*expected"):
        IELIF(**settings)
