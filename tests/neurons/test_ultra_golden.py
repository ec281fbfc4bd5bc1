"""UltraLIF: golden values, gradients, the bounds that follow from the soft maximum, and its outputs."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import snnkit
from snnkit.errors import ConfigError
from snnkit.neurons import UltraDLIF, UltraLIF, UltraPLIF, log_sum_exp

X = torch.tensor([0.5, -1, 2, 0], dtype=torch.float64).view(4, 1, 1)
C = 0.2784645427610738  # W(1/e), the largest deviation of U (1 - sigma(U)) from min(U, 0)


def exact(neuron: Any, **raw: float) -> Any:
    """In float64, with parameters that have not been rounded to float32."""
    neuron = neuron.double()
    with torch.no_grad():
        for name, value in raw.items():
            getattr(neuron, name).fill_(value)
    return neuron


# eps, theta, s, v, dL/dx, dL/dlog eps, dL/dlog tau for L = sum (t+1) s[t]
GOLDEN = [
    (
        1.0,
        [0.718208356272875, 0.606202357050503, 0.894243652959395, 0.680303015446625],
        [0.263641942986652, 0.169875116683786, 0.225772926986088, 0.241423872941967],
        [0.1530464039083, 0.116197644598918, 0.209185335871516, 0.408824647730084],
        -0.27914041482802726,
        0.9449062929186887,
    ),
    (
        0.25,
        [0.889443588472926, 0.457850847935509, 0.999664717180978, 0.623757775961796],
        None,
        [0.192684729280896, 0.0430674976410175, 0.000526148987502081, 2.26493137838743],
        0.3091499920485914,
        3.4498422369483395,
    ),
]


@pytest.mark.parametrize(("eps", "s", "v", "dx", "deps", "dtau"), GOLDEN, ids=["eps=1", "eps=0.25"])
def test_golden(eps: float, s: list, v: list | None, dx: list, deps: float, dtau: float) -> None:
    neuron = exact(UltraPLIF(eps=eps), log_eps=math.log(eps), log_tau=math.log(0.9))
    x, state = X.clone().requires_grad_(), None
    out, _ = neuron.run(x)
    assert out.flatten().tolist() == pytest.approx(s, abs=1e-14)
    (torch.arange(1, 5).view(4, 1, 1) * out).sum().backward()
    assert x.grad.flatten().tolist() == pytest.approx(dx, rel=1e-12)
    assert neuron.log_eps.grad.item() == pytest.approx(deps, rel=1e-12)
    assert neuron.log_tau.grad.item() == pytest.approx(dtau, rel=1e-12)
    for t in range(4 if v else 0):
        _, state = neuron.run(X[t : t + 1], state)
        assert state.v.item() == pytest.approx(v[t], abs=1e-14)


def test_golden_with_a_threshold() -> None:
    out = exact(UltraLIF(theta=1.0, learn_eps=False))(X)
    s = [0.483903506931106, 0.401890236955046, 0.761506669303003, 0.479766610922837]
    assert out.flatten().tolist() == pytest.approx(s, abs=1e-14)


@pytest.mark.parametrize(
    "neuron",
    [
        UltraLIF(0.8, eps=0.7, theta=0.3),
        UltraPLIF(0.8, spike_scale=3.0),
        UltraDLIF(learn_tau=True, theta=0.2),
        UltraDLIF(0.7, form="lse_then_input", neighbours="index", boundary="replicate"),
        UltraDLIF(neighbours="spatial", spike_scale=2.0),
    ],
    ids=lambda n: type(n).__name__,
)
def test_soft_output_is_the_function_its_gradient_belongs_to(neuron: Any) -> None:
    neuron = exact(neuron)
    names, values = zip(*neuron.named_parameters(), strict=True)

    def run(x: Tensor, *raw: Tensor) -> Tensor:
        return torch.func.functional_call(neuron, dict(zip(names, raw, strict=True)), (x,))

    x = torch.randn(3, 1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    raw = [v.detach().clone().requires_grad_() for v in values]
    assert torch.autograd.gradcheck(run, (x, *raw))
    assert torch.autograd.gradgradcheck(lambda x: run(x, *raw), (x,))


# -- bounds ----------------------------------------------------------------------------------------

numbers = st.floats(-50, 50, width=64)
temperatures = st.sampled_from([1.0, 0.3, 0.1, 0.03])


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(numbers, min_size=1, max_size=6), others=st.lists(numbers, min_size=6), eps=temperatures
)
def test_soft_maximum(values: list[float], others: list[float], eps: float) -> None:
    """max <= LSE <= max + eps log n, equal for equal terms, 1-Lipschitz, with weights that sum to 1."""
    a = torch.tensor(values, dtype=torch.float64).requires_grad_()
    lse = log_sum_exp(eps, *a.unbind())
    n, slack = len(values), 1e-12
    assert max(values) - slack <= lse.item() <= max(values) + eps * math.log(n) + slack
    same = log_sum_exp(eps, *[a[0].detach()] * n)
    assert same.item() == pytest.approx(values[0] + eps * math.log(n), abs=1e-12)
    b = torch.tensor(others[:n], dtype=torch.float64)
    assert (log_sum_exp(eps, *b.unbind()) - lse).abs() <= (a - b).abs().max() + slack
    (weights,) = torch.autograd.grad(lse, a)
    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1.0)


@settings(max_examples=100, deadline=None)
@given(x=st.lists(st.floats(-3, 3), min_size=1, max_size=20), eps=temperatures, tau=st.floats(0.1, 1.0))
def test_distance_from_the_limit(x: list[float], eps: float, tau: float) -> None:
    """``|U_T(eps) - U_T(0)| <= eps (T log 2 + (T-1) c)``, and the reset is within c eps of min(U, 0)."""
    neuron = exact(UltraLIF(tau, eps=eps, eps_min=0.01, learn_eps=False))
    v, hard = neuron.initial_state(torch.zeros(1, 1, dtype=torch.float64)), 0.0
    for t, x_t in enumerate(x, 1):
        before = v.v
        s, v = neuron.step(torch.tensor([[x_t]], dtype=torch.float64), v)
        u = log_sum_exp(eps, before + math.log(tau), torch.tensor([[x_t]], dtype=torch.float64)).item()
        limit = max(hard + math.log(tau), x_t)
        assert abs(u - limit) <= eps * (t * math.log(2) + (t - 1) * C) + 1e-12
        assert abs(v.v.item() - min(u, 0.0)) <= C * eps + 1e-12
        assert s.item() >= torch.sigmoid((before + math.log(tau)) / eps).item() - 1e-12, "the floor"
        hard = min(limit, 0.0)


@settings(max_examples=100, deadline=None)
@given(x=st.floats(-5, 5), eps=st.floats(0.1, 20.0))
def test_slope_of_the_firing_function(x: float, eps: float) -> None:
    """0 < ds/dx <= 1 / (4 eps); it falls like exp(-U / eps), until 1 - s is rounded to 0."""
    neuron = exact(UltraLIF(eps=eps, learn_eps=False))
    leaf = torch.tensor([[[x]]], dtype=torch.float64, requires_grad=True)
    neuron(leaf).sum().backward()
    assert 0 <= leaf.grad.item() <= 1 / (4 * eps) + 1e-12
    assert leaf.grad.item() > 0 or x > 30 * eps


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "neuron", [UltraPLIF(eps=0.1), UltraDLIF(learn_tau=True, eps=0.1)], ids=["lif", "dlif"]
)
def test_extreme_input_stays_finite(neuron: Any, dtype: torch.dtype) -> None:
    large = (
        torch.tensor([0.0, 1.0, 60.0, 6e4])
        if dtype == torch.float16
        else torch.tensor([0.0, 1e3, 1e10, 1e30])
    )
    x = torch.cat([large, -large])[torch.randint(8, (6, 2, 5))].to(dtype).requires_grad_()
    out, state = neuron.run(x)
    out.sum().backward()
    for tensor in (out, *state, x.grad, *(p.grad for p in neuron.parameters())):
        assert tensor.isfinite().all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("cls", [UltraLIF, UltraDLIF])
def test_a_row_alone_has_the_same_bits_as_in_a_batch(cls: Any) -> None:
    """Also where rows are long enough for vectorised loops, and end somewhere within one."""
    neuron, x = cls(), torch.randn(4, 7, 33)
    whole = neuron(x)
    for b in range(7):
        assert torch.equal(neuron(x[:, b : b + 1]), whole[:, b : b + 1])


# -- parameters ------------------------------------------------------------------------------------


def test_learned_values_start_at_the_given_ones() -> None:
    neuron = UltraPLIF(0.7, eps=0.4, spike_scale=3.0)
    assert neuron.tau.item() == pytest.approx(0.7)
    assert neuron.eps.item() == pytest.approx(0.4)
    assert neuron.spike_scale.item() == pytest.approx(3.0)
    assert UltraLIF(eps=0.5, learn_eps=False).spike_scale == 2.0
    assert UltraLIF().tau == 0.9


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [("log_eps", 9.0, 20.0), ("log_eps", -9.0, 0.1), ("log_tau", 1.0, 0.999), ("log_spike_scale", -9.0, 0.1)],
)
def test_a_value_beyond_its_bound_is_held_and_can_come_back(name: str, raw: float, value: float) -> None:
    neuron = exact(UltraPLIF(spike_scale=1.0), **{name: raw})
    assert getattr(neuron, name.removeprefix("log_")).item() == pytest.approx(value)
    neuron(X).sum().backward()
    assert getattr(neuron, name).grad.item() != 0


def test_tau_without_a_bound() -> None:
    assert exact(UltraPLIF(tau_max=None), log_tau=1.0).tau.item() == pytest.approx(math.e)


# -- outputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [UltraLIF, UltraPLIF, UltraDLIF])
def test_the_output_can_be_switched(cls: Any) -> None:
    neuron, x = cls(theta=0.3), torch.randn(6, 4, 5)
    soft = neuron(x)
    assert neuron.spike_levels is None
    neuron.output = "hard"
    hard = neuron(x)
    assert neuron.spike_levels == 1
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert not hard.requires_grad
    neuron.output = "ste"
    assert neuron.spike_levels == 1
    assert torch.equal(neuron(x), hard)
    neuron.output = "soft"
    assert torch.equal(neuron(x), soft)
    with pytest.raises(ConfigError, match=r"output: got 'binary', expected \"soft\" or \"hard\""):
        neuron.output = "binary"


def test_straight_through_gradient_is_that_of_the_soft_function() -> None:
    """At T = 1 there is no reset in between: the same derivative at the same threshold."""
    grads = []
    for output in ("soft", "ste"):
        x = torch.linspace(-2, 2, 9, dtype=torch.float64).view(1, 1, 9).requires_grad_()
        exact(UltraLIF(eps=0.5, theta=0.25, learn_eps=False, output=output))(x).sum().backward()
        grads.append(x.grad)
    assert torch.allclose(*grads, rtol=1e-14, atol=0)


def test_hard_neuron_is_a_leaky_peak_detector() -> None:
    """With a small eps: U = max(v + log tau, x), so two inputs below the threshold never add up to it."""
    neuron = UltraLIF(eps=0.01, eps_min=0.01, learn_eps=False, theta=1.0, output="hard")
    assert not neuron(torch.full((20, 1, 1), 0.9)).any()
    assert neuron(torch.full((3, 1, 1), 1.0)).flatten().tolist() == [1, 1, 1]


def test_the_threshold_of_the_hard_output_is_saved() -> None:
    neuron, other = UltraLIF(output="hard"), UltraLIF(output="hard")
    neuron.theta_hard.fill_(0.7)
    other.load_state_dict(neuron.state_dict())
    assert other.theta_hard.item() == pytest.approx(0.7)
    assert "theta_hard=0.7" in repr(other)


# -- energy ----------------------------------------------------------------------------------------


def bill(neuron: Any, x: Tensor) -> Any:
    torch.manual_seed(0)
    net = torch.nn.Sequential(neuron, snnkit.PerStep(torch.nn.Linear(6, 10, bias=False))).eval()
    return snnkit.energy.trace(net, x)


@pytest.mark.parametrize("x", [torch.randn(4, 2, 6), torch.zeros(1, 2, 6)], ids=["random", "silent"])
def test_soft_output_is_billed_as_real_numbers(x: Tensor) -> None:
    """Also where all neurons have the same output, as they do without input: that is no spike of 0.65."""
    trace = bill(UltraLIF(), x)
    report = snnkit.energy.price(trace)
    linear = [r for r in trace.records if r.kind != "neuron"]
    assert [r.a.name for r in linear] == ["real"]
    assert report.total_pj > snnkit.energy.price(bill(UltraLIF(output="hard", theta=3.0), x)).total_pj


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [UltraLIF, UltraPLIF, UltraDLIF])
@pytest.mark.parametrize(
    "settings",
    [
        {"tau": 0.0},
        {"tau": 2.0},
        {"tau": True},
        {"tau": math.nan},
        {"eps": 0.05},
        {"eps": 21.0},
        {"eps": "1"},
        {"eps_min": 0.0},
        {"eps_max": math.inf},
        {"learn_eps": 1},
        {"theta": math.nan},
        {"theta": None},
        {"spike_scale": 0.0},
        {"spike_scale": True},
        {"output": "binary"},
        {"output": None},
    ],
    ids=str,
)
def test_refused(cls: Any, settings: dict) -> None:
    with pytest.raises(ConfigError, match=rf"{cls.__name__}\.{next(iter(settings))}.*expected"):
        cls(**settings)


def test_a_bound_below_the_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"UltraPLIF\.tau_max"):
        UltraPLIF(0.9, tau_max=0.5)
    with pytest.raises(ConfigError, match=r"UltraLIF\.learn_tau"):
        UltraLIF(learn_tau="yes")
