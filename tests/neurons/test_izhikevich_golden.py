"""Golden values of both Izhikevich neurons, a plain simulation, populations, and what keeps them finite."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_input, oracle, relative_error, same_bits, trace

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import DimensionlessIzhikevich, Izhikevich
from snnkit.neurons.izhikevich import PRESETS

FIRST_V = [-61.5, -58.105, -54.3471795, -49.65316985789563, -42.99825818439398]
FIRST_U = [-13, -12.993, -12.97928, -12.958181559, -12.927906083125793]
UNIT_V = [0.2725, 0.502690625, 0.564480260356445, 0, -0.319167202027362]
UNIT_V += [0.910037469346941, 0.767634918834706, 0.358653249671155]


def test_golden_values() -> None:
    s, state = trace(Izhikevich(), torch.full((200, 1, 1), 10.0, dtype=torch.float64))
    assert state.v[:5].flatten().tolist() == pytest.approx(FIRST_V, abs=1e-13)
    assert state.u[:5].flatten().tolist() == pytest.approx(FIRST_U, abs=1e-13)
    assert s.flatten().nonzero().flatten().tolist() == [7, 57, 149]
    assert state.v[-1].item() == pytest.approx(-68.06478670920006, abs=1e-9)
    assert state.u[-1].item() == pytest.approx(-5.366371242574441, abs=1e-10)


def simulate(current: list[float], a: float, b: float, c: float, d: float, dt: float) -> list[int]:
    """The published equations in plain Python."""
    v, u, spikes = -65.0, -65.0 * b, []
    for t, i in enumerate(current):
        v, u = v + dt * (0.04 * v**2 + 5 * v + 140 - u + i), u + dt * a * (b * v - u)
        if v >= 30:
            spikes.append(t)
            v, u = c, u + d
    return spikes


@pytest.mark.parametrize("dt", [0.25, 1.0])
@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str, dt: float) -> None:
    x = 10 + 3 * torch.randn(1500, 1, 1, dtype=torch.float64)
    spikes = Izhikevich(preset, dt=dt)(x).flatten().nonzero().flatten().tolist()
    assert spikes == simulate(x.flatten().tolist(), **PRESETS[preset], dt=dt)
    assert len(spikes) > 5


def test_patterns() -> None:
    """Regular cells adapt, chattering ones burst, fast ones are fastest."""
    x = torch.full((2000, 1, 1), 10.0, dtype=torch.float64)
    gaps = {p: Izhikevich(p)(x).flatten().nonzero().flatten().diff() for p in ("RS", "CH", "FS")}
    assert gaps["RS"][0] < 0.7 * gaps["RS"][-1]
    assert gaps["CH"].min() < 0.2 * gaps["CH"].max()
    assert len(gaps["FS"]) > 2 * len(gaps["RS"])


@pytest.mark.parametrize("detach_reset", [False, True])
def test_gradients(detach_reset: bool) -> None:
    """Those of the published equations with a soft spike of width 95 mV."""
    x = 400 * torch.rand(12, 1, 1, dtype=torch.float64)
    x.requires_grad_()
    v, u = torch.tensor(-65.0).double(), torch.tensor(-13.0).double()
    outs = []
    for i in x.flatten():
        h = v + 0.5 * (0.04 * v**2 + 5 * v + 140 - u + i)
        u = u + 0.5 * 0.02 * (0.2 * v - u)
        s = torch.atan(math.pi * (h - 30) / 95) / math.pi
        s = s + ((h >= 30).double() - s).detach()
        outs.append(s)
        r = s.detach() if detach_reset else s
        v, u = r * -65 + (1 - r) * (h if h < 30 else h.detach().clamp(max=30)), u + 8 * r
    weights = torch.arange(1.0, 13.0).double()
    (wanted,) = torch.autograd.grad((weights * torch.stack(outs)).sum(), x)
    got = Izhikevich(detach_reset=detach_reset)(x).flatten()
    assert torch.equal(got, torch.stack(outs))
    assert got.sum() > 3
    (gradient,) = torch.autograd.grad((weights * got).sum(), x)
    assert relative_error(gradient, wanted) < 1e-12


def test_without_surrogate_spikes_have_no_gradient() -> None:
    x = torch.full((50, 1, 1), 10.0, requires_grad=True)
    spikes, state = Izhikevich(surrogate=None).run(x)
    assert same_bits(spikes, Izhikevich()(x).detach())
    assert not spikes.requires_grad
    state.v.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("neuron", [Izhikevich(), Izhikevich(dt=1.0), DimensionlessIzhikevich()], ids=repr)
@pytest.mark.parametrize("size", [1e3, 1e10, 3e38])
def test_huge_inputs_leave_everything_finite(neuron: Any, size: float) -> None:
    x = (size * (2 * torch.rand(100, 2, 50) - 1)).requires_grad_()
    spikes, state = neuron.run(x)
    (spikes.sum() + sum(s.sum() for s in state)).backward()
    assert all(t.isfinite().all() for t in (*state, x.grad))
    assert 0 < spikes.mean() < 1


def test_clamps_do_not_touch_published_dynamics() -> None:
    """A hyperpolarising current of -40 is followed exactly; v_min bounds what Euler cannot follow."""
    neuron = Izhikevich()
    assert neuron.v_min == -112.5
    _, state = trace(neuron, torch.full((2000, 1, 1), -40.0, dtype=torch.float64))
    assert state.v.min() > -100
    v = state.v[-1]
    assert abs(0.04 * v**2 + 5 * v + 140 - 0.2 * v - 40).item() < 1e-6  # the fixed point, u = b v
    _, state = trace(neuron, torch.full((50, 1, 1), -1000.0))
    assert state.v.min() == neuron.v_min


def test_input_scale() -> None:
    x = 20 * torch.rand(100, 2, 3, dtype=torch.float64)
    assert same_bits(Izhikevich(input_scale=8.0)(x / 8), Izhikevich()(x))


def test_values_per_channel() -> None:
    """A heterogeneous layer is its neurons side by side, whatever the other axes are."""
    neuron = Izhikevich(a=[0.02, 0.1], d=torch.tensor([8.0, 2.0], dtype=torch.float64), c=-60)
    x = 20 * torch.rand(200, 2, 2, 3, dtype=torch.float64)
    out = neuron.double()(x)
    for i, (a, d) in enumerate([(0.02, 8.0), (0.1, 2.0)]):
        a = torch.tensor(a).double().item()  # the list was kept in float32
        assert same_bits(out[:, :, i], Izhikevich(a=a, d=d, c=-60)(x[:, :, i]))
    with pytest.raises(ShapeError, match=r"Izhikevich\(channels=2\).*axis 2"):
        neuron(torch.zeros(4, 2, 3))
    assert "a=[2]" in repr(neuron)


def test_population() -> None:
    def make(seed: int) -> Izhikevich:
        return Izhikevich.population(80, 20, torch.Generator().manual_seed(seed), dt=1.0)

    cells, again, other = make(0), make(0), make(1)
    assert cells.channels == 100
    assert all(same_bits(getattr(cells, k), getattr(again, k)) for k in "abcd")
    assert not same_bits(cells.c, other.c)
    e, i = slice(0, 80), slice(80, 100)
    r = ((cells.c[e] + 65) / 15).sqrt()
    assert bool(((r >= 0) & (r < 1)).all())
    torch.testing.assert_close(cells.d[e], 8 - 6 * r**2)
    r = (cells.a[i] - 0.02) / 0.08
    torch.testing.assert_close(cells.b[i], 0.25 - 0.05 * r)
    assert bool((cells.a[e] == 0.02).all() and (cells.c[i] == -65).all() and (cells.d[i] == 2).all())
    rates = cells(5 * torch.randn(1000, 1, 100) + 5).mean((0, 1))
    assert bool((rates > 0).all())
    assert Izhikevich.population(0, 3).channels == 3


@pytest.mark.parametrize("sizes", [(0, 0), (-1, 2), (2.0, 1), (True, 1)], ids=str)
def test_populations_refused(sizes: Any) -> None:
    with pytest.raises(ConfigError, match=r"population\.n_.*expected"):
        Izhikevich.population(*sizes)
    with pytest.raises(ConfigError, match=r"population.*\['c'\]"):
        Izhikevich.population(1, 1, c=-60.0)


# -- dimensionless ---------------------------------------------------------------------------------


def test_dimensionless_golden_values() -> None:
    s, state = trace(DimensionlessIzhikevich(a=0.5, b=0.25), golden_input())
    assert s.flatten().tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert state.v.flatten().tolist() == pytest.approx(UNIT_V, abs=1e-14)
    assert state.w[-1].item() == pytest.approx(0.322104444296376, abs=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize("v_reset", [0.0, -0.25, None])
@pytest.mark.parametrize("detach_reset", [False, True])
def test_spikingjelly(v_reset: float | None, detach_reset: bool) -> None:
    library = oracle("spikingjelly.activation_based.neuron")
    atan = oracle("spikingjelly.activation_based.surrogate").ATan(2.0)
    settings: dict[str, Any] = {"a": 0.5, "b": 0.25, "v_rest": -0.2, "tau_w": 4.0}
    node = library.IzhikevichNode(
        v_reset=v_reset, surrogate_function=atan, detach_reset=detach_reset, step_mode="m", **settings
    )
    how: Any = {"reset": "soft"} if v_reset is None else {"reset": "hard", "v_reset": v_reset}
    ours = DimensionlessIzhikevich(**settings, **how, detach_reset=detach_reset)
    x = (0.8 * torch.randn(50, 2, 500, dtype=torch.float64) + 0.3).requires_grad_()
    got, state = ours.run(x)
    wanted = node(x)
    assert 0.02 < got.mean() < 0.9
    assert torch.equal(got, wanted)
    torch.testing.assert_close(state.v, node.v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state.w, node.w, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(got)
    grads = [torch.autograd.grad((out * weights).sum(), x)[0] for out in (got, wanted)]
    assert relative_error(*grads) < 1e-10


BAD: list[tuple[Any, dict[str, Any]]] = [
    (Izhikevich, {"preset": "XX"}),
    (Izhikevich, {"preset": 3}),
    (Izhikevich, {"a": -0.1}),
    (Izhikevich, {"a": True}),
    (Izhikevich, {"a": [0.02, math.nan]}),
    (Izhikevich, {"a": [True, 0.1]}),
    (Izhikevich, {"b": "0.2"}),
    (Izhikevich, {"b": torch.ones(2, 2)}),
    (Izhikevich, {"b": torch.ones(2, dtype=torch.int64)}),
    (Izhikevich, {"c": 30.0}),
    (Izhikevich, {"c": []}),
    (Izhikevich, {"d": math.inf}),
    (Izhikevich, {"d": [1.0, 2.0, 3.0], "a": [0.1, 0.1]}),
    (Izhikevich, {"dt": 0}),
    (Izhikevich, {"dt": 1.5}),
    (Izhikevich, {"input_scale": 0.0}),
    (Izhikevich, {"detach_reset": 1}),
    (DimensionlessIzhikevich, {"tau": 0.5}),
    (DimensionlessIzhikevich, {"tau_w": math.nan}),
    (DimensionlessIzhikevich, {"a0": 0.0}),
    (DimensionlessIzhikevich, {"v_c": "high"}),
    (DimensionlessIzhikevich, {"b": True}),
    (DimensionlessIzhikevich, {"reset": "zero"}),
]


@pytest.mark.parametrize(("make", "settings"), BAD, ids=[f"{m.__name__}-{s}" for m, s in BAD])
def test_refused(make: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"(?s){make.__name__}\.{next(iter(settings))}.*expected"):
        make(**settings)
