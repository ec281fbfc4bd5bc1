"""Count spikes of SpikingBrain: golden values, whose unit it is, gradients, exact expansion, costs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import nn

import snnkit
from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import CountSpike

X = torch.tensor([0.9, -1.5, 0.06, 3, -0.3, 0], dtype=torch.float64).view(1, 6)
MODES: list[dict[str, Any]] = [
    {"mode": "binary"},
    {"mode": "ternary"},
    {"mode": "bitwise"},
    {"mode": "bitwise", "twos_complement": True},
]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_golden(mode: dict) -> None:
    neuron = CountSpike(**mode)
    n, unit = neuron.counts(X)
    wanted = [3, -5, 0, 9, -1, 0] if neuron.signed else [3, 0, 0, 9, 0, 0]
    assert n.flatten().tolist() == wanted
    assert unit.item() == pytest.approx(0.32, abs=1e-15)
    assert neuron(X.unsqueeze(0)).flatten().tolist() == pytest.approx([0.32 * n for n in wanted], abs=1e-14)


def test_gradient_is_that_of_the_identity() -> None:
    """Straight through, with V as a constant: no gradient between the features of a token."""
    x = X.clone().unsqueeze(0).requires_grad_()
    g = torch.arange(1.0, 7.0, dtype=torch.float64)
    (CountSpike()(x) * g).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx(g.tolist(), rel=1e-14)


@pytest.mark.parametrize(
    ("settings", "counts", "gradient"),
    [
        ({"n_max": 4}, [3, -4, 0, 4, -1, 0], [1, 0, 1, 0, 1, 1]),
        ({"n_max": 5, "mode": "bitwise"}, [3, -5, 0, 5, -1, 0], [1, 1, 1, 0, 1, 1]),
        ({"n_max": 4, "mode": "binary"}, [3, 0, 0, 4, 0, 0], [1, 0, 1, 0, 0, 1]),
        ({"unit": 1.0}, [1, -2, 0, 3, 0, 0], [1, 1, 1, 1, 1, 1]),
    ],
    ids=str,
)
def test_clipped_counts(settings: dict, counts: list, gradient: list) -> None:
    neuron, x = CountSpike(**settings), X.clone().unsqueeze(0).requires_grad_()
    n, unit = neuron.counts(x[0].detach())
    assert n.flatten().tolist() == counts
    out = neuron(x)
    assert same_bits(out.detach()[0], n * unit)
    out.sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx(gradient)


def test_every_token_has_its_own_unit() -> None:
    """``dim`` says which axis holds the features of a token: channels of a map, or the last axis."""
    x = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    _, per_pixel = CountSpike().counts(x)
    _, per_token = CountSpike(dim=-1).counts(x)
    assert per_pixel.shape == (2, 1, 4, 3)
    assert per_token.shape == (2, 5, 4, 1)
    assert torch.allclose(per_pixel, x.abs().mean(1, keepdim=True) / 3)
    assert torch.allclose(per_token, x.abs().mean(3, keepdim=True) / 3)
    token = x[:, :, 1:2, 2:3]
    assert same_bits(CountSpike()(token[None]), CountSpike()(x[None])[:, :, :, 1:2, 2:3])
    same = CountSpike(dim=-1)(x.movedim(1, -1).unsqueeze(0)).movedim(-1, 2)
    assert torch.allclose(same, CountSpike()(x[None]))


@pytest.mark.parametrize("shape", [(4, 7, 33), (3, 5, 64, 7, 7), (2, 3, 19, 40)], ids=str)
@pytest.mark.parametrize("dim", [1, -1])
def test_a_row_alone_has_the_same_bits_as_in_a_batch(shape: tuple, dim: int) -> None:
    neuron, x = CountSpike(dim=dim), torch.randn(*shape)
    whole = neuron(x)
    for b in range(shape[1]):
        assert same_bits(neuron(x[:, b : b + 1]), whole[:, b : b + 1])
    assert same_bits(neuron(x.transpose(2, -1).contiguous().transpose(2, -1)), whole)


def test_bounds_of_the_unit() -> None:
    assert CountSpike().counts(torch.zeros(1, 3))[1].item() == pytest.approx(1e-5)
    assert CountSpike().counts(torch.full((1, 3), 1e9))[1].item() == 1e4
    assert not CountSpike()(torch.zeros(2, 1, 3)).any()


@pytest.mark.parametrize("n_max", [None, 6])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_expansion_is_exact(mode: dict, n_max: int | None) -> None:
    """``[T*S, B, *]`` events of size 1 collapse to the counts, also behind a linear layer."""
    neuron = CountSpike(**mode, n_max=n_max)
    x = torch.randn(6, 5, 7)
    n = torch.stack([neuron.counts(x_t)[0] for x_t in x])
    levels = None if n_max else int(n.abs().max())
    frames = neuron.expand(n, levels)
    top = n_max or levels or 1
    wanted = {"unary": top, "ternary": top, "bitwise": top.bit_length()}.get(
        neuron.code, top.bit_length() + 1
    )
    assert frames.shape == (6 * wanted, 5, 7)
    assert set(frames.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert same_bits(neuron.collapse(frames, levels), n)
    weights = torch.randint(-9, 9, (7, 3)).float()
    assert same_bits(neuron.collapse(frames @ weights, levels), n @ weights)


def test_events_of_the_codes() -> None:
    """What the codes are for: a count of 9 is 9 events, or two."""
    n = torch.tensor([[9.0]])
    events = [int(CountSpike(**mode).expand(n, 9).abs().sum()) for mode in MODES]
    assert events == [9, 9, 2, 2]


@pytest.mark.parametrize(
    ("settings", "alphabet"),
    [
        ({}, "real"),
        ({"n_max": 7}, "real"),
        ({"n_max": 7, "unit": 0.3}, "integer"),
        ({"n_max": 1, "unit": 0.3}, "ternary"),
        ({"n_max": 7, "unit": 1.0, "mode": "binary"}, "integer"),
    ],
    ids=str,
)
def test_energy(settings: dict, alphabet: str) -> None:
    """Units that differ between tokens are real inputs of the next layer; one fixed unit makes it integer."""
    neuron, x = CountSpike(**settings), 3 * torch.randn(4, 3, 6)
    net = nn.Sequential(neuron, snnkit.PerStep(nn.Linear(6, 10, bias=False))).eval()
    trace = snnkit.energy.trace(net, x)
    (weight,) = [r for r in trace.records if r.kind != "neuron"]
    assert weight.a.name == alphabet
    if alphabet != "real":
        assert weight.a.signed == neuron.signed
        assert trace.total.sum_abs == pytest.approx(10 * (neuron(x) / neuron.spike_unit).abs().sum().item())


@pytest.mark.parametrize(("dim", "shape"), [(2, (3, 2, 5)), (1, (3, 2)), (-2, (3, 2, 5)), (-5, (3, 2, 5))])
def test_an_axis_that_is_not_there(dim: int, shape: tuple) -> None:
    with pytest.raises(ShapeError, match=rf"CountSpike\(dim={dim}\): got a step of shape"):
        CountSpike(dim=dim)(torch.zeros(shape))


@pytest.mark.parametrize(
    "settings",
    [
        {"k": 0},
        {"k": True},
        {"k": math.nan},
        {"mode": "unary"},
        {"n_max": 0},
        {"n_max": 256},
        {"n_max": 2.0},
        {"unit": 0.0},
        {"unit": "1"},
        {"dim": 0},
        {"dim": 1.0},
        {"dim": True},
        {"twos_complement": True},
        {"twos_complement": 1, "mode": "bitwise"},
    ],
    ids=str,
)
def test_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"CountSpike\.{next(iter(settings))}.*expected"):
        CountSpike(**settings)


def test_levels_must_be_known() -> None:
    with pytest.raises(ConfigError, match=r"CountSpike\.levels: got None.*counts\.abs"):
        CountSpike().expand(torch.ones(1, 1))
