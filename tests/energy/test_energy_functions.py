"""Functions are counted by the elementary operations of their textbook formula, in every mode alike."""

from __future__ import annotations

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from snnkit.energy import price, trace

N = 2 * 3 * 4  # elements of the input
CLASSES = ("adds", "muls", "cmps", "and_ops", "exps", "divs", "sqrts", "reads")


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def counted(model, *inputs):
    total = None
    for mode in (contextlib.nullcontext, torch.no_grad, torch.inference_mode):
        with mode():
            result = trace(model, inputs)
        assert not result.uncounted
        assert total in (None, result.total)
        total = result.total
    return {name: getattr(total, name) for name in CLASSES if getattr(total, name)}


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (torch.exp, {"exps": N}),
        (torch.log1p, {"exps": N, "adds": N}),
        (torch.sigmoid, {"exps": N, "adds": N, "divs": N}),
        (torch.tanh, {"exps": N, "adds": 2 * N, "divs": N}),
        (F.silu, {"exps": N, "adds": N, "divs": N, "muls": N}),
        (F.gelu, {"exps": N, "adds": N, "muls": 2 * N}),
        (lambda x: F.gelu(x, approximate="tanh"), {"exps": N, "adds": 4 * N, "muls": 5 * N, "divs": N}),
        (F.softplus, {"exps": 2 * N, "adds": N, "cmps": N}),
        (torch.sqrt, {"sqrts": N}),
        (torch.rsqrt, {"sqrts": N, "divs": N}),
        (torch.reciprocal, {"divs": N}),
        (lambda x: x / x, {"divs": N}),
        (lambda x: 2.0 / x, {"divs": N}),
        (lambda x: x**2, {"muls": N}),
        (lambda x: x**3, {"muls": 2 * N}),
        (lambda x: x**6, {"muls": 3 * N}),
        (lambda x: x**0.5, {"sqrts": N}),
        (lambda x: x**-2, {"muls": N, "divs": N}),
        (lambda x: x**2.5, {"exps": 2 * N, "muls": N}),
        (lambda x: x.abs() ** x, {"exps": 2 * N, "muls": N, "cmps": N}),
        (lambda x: x.softmax(-1), {"exps": N, "divs": N, "cmps": N - 6, "adds": 2 * N - 6}),
        (lambda x: x.softmax(1), {"exps": N, "divs": N, "cmps": N - 8, "adds": 2 * N - 8}),
        (lambda x: x.log_softmax(-1), {"exps": N + 6, "cmps": N - 6, "adds": 3 * N - 6}),
        (lambda x: F.layer_norm(x, (4,)), {"adds": 3 * N, "muls": 2 * N + 12, "sqrts": 6, "divs": 6}),
        (lambda x: F.group_norm(x, 3), {"adds": 3 * N, "muls": 2 * N + 12, "sqrts": 6, "divs": 6}),
        (lambda x: F.instance_norm(x), {"adds": 3 * N, "muls": 2 * N + 12, "sqrts": 6, "divs": 6}),
        (lambda x: x.var(-1), {"adds": 3 * N, "muls": N + 12}),
        (lambda x: x.norm(dim=-1), {"muls": N, "adds": N - 6, "sqrts": 6}),
        (lambda x: x.norm(p=1, dim=-1), {"cmps": N, "adds": N - 6}),
        (lambda x: x.prod(-1), {"muls": N - 6}),
        (lambda x: x.round(), {"cmps": N}),
        (lambda x: torch.where(x > 0, x, 0.0), {"cmps": N}),
        (lambda x: x.sort(-1).values, {"cmps": 2 * N}),
        (lambda x: x.topk(1, -1).values, {"cmps": N}),
        (lambda x: torch.lerp(x, x.flip(0), 0.3), {"adds": 2 * N, "muls": N}),
        (lambda x: F.interpolate(x, scale_factor=2, mode="linear"), {"muls": 4 * N, "adds": 2 * N}),
        (lambda x: F.fold(x.reshape(1, 4, 6), (3, 4), 2), {"adds": N}),
    ],
)
def test_functions_of_one_operand(function, expected):
    assert counted(Apply(function), torch.rand(2, 3, 4) + 0.5) == expected


def test_affine_norms():
    extra = counted(nn.LayerNorm(4), torch.randn(2, 3, 4))
    assert extra == {"adds": 4 * N, "muls": 3 * N + 12, "sqrts": 6, "divs": 6}
    assert counted(nn.RMSNorm(4), torch.randn(2, 3, 4))["sqrts"] == 6


@pytest.mark.parametrize("points", [5, 40])  # torch has another kernel above 25 points
def test_distances_between_points(points):
    x, y = torch.randn(points, 3), torch.randn(7, 3)
    pairs = points * 7
    euclid = {"adds": 5 * pairs, "muls": 3 * pairs, "sqrts": pairs}
    assert counted(Apply(torch.cdist), x, y) == euclid
    assert counted(Apply(lambda a, b: torch.cdist(a, b, p=1)), x, y) == {"adds": 5 * pairs, "cmps": 3 * pairs}


def test_lookups():
    bags = nn.EmbeddingBag(10, 4)
    assert counted(bags, torch.arange(6).view(2, 3)) == {"reads": 24, "adds": 16, "muls": 8}
    add = Apply(lambda x: torch.zeros(3, 4).index_add(0, torch.tensor([0, 0, 2]), x))
    assert counted(add, torch.randn(3, 4)) == {"adds": 12}


def test_a_profile_without_their_prices_says_so():
    report = price(trace(nn.Softmax(-1), torch.randn(2, 4)))
    assert {u.op for u in report.uncounted} == {"exps", "divs"}
    assert any("no price" in w for w in report.warnings)


@pytest.mark.parametrize(
    "function",
    [torch.add, torch.sub, lambda x, y: x.clone().add_(y), lambda x, y: x.clone().sub_(y, alpha=2)],
    ids=["add", "sub", "add_", "sub_"],
)
def test_residuals_of_spikes_add_where_both_fire(function):
    g = torch.Generator().manual_seed(0)
    a, b = ((torch.rand(4, 3, 5, generator=g) < 0.5).float() for _ in "ab")

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Identity(), nn.Identity()
            self.a.energy_ops = self.b.energy_ops = lambda: object()

        def forward(self, x, y):
            x, y = self.a(x), self.b(y)
            return function(x, y)

    result = trace(Residual(), (a, b), T=4)
    assert result.total.adds == int((a * b).sum())
    assert [s.adds for s in result.by_step] == [int(v) for v in (a * b).sum((1, 2))]
    assert trace(Apply(torch.add), (torch.randn(4, 3), torch.randn(4, 3))).total.adds == 12


def test_square_roots_are_priced_where_a_source_prices_them():
    class Root(nn.Module):
        def forward(self, x):
            return x.sqrt()

    counted = trace(Root(), torch.rand(2, 3))
    assert [u.op for u in price(counted, "45nm-fp32").uncounted] == ["sqrts"]
    priced = price(counted, "neuromc", dataflow="compute")
    assert (priced.uncounted, priced.total_pj) == ((), pytest.approx(3 * 0.514))
