"""Golden values of the adaptive LIF, norse's form of it, and what adaptation is for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import golden_gradients, golden_input, oracle, same_bits, trace

from snnkit.errors import ConfigError
from snnkit.neurons import LIF, AdaptiveLIF

B = [0, 0.25, 0.1875, 0.390625, 0.29296875, 0.4697265625, 0.352294921875, 0.26422119140625]
V = [0.625, 0.0625, 0.53125, 0.765625, 0.5078125, 1.75390625, 0.876953125, 0.0634765625]
DX = [0.457144850675792, 1.33291267306716, 0.870842080183157, 1.36981245254143, 0.70037563508411]
DX += [0.772535813153738, 0.954787077160574, 0.344643480478046]
GOLDEN = {"beta_a": 1.6, "rho": 0.75}


def test_golden_values() -> None:
    s, state = trace(AdaptiveLIF(0.5, **GOLDEN), golden_input())
    assert s.flatten().tolist() == [0, 1, 0, 1, 0, 1, 0, 0]
    assert state.b.flatten().tolist() == B
    assert state.v.flatten().tolist() == V


def test_golden_gradient() -> None:
    assert golden_gradients(AdaptiveLIF(0.5, **GOLDEN))[0] == pytest.approx(DX, rel=1e-12)


def test_gradient_of_learned_decays() -> None:
    dx, *learned = golden_gradients(AdaptiveLIF(0.5, **GOLDEN, learn_beta=True, learn_rho=True))
    assert dx == pytest.approx(DX, rel=1e-6)  # the parameters are stored in float32
    beta, rho = (torch.tensor(v).double().requires_grad_() for v in (0.5, 0.75))
    h, b, loss = 0.0, 0.0, torch.tensor(0.0)
    for t, x in enumerate(golden_input().flatten()):
        h = beta * h + x
        u = h - 1 - 1.6 * b
        s = torch.atan(math.pi * u) / math.pi  # its derivative is the surrogate ATan(2)
        s = s + ((u >= 0).double() - s).detach()
        h, b, loss = h - s, rho * b + (1 - rho) * s, loss + (t + 1) * s
    loss.backward()
    wanted = [beta.grad.item() * 0.25, rho.grad.item() * 0.1875]
    assert [g for (g,) in learned] == pytest.approx(wanted, rel=1e-6)


def test_without_adaptation_it_is_a_lif() -> None:
    x = 1.5 * torch.randn(50, 2, 100)
    assert same_bits(AdaptiveLIF(0.9, beta_a=0.0)(x), LIF(beta=0.9, reset="soft")(x))


def test_the_rate_of_a_constant_input_falls() -> None:
    """With a hard reset; a soft reset by the level at rest leaves more behind the higher the threshold."""
    current = torch.full((600, 1, 1), 0.6)
    spikes = AdaptiveLIF(0.9, beta_a=3.0, rho=0.98, reset="hard")(current)
    assert spikes[:20].mean() > 1.3 * spikes[-200:].mean() > 0
    assert LIF(beta=0.9)(current)[-200:].mean() >= 2 * spikes[-200:].mean()


def test_the_threshold_remembers_longer_than_the_potential() -> None:
    burst = torch.cat([torch.full((30, 1, 1), 3.0), torch.zeros(60, 1, 1)])
    _, state = AdaptiveLIF(0.5).run(burst)
    assert abs(state.v.item()) < 1e-6
    assert 1.8 * state.b.item() > 0.1


@pytest.mark.oracle
def test_norse() -> None:
    """Spikes of norse's feed-forward cell, whose current of one step acts in the next step."""
    lsnn = oracle("norse.torch.functional.lsnn")
    rho, beta_a, rate = 0.9, 1.5, 0.25

    def value(v: float) -> torch.Tensor:
        return torch.tensor(v, dtype=torch.float64)

    p = lsnn.LSNNParameters(
        tau_syn_inv=value(1000.0),  # at dt = 1 ms the current lasts one step
        tau_mem_inv=value(1000 * rate),
        tau_adapt_inv=value(1000 * (1 - rho)),
        v_leak=value(0.0),
        v_th=value(1.0),
        v_reset=value(0.0),
        beta=value(beta_a * (1 - rho) / rho),
    )
    x = 6 * torch.rand(60, 2, 300, dtype=torch.float64) - 1
    zero = torch.zeros_like(x[0])
    state, outs = lsnn.LSNNFeedForwardState(v=zero, i=zero, b=zero + 1), []
    for x_t in torch.cat([x, zero[None]]):
        s, state = lsnn.lsnn_feed_forward_step(x_t, state, p, dt=0.001)
        outs.append(s)
    ours = AdaptiveLIF(1 - rate, beta_a=beta_a, rho=rho, reset="hard", fire_at_equal=False)(rate * x)
    assert 0.05 < ours.mean() < 0.5
    assert torch.equal(ours, torch.stack(outs)[1:])


@pytest.mark.parametrize(
    "settings",
    [
        {"beta": -0.1},
        {"beta": True},
        {"beta_a": -1.0},
        {"beta_a": math.nan},
        {"beta_a": math.inf},
        {"beta_a": "1.8"},
        {"rho": 1.01},
        {"rho": math.nan},
        {"rho": True},
        {"threshold": -1},
        {"reset": None},
        {"learn_rho": 1},
        {"learn_rho": True, "rho": 1.0},
        {"detach_reset": "no"},
        {"channels": 2.5},
    ],
    ids=str,
)
def test_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"AdaptiveLIF.*{next(iter(settings))}.*expected"):
        AdaptiveLIF(**settings)
