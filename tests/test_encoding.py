"""Encoders: golden values from the definitions, edge cases, laws, and snntorch as oracle."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnkit.encoding import ENCODERS, delta, direct, latency, rate, regular_rate
from snnkit.errors import (
    ConfigError,
    DeviceError,
    DTypeError,
    InputTypeError,
    NumericsError,
    ShapeError,
    UnknownNameError,
)

TIMED = ["direct", "latency", "rate", "regular_rate"]
unit = st.floats(0, 1, width=32)


def one_at(time: int | None, T: int) -> list[float]:
    return [float(t == time) for t in range(T)]


def test_registry():
    assert ENCODERS.names() == ["delta", *TIMED]
    assert ENCODERS.get("rate") is rate
    with pytest.raises(UnknownNameError, match="did you mean 'latency'"):
        ENCODERS.get("latncy")


# -- common contract -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 4, 5), (0, 3)])
@pytest.mark.parametrize("T", [1, 5])
def test_shape_and_dtype(name, shape, T):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        out = ENCODERS.get(name)(torch.rand(shape).to(dtype), T)
        assert out.shape == (T, *shape)
        assert out.dtype == dtype


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_bool_and_integers_become_the_default_float(name, dtype):
    out = ENCODERS.get(name)(torch.tensor([0, 1]).to(dtype), 4)
    assert out.dtype == torch.float32
    assert out[:, 1].sum() == (4 if name != "latency" else 1)


@pytest.mark.parametrize("name", TIMED)
def test_bad_input(name):
    encode = ENCODERS.get(name)
    for T in (0, -1, 2.5, True, None):
        with pytest.raises(ConfigError, match=rf"{name}\.T: got .*expected an int >= 1"):
            encode(torch.rand(2), T)
    with pytest.raises(InputTypeError, match=f"{name}: got list"):
        encode([0.5], 3)
    with pytest.raises(DTypeError, match=f"{name}: got dtype torch.complex64"):
        encode(torch.rand(2).to(torch.complex64), 3)
    with pytest.raises(ShapeError, match=rf"{name}: got shape \(\), expected \[B, \*\].*unsqueeze"):
        encode(torch.tensor(0.5), 3)
    if name != "direct":  # direct shows whatever it gets
        with pytest.raises(NumericsError, match=f"{name}: 1 of 2 values are NaN or Inf.*nan_to_num"):
            encode(torch.tensor([0.5, math.nan]), 3)


@pytest.mark.parametrize("name", ["rate", "regular_rate", "latency"])
def test_batch_rows_do_not_depend_on_each_other(name):
    x = torch.rand(4, 3)
    seeded = {"generator": torch.Generator().manual_seed(0)} if name == "rate" else {}
    whole = ENCODERS.get(name)(x, 6, **seeded)
    if name != "rate":
        assert torch.equal(whole[:, 2:3], ENCODERS.get(name)(x[2:3], 6))
    assert set(whole.unique().tolist()) <= {0.0, 1.0}


# -- direct ----------------------------------------------------------------------------------------


def test_direct_is_a_view_with_gradient():
    x = torch.rand(2, 3, requires_grad=True)
    out = direct(x, 4)
    assert out.data_ptr() == x.data_ptr()
    assert all(torch.equal(step, x) for step in out)
    out.sum().backward()
    assert torch.equal(x.grad, torch.full((2, 3), 4.0))


# -- rate ------------------------------------------------------------------------------------------


def test_rate_extremes_and_clip():
    out = rate(torch.tensor([-2.0, 0.0, 1.0, 7.0]), 1000)
    assert out.mean(0).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_rate_zero_never_fires_whatever_is_drawn(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **settings: torch.zeros(shape))
    assert rate(torch.tensor([0.0, 1e-3]), 2).tolist() == [[0.0, 1.0]] * 2


def test_rate_gain_and_offset():
    x = torch.tensor([0, 255], dtype=torch.uint8)
    assert rate(x, 200, gain=1 / 255).mean(0).tolist() == [0.0, 1.0]
    assert rate(x, 200, gain=-1 / 255, offset=1).mean(0).tolist() == [1.0, 0.0]


def test_rate_has_the_right_mean():
    p = torch.tensor([0.1, 0.5, 0.9])
    mean = rate(p, 20_000, generator=torch.Generator().manual_seed(1)).mean(0)
    assert ((mean - p).abs() < 5 * (p * (1 - p) / 20_000).sqrt()).all()


def test_rate_uses_only_its_generator():
    x = torch.rand(5, 3)
    state = torch.get_rng_state()
    first = rate(x, 9, generator=torch.Generator().manual_seed(3))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, rate(x, 9, generator=torch.Generator().manual_seed(3)))
    assert not torch.equal(first, rate(x, 9, generator=torch.Generator().manual_seed(4)))


def test_rate_refuses_a_generator_of_another_device():
    with pytest.raises(DeviceError, match=r"rate.generator: is on cpu, x on meta.*device='meta'"):
        rate(torch.rand(2, device="meta"), 3, generator=torch.Generator())


@pytest.mark.parametrize("encode", [rate, regular_rate])
@pytest.mark.parametrize("setting", ["gain", "offset"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "1"])
def test_rate_settings(encode, setting, value):
    with pytest.raises(ConfigError, match=rf"{encode.__name__}\.{setting}: got"):
        encode(torch.rand(2), 3, **{setting: value})


# -- regular rate ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "spikes"),
    [
        (0.0, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (1.0, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        (0.5, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
        (0.25, [0, 0, 0, 1, 0, 0, 0, 1, 0, 0]),
        (0.75, [0, 1, 1, 1, 0, 1, 1, 1, 0, 1]),
        (0.1, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),  # a float sum ends at 0.9999999999999999
        (0.3, [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]),
    ],
)
def test_regular_rate_golden(p, spikes):
    assert regular_rate(torch.tensor([p]), 10).flatten().tolist() == spikes


@given(st.integers(0, 64), st.integers(1, 40))
def test_regular_rate_is_an_integrate_and_fire_neuron(k, T):
    p = k / 64  # dyadic: the float sum is exact
    v, wanted = 0.0, []
    for _ in range(T):
        v += p
        wanted.append(float(v >= 1))
        v -= wanted[-1]
    assert regular_rate(torch.tensor([p]), T).flatten().tolist() == wanted


@given(unit, st.integers(1, 200))
def test_regular_rate_keeps_the_count_at_every_step(p, T):
    spikes = regular_rate(torch.tensor([p]), T).flatten()
    steps = torch.arange(1, T + 1)
    assert ((spikes.cumsum(0) - steps * p).abs() < 1 + 1e-4).all()
    assert (spikes.cumsum(0) <= steps * p + 1e-4).all()


# -- latency ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "x", "T", "time"),
    [
        ("linear", 1.0, 5, 0),
        ("linear", 0.0, 5, 4),
        ("linear", 0.5, 5, 2),
        ("linear", 0.9, 11, 1),
        ("linear", 0.5, 2, 0),  # 0.5 rounds to the even step
        ("linear", 0.5, 4, 2),  # 1.5 too
        ("linear", 0.3, 1, 0),
        ("log", 1.0, 5, 0),
        ("log", 0.0, 5, 4),
        ("log", 0.5, 5, 1),  # 4 - ln(27.799 + 1) = 0.674
        ("log", 0.1, 5, 2),  # 4 - ln(5.3598 + 1) = 2.150
        ("log", 0.01, 5, 4),  # 4 - ln(0.53598 + 1) = 3.571
        ("log", 0.3, 1, 0),
        ("log", 0.5, 2, 0),  # 1 - ln(0.859 + 1) = 0.380
        ("log", 1e-3, 1001, 7),  # 1000 - ln(exp(1000) 1e-3) = 6.908, exp(1000) overflows
        ("log", 0.0, 1001, 1000),
    ],
)
def test_latency_golden(scale, x, T, time):
    assert latency(torch.tensor([x]), T, scale=scale).flatten().tolist() == one_at(time, T)


@given(st.lists(unit, min_size=1, max_size=20), st.integers(1, 50), st.sampled_from(["linear", "log"]))
def test_latency_fires_once_and_earlier_for_larger_values(values, T, scale):
    spikes = latency(torch.tensor(sorted(values)), T, scale=scale)
    assert (spikes.sum(0) == 1).all()
    assert (spikes.argmax(0).diff() <= 0).all()


@given(unit, st.integers(1, 12))
def test_log_latency_equals_its_formula(x, T):
    exact = T - 1 - math.log((math.exp(T - 1) - 1) * x + 1)
    time = latency(torch.tensor([x], dtype=torch.float64), T, scale="log").argmax(0).item()
    assert abs(time - exact) <= 0.5 + 1e-6


def test_latency_skip_zero():
    spikes = latency(torch.tensor([0.0, 1e-9, 1.0]), 4, skip_zero=True)
    assert spikes.sum(0).tolist() == [0.0, 1.0, 1.0]


def test_latency_refuses_values_and_settings_out_of_range():
    with pytest.raises(ConfigError, match=r"latency: x is between -0.5 and 1, expected values in \[0, 1\]"):
        latency(torch.tensor([-0.5, 1.0]), 3)
    with pytest.raises(ConfigError, match=r"between 0 and 255.*Scale it"):
        latency(torch.tensor([0, 255], dtype=torch.uint8), 3)
    with pytest.raises(ConfigError, match=r'latency.scale: got \'cubic\', expected "linear" or "log"'):
        latency(torch.rand(2), 3, scale="cubic")


# -- delta -----------------------------------------------------------------------------------------

SIGNAL = torch.tensor([0.5, 0.75, 0.75, 0.25, 0.0, 1.0]).view(-1, 1)


@pytest.mark.parametrize(
    ("settings", "spikes"),
    [
        ({}, [1, 1, 0, 0, 0, 1]),  # a change equal to the threshold fires
        ({"padding": "first"}, [0, 1, 0, 0, 0, 1]),
        ({"off_spikes": True}, [1, 1, 0, -1, -1, 1]),
        ({"off_spikes": True, "padding": "first"}, [0, 1, 0, -1, -1, 1]),
        ({"threshold": 0.5}, [1, 0, 0, 0, 0, 1]),
        ({"threshold": 0.5, "off_spikes": True}, [1, 0, 0, -1, 0, 1]),
    ],
)
def test_delta_golden(settings, spikes):
    assert delta(SIGNAL, **({"threshold": 0.25} | settings)).flatten().tolist() == spikes


def test_delta_empty_and_single_step():
    assert delta(torch.zeros(0, 2, 3)).shape == (0, 2, 3)
    assert delta(torch.ones(1, 2)).tolist() == [[1.0, 1.0]]
    assert delta(torch.ones(1, 2), padding="first").tolist() == [[0.0, 0.0]]


def test_delta_bad_input():
    for threshold in (0, -0.1, math.nan, math.inf, "a"):
        with pytest.raises(ConfigError, match=r"delta.threshold: got .* a finite number > 0"):
            delta(SIGNAL, threshold=threshold)
    with pytest.raises(ConfigError, match=r'delta.padding: got \'same\', expected "zero" or "first"'):
        delta(SIGNAL, padding="same")
    with pytest.raises(ShapeError, match=r"delta: got shape \(6,\), expected at least 2 axes"):
        delta(SIGNAL.flatten())
    with pytest.raises(NumericsError, match="delta: 1 of 1"):
        delta(torch.full((1, 1), math.nan))


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=30))
def test_delta_is_antisymmetric(levels):
    x = torch.tensor(levels, dtype=torch.float32).view(-1, 1) / 8
    settings = {"threshold": 0.25, "off_spikes": True}
    assert torch.equal(delta(-x, **settings), -delta(x, **settings))


@pytest.mark.oracle
@pytest.mark.parametrize("off_spikes", [False, True])
@pytest.mark.parametrize("padding", ["zero", "first"])
def test_delta_equals_snntorch(off_spikes, padding):
    spikegen = pytest.importorskip("snntorch.spikegen")
    x = torch.randn(50, 4, 6, generator=torch.Generator().manual_seed(0))
    theirs = spikegen.delta(x, threshold=0.3, padding=padding == "first", off_spike=off_spikes)
    assert torch.equal(delta(x, threshold=0.3, off_spikes=off_spikes, padding=padding), theirs)
