"""Bit-serial pricing: popcounts against a loop over every pair."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import estimate, price, trace
from snnkit.energy.popcount import popcount
from snnkit.errors import ConfigError


def ones_in(x, unit=1.0):
    """Popcount of every value, by Python."""
    return (
        torch.tensor([bin(round(abs(v) / unit)).count("1") for v in x.flatten().tolist()])
        .view(x.shape)
        .double()
    )


def test_popcount():
    x = torch.arange(-255.0, 256)
    assert torch.equal(popcount(x, 1.0).double(), ones_in(x))
    assert torch.equal(popcount(x / 9, 1 / 9).double(), ones_in(x))


def pop(record, side="a"):
    return record.total(f"pop_{side}")


@pytest.mark.parametrize("unit", [1.0, 0.25, 1 / 9])
@pytest.mark.parametrize("seed", range(4))
def test_weight_layers_against_a_loop(unit, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 8, (2, 4, 6, 5), generator=g).float() * unit
    x[0, 0, 0, 0], x[0, 0, 0, 1] = 7 * unit, unit
    layers = [
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False),
        nn.ConvTranspose2d(4, 3, 2, stride=2, bias=False),
        nn.Linear(5, 7),
    ]
    for layer in layers:
        exact = ones_in(x, unit)
        if isinstance(layer, nn.Linear):
            expected = exact.sum() * 7
        else:
            with torch.no_grad():
                ones = {n: torch.ones_like(p).double() for n, p in layer.named_parameters()}
            expected = torch.func.functional_call(layer.double(), ones, (exact,)).sum()
            layer.float()
        (record,) = [r for r in trace(layer, x, popcounts=True).records if r.kind == "weight"]
        assert pop(record) == pytest.approx(float(expected))


class Multiply(nn.Module):
    def forward(self, a, b):
        return a @ b


@pytest.mark.parametrize("seed", range(4))
def test_products_of_two_integer_operands(seed):
    g = torch.Generator().manual_seed(seed)
    a, b = (torch.randint(-5, 6, shape, generator=g).float() for shape in ((3, 4, 6), (3, 6, 2)))
    (record,) = trace(Multiply(), (a, b), popcounts=True).records
    assert pop(record, "a") == ones_in(a).sum() * 2
    assert pop(record, "b") == ones_in(b).sum() * 4


def test_bilinear_layers():
    g = torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 4, (5, n), generator=g).float() for n in (3, 4))
    layer = nn.Bilinear(3, 4, 2)
    (record,) = [r for r in trace(layer, (x, y), popcounts=True).records if r.kind == "weight"]
    assert pop(record) == ones_in(x.unsqueeze(2) * y.unsqueeze(1)).sum() * 2


def test_weights_on_the_left():
    weight = nn.Parameter(torch.randn(3, 4))

    class Left(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = weight

        def forward(self, x):
            return self.weight @ x

    x = torch.randint(0, 6, (4, 5)).float()
    x[0, :2] = torch.tensor([3.0, 1.0])
    (record,) = trace(Left(), x, popcounts=True).records
    assert pop(record) == ones_in(x).sum() * 3


def test_price_by_hand():
    x, layer = torch.tensor([[0.0, 1, 2, 7]]), nn.Linear(4, 3, bias=False)
    report = estimate(layer, x, "45nm-int8", dataflow="compute", multilevel="bitserial")
    assert report.by_term == pytest.approx({"ac": (1 + 1 + 3) * 3 * (0.03 + 0.03)})
    spikes = estimate(layer, x.ne(0).float(), "45nm-int8", dataflow="compute", multilevel="bitserial")
    assert spikes.by_term == pytest.approx({"ac": 9 * 0.03})
    with pytest.raises(ConfigError, match="popcounts=True"):
        price(trace(layer, x), multilevel="bitserial")


def test_popcounts_change_nothing_else():
    x = torch.randint(0, 5, (3, 2, 1, 6, 6)).float()
    net = nn.Sequential(nn.Flatten(0, 1), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    plain, more = (trace(net, x, T=3, popcounts=flag) for flag in (False, True))
    assert plain.total == more.total
    assert plain.warnings == more.warnings
    assert price(plain).total_pj == price(more).total_pj
    assert F.relu(x).equal(x)
