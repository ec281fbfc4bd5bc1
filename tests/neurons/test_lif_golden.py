"""LIF against hand-checked values: potentials, spikes and gradients of one neuron over eight steps.

Inputs are dyadic, so that every forward value with tau = 2 is exact. The loss is
``L = sum_t (t + 1) s[t]``. Gradients were computed in float64 and agree with spikingjelly 2.0.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import step_loop
from torch import Tensor

from snnkit.neurons import IF, LIF
from snnkit.neurons.lif import _charge

X = [0.625, 0.75, 0.5, 1.5, 0.125, 2.5, 0, -0.375]
LEAK_INPUT: dict[str, Any] = {"tau": 2.0}
LEAK: dict[str, Any] = {"tau": 2.0, "decay_input": False}
SOFT: dict[str, Any] = {"reset": "soft"}
DETACH: dict[str, Any] = {"detach_reset": True}

# name -> (settings, h, s, v, {surrogate: dL/dx})
H_A = ".3125 .53125 .515625 1.0078125 .0625 1.28125 0 -.1875"
V_A = ".3125 .53125 .515625 0 .0625 0 0 -.1875"
H_C = ".625 1.0625 .5 1.75 .125 2.5625 0 -.375"
V_C = ".625 0 .5 0 .125 0 0 -.375"
S_A, S_C = "0 0 0 1 0 1 0 0", "0 1 0 1 0 1 0 0"
CASES: dict[str, tuple[dict[str, Any], str, str, str, dict[str, str]]] = {
    "A": (
        LEAK_INPUT,
        H_A,
        S_A,
        V_A,
        {
            "atan": "0.44984741435165576 0.7653922150360617 1.0808007873897179 1.4882293248614786 "
            "1.0138278230105437 1.5206546757088815 0.45606790487974536 0.2681381313068641",
            "sigmoid": "0.5358347608427345 0.9100067477489152 1.1890222793444 1.3677435134343443 "
            "1.2540478266223913 2.0707291074849064 0.31530918424759197 0.13606259452303268",
        },
    ),
    "A detached": (
        LEAK_INPUT | DETACH,
        H_A,
        S_A,
        V_A,
        {
            "atan": "0.6090112861469801 1.041497890828044 1.4518050328668615 1.9987959396238653 "
            "1.100777263825902 1.684729655357383 0.45606790487974536 0.2681381313068641",
            "sigmoid": "0.7585602993162303 1.2912156200529643 1.660153231894383 1.9995117982118664 "
            "1.3346042006420962 2.220220193643323 0.31530918424759197 0.13606259452303268",
        },
    ),
    "B": (
        LEAK_INPUT | SOFT,
        ".3125 .53125 .515625 1.0078125 .06640625 1.283203125 .1416015625 -.11669921875",
        S_A,
        ".3125 .53125 .515625 .0078125 .06640625 .283203125 .1416015625 -.11669921875",
        {
            "atan": "0.3803066444624833 0.7092970418334096 1.1504938824472424 1.9991166266203548 "
            "1.0653518805060753 1.7971546615860523 0.5552165543210146 0.30058088976102104",
            "sigmoid": "0.4186637867668662 0.7898547052172544 1.220038947394905 1.999665924591847 "
            "1.2628088116591925 2.277470564887994 0.5029045015639254 0.1795960073285828",
        },
    ),
    "C": (
        LEAK,
        H_C,
        S_C,
        V_C,
        {
            "atan": "0.9242835270681121 1.3694478155827314 1.0875400810520823 0.5196046288177926 "
            "0.6808354825897809 0.19581800745592573 0.8474593672761044 0.4069233776469553",
            "sigmoid": "0.9665934038840268 1.1799955748090465 1.5086508532075074 0.6296804790360416 "
            "0.5890910243940817 0.04063924835062831 0.5594129210900676 0.12971429423583256",
        },
    ),
    "C detached": (
        LEAK | DETACH,
        H_C,
        S_C,
        V_C,
        {
            "atan": "1.3816537315937683 1.9257560530597537 1.1704678143051652 0.6105329937583247 "
            "0.7038991493786637 0.2390846513120754 0.8474593672761044 0.4069233776469553",
        },
    ),
    "D": (
        LEAK | SOFT,
        ".625 1.0625 .53125 1.765625 .5078125 2.75390625 .876953125 .0634765625",
        S_C,
        ".625 .0625 .53125 .765625 .5078125 1.75390625 .876953125 .0634765625",
        {
            "atan": "0.9866574020026041 1.9540879549817767 1.526422184683971 1.69384028048442 "
            "2.5904436082711615 3.165278696924592 6.14382147354776 0.8284665565885548",
        },
    ),
    "E": (
        LEAK_INPUT | {"v_reset": -0.25},
        ".0625 .28125 .265625 .7578125 .31640625 1.283203125 -.25 -.4375",
        "0 0 0 0 0 1 0 0",
        ".0625 .28125 .265625 .7578125 .31640625 -.25 -.25 -.4375",
        {
            "atan": "0.3327788810729077 0.580958655366179 0.9135552979503868 1.4727358388709708 "
            "1.1392376392963026 1.543298030502783 0.3066198539566512 0.18696295866328957",
        },
    ),
}
ROWS = [(name, surrogate) for name, case in CASES.items() for surrogate in case[-1]]


def numbers(text: str) -> Tensor:
    return torch.tensor([float(n) for n in text.split()], dtype=torch.float64)


def inputs() -> Tensor:
    return torch.tensor(X, dtype=torch.float64).view(8, 1, 1).requires_grad_()


def every_state(neuron: LIF, path: str) -> Tensor:
    """The state after each step: prefixes of the sequence through ``run``, or the loop of steps."""
    x, states, state = inputs().detach(), [], None
    for t in range(len(X)):
        if path == "run":
            states.append(neuron.run(x[: t + 1])[1].v)
        else:
            _, state = step_loop(neuron, x[t : t + 1], state)
            states.append(state.v)
    return torch.stack(states).flatten()


def spikes_and_gradient(neuron: LIF, path: str) -> tuple[Tensor, Tensor]:
    x = inputs()
    s, _ = neuron.run(x) if path == "run" else step_loop(neuron, x)
    weights = torch.arange(1, 9, dtype=torch.float64).view(8, 1, 1)
    (s * weights).sum().backward()
    assert x.grad is not None
    return s.detach().flatten(), x.grad.flatten()


def charged(neuron: LIF) -> Tensor:
    """Potentials before the reset, from the states and the charge equation."""
    x = inputs().detach()
    v = every_state(neuron, "step").view(8, 1, 1)
    before = torch.cat([torch.full_like(v[:1], neuron.dynamics.v_rest), v[:-1]])
    return _charge(before, x, neuron.leak, neuron.dynamics).detach().flatten()


@pytest.mark.parametrize("path", ["run", "step"])
@pytest.mark.parametrize(("case", "surrogate"), ROWS)
def test_golden(case: str, surrogate: str, path: str) -> None:
    settings, h, s, v, gradients = CASES[case]
    neuron = LIF(**settings, surrogate=surrogate)
    spikes, gradient = spikes_and_gradient(neuron, path)
    assert torch.equal(spikes, numbers(s))
    assert torch.equal(every_state(neuron, path), numbers(v))
    assert torch.equal(charged(neuron), numbers(h))
    torch.testing.assert_close(gradient, numbers(gradients[surrogate]), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", ["run", "step"])
def test_golden_snntorch_subtract_delayed(path: str) -> None:
    """Case F. The gradients were recorded in float32."""
    neuron = LIF.snntorch(0.5)
    spikes, gradient = spikes_and_gradient(neuron, path)
    m = ".625 1.0625 .03125 1.515625 -.1171875 2.44140625 .220703125 -.2646484375"
    g = "1.6442492 2.4509470 1.0503819 1.5161048 0.8247185 0.8985924 1.2391906 0.4766214"
    assert torch.equal(spikes, numbers(S_C))
    assert torch.equal(every_state(neuron, path), numbers(m))
    torch.testing.assert_close(gradient, numbers(g), rtol=2e-7, atol=0)


@pytest.mark.parametrize("path", ["run", "step"])
def test_snntorch_zero_delayed_is_the_detached_hard_reset(path: str) -> None:
    """Case C detached: same spikes and gradients, the state is the potential before the reset."""
    neuron = LIF.snntorch(0.5, reset_mechanism="zero")
    spikes, gradient = spikes_and_gradient(neuron, path)
    assert torch.equal(spikes, numbers(S_C))
    assert torch.equal(every_state(neuron, path), numbers(H_C))
    wanted = numbers(CASES["C detached"][-1]["atan"])
    torch.testing.assert_close(gradient, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", ["run", "step"])
@pytest.mark.parametrize(("method", "case"), [("value", "A"), ("subtract", "B")])
def test_norse_box_at_half_rate(method: str, case: str, path: str) -> None:
    neuron = LIF.norse_box(dt=0.5, tau_mem_inv=1.0, reset_method=method)
    spikes, _ = spikes_and_gradient(neuron, path)
    _, h, s, v, _ = CASES[case]
    assert torch.equal(spikes, numbers(s))
    assert torch.equal(every_state(neuron, path), numbers(v))
    assert torch.equal(charged(neuron), numbers(h))


@pytest.mark.parametrize("path", ["run", "step"])
def test_golden_learned_tau(path: str) -> None:
    """PLIF with w = 0.25: 1/tau = sigmoid(w)."""
    neuron = LIF(2.0, learn_tau=True).double()
    with torch.no_grad():
        neuron.tau_raw.fill_(0.25)
    h = (
        ".351360313053624 .575466177375348 .533040865843248 1.07664256838305 .0702720626107248 "
        "1.43620801255669 0 -.210816187832174"
    )
    dx = (
        ".442070590487615 .816150161922346 1.18544176953734 1.78784102275556 .757808047085067 "
        "1.06511704592047 .489327047390252 .290726025891031"
    )
    spikes, gradient = spikes_and_gradient(neuron, path)
    assert torch.equal(spikes, numbers(S_A))
    torch.testing.assert_close(charged(neuron), numbers(h), rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(gradient, numbers(dx), rtol=1e-13, atol=1e-13)
    assert neuron.tau_raw.grad is not None
    assert neuron.tau_raw.grad.item() == pytest.approx(2.107945369912459, rel=1e-13)
    assert neuron.tau.item() == pytest.approx(1 / 0.5621765008857981, rel=1e-13)


@pytest.mark.parametrize("path", ["run", "step"])
@pytest.mark.parametrize(
    ("neuron", "fires"),
    [
        (IF(), 1),
        (LIF(beta=1.0), 1),
        (LIF(beta=1.0, fire_at_equal=False), 0),
        (LIF(1.0), 1),
        (LIF.spikingjelly(1.0), 1),
        (LIF.snntorch(1.0), 0),
        (LIF.snntorch(1.0, reset_mechanism="zero"), 0),
        (LIF.norse_box(dt=1.0, tau_mem_inv=1.0), 0),
    ],
    ids=str,
)
def test_exact_threshold(neuron: LIF, fires: int, path: str) -> None:
    """A potential equal to the threshold fires in spikingjelly, not in snntorch and norse."""
    x = torch.ones(1, 1, 1)
    s, _ = neuron.run(x) if path == "run" else step_loop(neuron, x)
    assert s.item() == fires


@pytest.mark.parametrize("path", ["run", "step"])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 1 / 3, 0.7, 1.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tie_at_a_threshold_that_is_rounded(threshold: float, dtype: torch.dtype, path: str) -> None:
    """The threshold is rounded to the dtype of the state, then compared exactly."""
    x = torch.tensor([[[threshold]], [[0.0]]], dtype=dtype)
    x[1] = torch.nextafter(x[0], torch.zeros_like(x[0]))
    neuron = IF(threshold=threshold)
    s, _ = neuron.run(x) if path == "run" else step_loop(neuron, x)
    assert s.flatten().tolist() == [1, 0]


def test_hand_computed_trace() -> None:
    """beta = 0.5, soft reset, constant 0.6: potentials before the reset, spikes at steps 3 and 6."""
    neuron = LIF(beta=0.5, reset="soft")
    x = torch.full((7, 1, 1), 0.6, dtype=torch.float64)
    v, h = torch.zeros(1, 1, dtype=torch.float64), []
    for x_t in x:
        h.append(float(0.5 * v + x_t))
        _, (v,) = neuron.step(x_t, neuron.State(v))
    assert h == pytest.approx([0.6, 0.9, 1.05, 0.625, 0.9125, 1.05625, 0.628125], abs=1e-12)
    assert neuron(x).flatten().tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_snntorch_stuck_neuron_is_refused_and_ours_recovers() -> None:
    """beta = 1, x = [3.5, 0, 0, 0, 0]: three spikes leave half a threshold."""
    x = torch.tensor([3.5, 0, 0, 0, 0]).view(5, 1, 1)
    s, state = LIF(beta=1.0, reset="soft", fire_at_equal=False).run(x)
    assert s.flatten().tolist() == [1, 1, 1, 0, 0]
    assert state.v.item() == 0.5
    assert LIF.snntorch(1.0)(x).flatten().tolist() == [1, 1, 1, 0, 0]
