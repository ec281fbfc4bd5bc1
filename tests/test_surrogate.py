"""Surrogates: values from their formulas, derivative against primitive, and the spike function."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import Tensor

from snnkit.errors import ConfigError, InputTypeError, UnknownNameError
from snnkit.surrogate import (
    SURROGATES,
    ATan,
    Exponential,
    FastSigmoid,
    Gaussian,
    LogAbs,
    Power,
    Rectangle,
    Sigmoid,
    SoftSign,
    StraightThrough,
    Surrogate,
    Tanh,
    Triangle,
    as_surrogate,
    heaviside,
    spike,
)

EVERY = [SURROGATES.get(name)() for name in SURROGATES]
SHAPED = [type(s)(a) for s in EVERY if s != StraightThrough() for a in (1.5, 4.0)]
every = pytest.mark.parametrize("surrogate", [*EVERY, *SHAPED], ids=str)

# p at -1.5, -0.5, -0.25, 0, 0.25; six digits
POINTS = [-1.5, -0.5, -0.25, 0.0, 0.25]
TABLE: list[tuple[Surrogate, list[float]]] = [
    (Sigmoid(4), [0.00986604, 0.419974, 0.786448, 1, 0.786448]),
    (ATan(2), [0.0430912, 0.2884, 0.618486, 1, 0.618486]),
    (Triangle(1), [0, 0.5, 0.75, 1, 0.75]),
    (Rectangle(1), [0, 0, 1, 1, 1]),
    (Exponential(1), [0.111565, 0.303265, 0.3894, 0.5, 0.3894]),
    (SoftSign(2), [0.0625, 0.25, 0.444444, 1, 0.444444]),
    (FastSigmoid(1), [0.16, 0.444444, 0.64, 1, 0.64]),
    (FastSigmoid(25), [1 / 38.5**2, 1 / 13.5**2, 1 / 7.25**2, 1, 1 / 7.25**2]),
    (LogAbs(1), [0.4, 0.666667, 0.8, 1, 0.8]),
    (Gaussian(2), [0.000139253, 0.415107, 0.878783, 1.12838, 0.878783]),
    (Power(2), [0.0625, 0.25, 0.444444, 1, 0.444444]),
    (Tanh(1), [1 - math.tanh(u) ** 2 for u in POINTS]),
    (StraightThrough(), [1, 1, 1, 1, 1]),
]


@pytest.mark.parametrize(("surrogate", "wanted"), TABLE, ids=lambda v: str(v)[:40])
def test_table(surrogate: Surrogate, wanted: list[float]) -> None:
    got = surrogate.derivative(torch.tensor(POINTS, dtype=torch.float64)).tolist()
    assert got == pytest.approx(wanted, rel=3e-6, abs=1e-9)


def test_every_surrogate_is_in_the_table() -> None:
    assert {type(s) for s, _ in TABLE} == {SURROGATES.get(name) for name in SURROGATES}


@every
def test_integral_of_the_derivative_is_the_primitive(surrogate: Surrogate) -> None:
    """Trapezoids over 400 000 intervals; the corners of triangle and rectangle cost most."""
    u = torch.linspace(-4, 4, 400_001, dtype=torch.float64)
    area = torch.cumulative_trapezoid(surrogate.derivative(u), u)
    primitive = surrogate.primitive(u)
    torch.testing.assert_close(area, primitive[1:] - primitive[0], rtol=0, atol=1e-4)


@every
def test_gradient_of_the_primitive_is_the_derivative(surrogate: Surrogate) -> None:
    """Away from corners, by autograd and by finite differences."""
    u = torch.tensor(
        [-3.1, -0.83, -0.37, -0.11, 0.07, 0.29, 0.71, 2.3], dtype=torch.float64, requires_grad=True
    )
    (g,) = torch.autograd.grad(surrogate.primitive(u).sum(), u)
    torch.testing.assert_close(g, surrogate.derivative(u.detach()), rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(surrogate.primitive, u)


@every
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_derivative_is_finite_and_not_negative(surrogate: Surrogate, dtype: torch.dtype) -> None:
    size = torch.logspace(-6, 4, 500, dtype=torch.float64)
    u = torch.cat([-size, size, torch.zeros(1, dtype=torch.float64)]).to(dtype)
    p = surrogate.derivative(u)
    assert p.dtype == dtype
    assert p.shape == u.shape
    assert p.isfinite().all()
    assert (p >= 0).all()
    assert p.max() <= surrogate.derivative(torch.zeros((), dtype=torch.float64)) * 1.01
    assert surrogate.primitive(u).isfinite().all()


@every
def test_derivative_is_symmetric_and_falls_off(surrogate: Surrogate) -> None:
    u = torch.linspace(0, 3, 301, dtype=torch.float64)
    p = surrogate.derivative(u)
    torch.testing.assert_close(surrogate.derivative(-u), p, rtol=1e-9, atol=1e-12)
    assert (p.diff() <= 1e-15).all()


@every
def test_copies_and_hash(surrogate: Surrogate) -> None:
    for other in (pickle.loads(pickle.dumps(surrogate)), copy.deepcopy(surrogate), as_surrogate(surrogate)):
        assert other == surrogate
        assert hash(other) == hash(surrogate)
    assert type(surrogate).__name__ in repr(surrogate)


def test_unit_area() -> None:
    """Those that are the derivative of a step smoothed from 0 to 1."""
    u = torch.tensor([-1e6, 1e6], dtype=torch.float64)
    for surrogate in (
        ATan(),
        Sigmoid(),
        Triangle(),
        Rectangle(),
        Exponential(),
        SoftSign(),
        Gaussian(),
        Power(),
    ):
        low, high = surrogate.primitive(u)
        assert (high - low).item() == pytest.approx(1, abs=1e-5), surrogate


# -- spike -----------------------------------------------------------------------------------------


@every
@pytest.mark.parametrize("fire_at_equal", [True, False])
def test_spike_forward_and_backward(surrogate: Surrogate, fire_at_equal: bool) -> None:
    u = torch.tensor([-2.0, -0.1, 0.0, 0.1, 2.0], requires_grad=True)
    s = spike(u, surrogate, fire_at_equal)
    assert s.tolist() == [0, 0, float(fire_at_equal), 1, 1]
    g = torch.randn(5)
    s.backward(g)
    assert torch.equal(u.grad, g * surrogate.derivative(u.detach()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_spike_keeps_dtype_and_shape(dtype: torch.dtype) -> None:
    u = torch.randn(2, 3, dtype=dtype, requires_grad=True)
    s = spike(u, ATan())
    assert (s.dtype, s.shape) == (dtype, u.shape)
    s.sum().backward()
    assert u.grad is not None
    assert u.grad.dtype == dtype
    assert spike(u[:0], ATan()).shape == (0, 3)


def test_nan_and_infinity() -> None:
    u = torch.tensor([math.nan, math.inf, -math.inf])
    assert heaviside(u).tolist() == [0, 1, 0]
    assert spike(u, ATan()).tolist() == [0, 1, 0]


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.complex64])
def test_spike_refuses_other_dtypes(dtype: torch.dtype) -> None:
    with pytest.raises((ConfigError, InputTypeError), match=str(dtype)):
        spike(torch.ones(2, dtype=dtype), ATan())


@pytest.mark.parametrize("fire_at_equal", [True, False])
def test_spike_under_vmap_and_func(fire_at_equal: bool) -> None:
    u = torch.randn(4, 3)
    mapped = torch.func.vmap(lambda row: spike(row, Sigmoid(), fire_at_equal))(u)
    assert torch.equal(mapped, spike(u, Sigmoid(), fire_at_equal))
    gradient = torch.func.vmap(torch.func.grad(lambda row: spike(row, Sigmoid(), fire_at_equal).sum()))(u)
    assert torch.equal(gradient, Sigmoid().derivative(u))


@every
def test_second_derivative(surrogate: Surrogate) -> None:
    """The backward pass is differentiable: the curvature of the primitive."""
    u = torch.tensor([-0.83, -0.37, 0.29], dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(spike(u, surrogate).sum(), u, create_graph=True)
    if not first.requires_grad:
        assert isinstance(surrogate, StraightThrough | Rectangle)
        return
    (second,) = torch.autograd.grad(first.sum(), u, allow_unused=True)
    smooth = torch.autograd.functional.hessian(lambda u: surrogate.primitive(u).sum(), u.detach()).diagonal()
    got: Tensor = torch.zeros_like(smooth) if second is None else second
    torch.testing.assert_close(got, smooth, rtol=1e-9, atol=1e-12)


# -- names and settings ----------------------------------------------------------------------------


def test_names() -> None:
    assert as_surrogate("atan") == ATan(2.0)
    assert as_surrogate(Sigmoid(3)) == Sigmoid(3)
    with pytest.raises(UnknownNameError, match="did you mean 'sigmoid'"):
        as_surrogate("sigmiod")
    with pytest.raises(InputTypeError, match="expected a name or a Surrogate"):
        as_surrogate(torch.sigmoid)


@pytest.mark.parametrize("alpha", [0, -1.0, math.nan, math.inf, "2", None])
@pytest.mark.parametrize("kind", [type(s) for s in EVERY if s != StraightThrough()], ids=lambda k: k.__name__)
def test_bad_alpha(kind: type, alpha: object) -> None:
    with pytest.raises(ConfigError, match=rf"{kind.__name__}\.alpha: got {alpha!r}"):
        kind(alpha)


def test_power_needs_a_tail() -> None:
    with pytest.raises(ConfigError, match="> 1"):
        Power(1.0)


def test_surrogates_are_immutable() -> None:
    with pytest.raises(AttributeError):
        ATan().alpha = 3.0


def test_the_base_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match="Surrogate must implement derivative"):
        Surrogate().derivative(torch.zeros(1))
    with pytest.raises(TypeError, match="Surrogate must implement primitive"):
        Surrogate().primitive(torch.zeros(1))
