"""Surrogate derivatives equal those of the libraries where the formulas coincide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from helpers import oracle
from torch import Tensor

from snnkit import surrogate as ours

pytestmark = pytest.mark.oracle

SPIKINGJELLY: dict[str, tuple[Callable[[float], ours.Surrogate], tuple[float, ...]]] = {
    "ATan": (ours.ATan, (1.0, 2.0, 3.5)),
    "Sigmoid": (ours.Sigmoid, (1.0, 4.0)),
    "PiecewiseQuadratic": (ours.Triangle, (1.0, 0.5, 2.0)),
    "PiecewiseExp": (ours.Exponential, (1.0, 2.0)),
    "SoftSign": (ours.SoftSign, (2.0, 5.0)),
    "NonzeroSignLogAbs": (ours.LogAbs, (1.0, 3.0)),
    "Erf": (ours.Gaussian, (2.0, 1.0)),
    "QPseudoSpike": (ours.Power, (2.0, 3.0)),
    "Rect": (ours.Rectangle, (1.0, 0.5, 2.0)),
}
SNNTORCH: list[tuple[str, dict[str, Any], ours.Surrogate]] = [
    ("atan", {"alpha": 2.0}, ours.ATan(2.0)),
    ("fast_sigmoid", {"slope": 25}, ours.FastSigmoid(25)),
    ("fast_sigmoid", {"slope": 5}, ours.FastSigmoid(5)),
    ("sigmoid", {"slope": 5}, ours.Sigmoid(5)),
    ("straight_through_estimator", {}, ours.StraightThrough()),
]
NORSE: list[tuple[str, float, ours.Surrogate]] = [
    ("super", 100.0, ours.FastSigmoid(1)),
    ("super", 1.0, ours.FastSigmoid(1)),
    ("tanh", 1.5, ours.Tanh(1.5)),
    ("triangle", 1.0, ours.Triangle(1.0)),
]


def points() -> Tensor:
    grid = torch.linspace(-3, 3, 601)
    return torch.cat([grid, torch.tensor([-1.5, -0.51, -0.49, -0.25, 0.0, 0.25])])


def assert_same(theirs: Callable[[Tensor], Tensor], mine: ours.Surrogate, *, at_zero: bool) -> None:
    u = points()
    if isinstance(mine, ours.Rectangle):  # libraries differ on the two edge points themselves
        u = u[(u.abs() - 1 / (2 * mine.alpha)).abs() > 1e-6]
    g = torch.randn_like(u)
    a, b = u.clone().requires_grad_(), u.clone().requires_grad_()
    s = ours.spike(a, mine, fire_at_equal=at_zero)
    z = theirs(b)
    assert torch.equal(s, z)
    (s * g).sum().backward()
    (z * g).sum().backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "alpha"), [(n, a) for n, (_, alphas) in SPIKINGJELLY.items() for a in alphas]
)
def test_spikingjelly(name: str, alpha: float) -> None:
    theirs = getattr(oracle("spikingjelly.activation_based.surrogate"), name)(alpha=alpha)
    assert_same(theirs, SPIKINGJELLY[name][0](alpha), at_zero=True)


def test_spikingjelly_straight_through() -> None:
    theirs = oracle("spikingjelly.activation_based.surrogate").DeterministicPass()
    assert_same(theirs, ours.StraightThrough(), at_zero=True)


@pytest.mark.parametrize(("name", "settings", "mine"), SNNTORCH, ids=lambda v: str(v))
def test_snntorch(name: str, settings: dict[str, Any], mine: ours.Surrogate) -> None:
    theirs = getattr(oracle("snntorch.surrogate"), name)(**settings)
    assert_same(theirs, mine, at_zero=False)


@pytest.mark.parametrize(("method", "alpha", "mine"), NORSE, ids=lambda v: str(v))
def test_norse(method: str, alpha: float, mine: ours.Surrogate) -> None:
    threshold = oracle("norse.torch.functional.threshold").threshold
    assert_same(lambda u: threshold(u, method, alpha), mine, at_zero=False)


def test_every_surrogate_has_an_oracle() -> None:
    compared = (
        {cls for cls, _ in SPIKINGJELLY.values()}
        | {type(s) for *_, s in SNNTORCH}
        | {type(s) for *_, s in NORSE}
    )
    assert {ours.SURROGATES.get(name) for name in ours.SURROGATES} == compared
