"""UltraDLIF: golden values of both forms, and who is whose neighbour."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import Tensor

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import UltraDLIF

X = torch.tensor([[0.5, -1, 2, 0], [-0.5, 0.25, 0, 1]], dtype=torch.float64).view(2, 1, 4)


def plain(**settings: Any) -> UltraDLIF:
    return UltraDLIF(learn_eps=False, **settings).double()


def potential(neuron: UltraDLIF, x: Tensor) -> Tensor:
    """U of one step from v = 0, read off the soft output."""
    return torch.logit(neuron(x.unsqueeze(0)).squeeze(0)) * neuron.eps + neuron.theta


def test_golden_linear_then_lse() -> None:
    neuron = UltraDLIF(learn_tau=True).double()
    with torch.no_grad():
        neuron.tau_raw.fill_(math.log(9))  # tau = 0.9, not rounded to float32
    x = X.clone().requires_grad_()
    out, state = neuron.run(x)
    s = [0.751033256294465, 0.903898425809903, 0.89750880326206, 0.909402050203387]
    s += [0.820606996421314, 0.753613838205919, 0.836025661245482, 0.821406753234149]
    v = [-0.0695982004142996, 0.0402862522421598, 0.0302506671838732, 0.178593246765851]
    assert out.flatten().tolist() == pytest.approx(s, abs=1e-14)
    assert state.v.flatten().tolist() == pytest.approx(v, abs=1e-14)
    (out[0].sum() + 2 * out[1].sum()).backward()
    dx = [0.164972577063786, 0.0515904412144304, 0.210192370600378, 0.110863721787014]
    assert x.grad[0].flatten().tolist() == pytest.approx(dx, rel=1e-12)
    assert neuron.log_eps.grad.item() == pytest.approx(-0.931685823294636, rel=1e-12)
    assert neuron.tau_raw.grad.item() / 0.09 == pytest.approx(0.05287724587136988, rel=1e-12)


def test_golden_lse_then_input() -> None:
    neuron = plain(form="lse_then_input", theta=1.0)
    u = torch.logit(neuron(X)) + 1.0
    wanted = [1.59861228866811, 0.0986122886681098, 3.09861228866811, 1.09861228866811]
    wanted += [1.00881520022627, 1.69417636418012, 1.42581697237079, 2.57929030106533]
    assert u.flatten().tolist() == pytest.approx(wanted, abs=1e-13)


def test_tau_of_the_second_form_scales_the_centre_alone() -> None:
    neuron = plain(form="lse_then_input", tau=0.5)
    state = neuron.State(X[0])
    s, _ = neuron.step(torch.zeros_like(X[0]), state)
    v = X[0, 0]
    u = torch.stack([v.roll(1), 0.5 * v, v.roll(-1)]).logsumexp(0)
    assert torch.allclose(s[0], torch.sigmoid(u), rtol=1e-14)


def test_neighbours_on_a_map() -> None:
    """Equal to a loop over neurons, for every kind of neighbour and boundary."""
    q = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    for boundary in ("periodic", "replicate"):

        def at(i: int, size: int, boundary: str = boundary) -> int:
            return i % size if boundary == "periodic" else min(max(i, 0), size - 1)

        maps = {name: plain(neighbours=name, boundary=boundary) for name in ("channel", "index", "spatial")}
        got = {name: potential(neuron, q) for name, neuron in maps.items()}
        for b, c, i, j in torch.cartesian_prod(*map(torch.arange, q.shape)).tolist():
            flat, place = q[b].flatten(), (c * 4 + i) * 5 + j
            wanted = {
                "channel": [q[b, at(c + d, 3), i, j] for d in (-1, 0, 1)],
                "index": [flat[at(place + d, 60)] for d in (-1, 0, 1)],
                "spatial": [q[b, c, at(i + d, 4), j] for d in (-1, 0, 1)]
                + [q[b, c, i, at(j + d, 5)] for d in (-1, 1)],
            }
            for name, terms in wanted.items():
                u = torch.stack(terms).logsumexp(0)
                assert got[name][b, c, i, j].item() == pytest.approx(u.item(), abs=1e-10), (name, boundary)


@pytest.mark.parametrize("boundary", ["periodic", "replicate"])
def test_one_channel_is_its_own_neighbour_twice(boundary: Any) -> None:
    q = torch.randn(3, 1, 4, dtype=torch.float64)
    u = potential(plain(boundary=boundary, eps=0.5), q)
    assert torch.allclose(u, q + 0.5 * math.log(3), rtol=1e-10)


def test_two_channels() -> None:
    """Periodic: the other channel is previous and next, and counts twice. Replicated: an end is its own."""
    q = torch.randn(3, 2, dtype=torch.float64)
    other = q.flip(1)
    for boundary, terms in {"periodic": (q, other, other), "replicate": (q, q, other)}.items():
        u = torch.stack(terms).logsumexp(0)
        assert torch.allclose(potential(plain(boundary=boundary), q), u, rtol=1e-10)


def test_spatial_neurons_without_a_map_have_no_neighbours() -> None:
    q = torch.randn(3, 5, dtype=torch.float64)
    assert torch.allclose(potential(plain(neighbours="spatial"), q), q, rtol=1e-10)


def test_order_matters_on_the_coupled_axis_only() -> None:
    neuron, order = plain(), torch.tensor([3, 0, 4, 2, 1])
    x = torch.randn(4, 2, 5, 5, dtype=torch.float64)
    assert torch.allclose(neuron(x[..., order]), neuron(x)[..., order], rtol=1e-12)
    assert not torch.allclose(neuron(x[:, :, order]), neuron(x)[:, :, order], rtol=1e-3)


def test_tau_has_no_effect_in_the_first_step() -> None:
    assert same_bits(plain(tau=0.2)(X[:1]), plain(tau=0.9)(X[:1]))


def test_learned_tau_starts_where_it_is_told() -> None:
    assert UltraDLIF(learn_tau=True).tau.item() == pytest.approx(0.9)
    assert UltraDLIF().tau == 0.9
    assert UltraDLIF(form="lse_then_input").tau == 1.0


def test_declared_costs() -> None:
    channel, spatial = plain(), plain(neighbours="spatial")
    assert (channel.energy_ops().cmp, spatial.energy_ops().cmp) == (2.0, 4.0)
    channel.output = "hard"
    assert (channel.energy_ops().cmp, channel.energy_ops().spike_write) == (3.0, 1.0)
    assert plain(form="lse_then_input").energy_ops().mul == channel.energy_ops().mul + 1  # soft, no leak


def test_the_channel_axis_is_needed() -> None:
    with pytest.raises(ShapeError, match=r"UltraDLIF: got a step of shape \(2,\).*unsqueeze"):
        UltraDLIF()(torch.zeros(3, 2))


@pytest.mark.parametrize(
    "settings", [{"form": "lse"}, {"neighbours": "row"}, {"boundary": "zero"}, {"learn_tau": 1}], ids=str
)
def test_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"UltraDLIF\.{next(iter(settings))}.*expected"):
        UltraDLIF(**settings)


def test_a_learned_tau_of_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"UltraDLIF\.tau with learn_tau"):
        UltraDLIF(form="lse_then_input", learn_tau=True)
