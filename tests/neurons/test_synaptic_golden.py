"""Golden values of the current-based LIF, and the two libraries that have it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_gradients, golden_input, oracle, relative_error, same_bits, trace

from snnkit.errors import ConfigError, ShapeError
from snnkit.neurons import LIF, SynapticLIF

I = [0.625, 1.0625, 1.03125, 2.015625, 1.1328125, 3.06640625, 1.533203125, 0.3916015625]  # noqa: E741
V = [0.625, 0.53125, 0.4296875, 1.337890625, 1.13623046875, 2.9185791015625]
V += [2.722137451171875, 1.4332046508789062]
DX = [2.10485772818125, 2.25010718648434, 1.92620666882587, 1.10299049215502, 0.918533880019837]
DX += [0.627095307980608, 0.560700282635249, 0.376065087450704]


def test_golden_values() -> None:
    s, state = trace(SynapticLIF(0.5, 0.75), golden_input())
    assert s.flatten().tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert state.i.flatten().tolist() == I
    assert state.v.flatten().tolist() == V


def test_golden_gradient() -> None:
    assert golden_gradients(SynapticLIF(0.5, 0.75))[0] == pytest.approx(DX, rel=1e-13)


def test_a_current_without_memory_is_a_lif() -> None:
    x = 1.5 * torch.randn(50, 2, 100)
    assert same_bits(SynapticLIF(0.0, 0.9)(x), LIF(beta=0.9, reset="soft")(x))


def test_learned_decays_start_at_the_given_ones_and_learn() -> None:
    neuron = SynapticLIF(0.5, 0.75, learn_alpha=True, learn_beta=True, channels=3)
    assert neuron.alpha.tolist() == pytest.approx([0.5] * 3)
    assert neuron.beta.tolist() == pytest.approx([0.75] * 3)
    dx, dalpha, dbeta = golden_gradients(SynapticLIF(learn_alpha=True, learn_beta=True))
    assert dx == pytest.approx(DX, rel=1e-6)  # the parameter is stored in float32
    h, i, a, b = 0.0, 0.0, torch.tensor(0.5).double().requires_grad_(), torch.tensor(0.75).double()
    loss, b = torch.tensor(0.0), b.requires_grad_()
    for t, x in enumerate(golden_input().flatten()):
        i = a * i + x
        h = b * h + i
        s = 0.5 + torch.atan(math.pi * (h - 1)) / math.pi  # soft spike: ATan(2) is its exact derivative
        s = s + ((h >= 1).double() - s).detach()
        h, loss = h - s, loss + (t + 1) * s
    loss.backward()
    assert dalpha == pytest.approx([a.grad.item() * 0.25], rel=1e-6)
    assert dbeta == pytest.approx([b.grad.item() * 0.1875], rel=1e-6)


def inputs() -> torch.Tensor:
    x = torch.randn(50, 2, 500) + 0.2
    x[:, :, ::10] = (4 * x[:, :, ::10]).round() / 4  # some of them exactly on the threshold
    return x.requires_grad_()


@pytest.mark.oracle
@pytest.mark.parametrize("v_reset", [0.0, -0.25, None])
def test_spikingjelly(v_reset: float | None) -> None:
    sj = oracle("spikingjelly.activation_based.neuron")  # its default surrogate: Rect
    node = sj.CUBALIFNode(0.5, 0.75, 0.5, v_reset)
    node.v = torch.zeros(2, 500)  # it starts at v_reset, we start at rest
    how: dict[str, Any] = {"reset": "soft"} if v_reset is None else {"reset": "hard", "v_reset": v_reset}
    ours, x, y = SynapticLIF(threshold=0.5, surrogate="rectangle", **how), inputs(), inputs()
    y.data.copy_(x.data)
    wanted = torch.stack([node(x_t) for x_t in x])
    got, state = ours.run(y)
    assert same_bits(got, wanted)
    assert same_bits((state.i, state.v), (node.c, node.v))
    weights = torch.randn_like(wanted)
    (wanted * weights).sum().backward()
    (got * weights).sum().backward()
    assert relative_error(y.grad, x.grad) < 1e-6


@pytest.mark.oracle
@pytest.mark.parametrize(("mechanism", "reset"), [("zero", "hard"), ("none", "none")])
def test_snntorch(mechanism: str, reset: Any) -> None:
    snn = oracle("snntorch")
    node = snn.Synaptic(0.5, 0.75, reset_mechanism=mechanism, reset_delay=False)  # its gradient: atan(2)
    ours, x, y = SynapticLIF(reset=reset, fire_at_equal=False), inputs(), inputs()
    y.data.copy_(x.data)
    syn = mem = torch.zeros(2, 500)
    outs = []
    for x_t in x:
        s, syn, mem = node(x_t, syn, mem)
        outs.append(s)
    got, state = ours.run(y)
    assert same_bits(got, torch.stack(outs))
    assert same_bits((state.i, state.v), (syn, mem))
    weights = torch.randn_like(got)
    (torch.stack(outs) * weights).sum().backward()
    (got * weights).sum().backward()
    assert relative_error(y.grad, x.grad) < 1e-6


@pytest.mark.parametrize(
    "settings",
    [
        {"alpha": 1.1},
        {"alpha": True},
        {"beta": math.nan},
        {"beta": "0.5"},
        {"threshold": 0},
        {"threshold": True},
        {"reset": "zero"},
        {"v_reset": 1.0, "reset": "hard"},
        {"v_reset": math.inf},
        {"detach_reset": 1},
        {"fire_at_equal": None},
        {"learn_alpha": "yes"},
        {"channels": 0},
        {"channels": True},
        {"learn_beta": True, "beta": 1.0},
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"SynapticLIF.*{next(iter(settings))}.*expected"):
        SynapticLIF(**settings)


def test_channels_must_fit() -> None:
    with pytest.raises(ShapeError, match=r"SynapticLIF\(channels=3\).*axis 2"):
        SynapticLIF(learn_beta=True, channels=3)(torch.zeros(4, 2, 5))
