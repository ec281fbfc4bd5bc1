"""Recurrent delays: the plain recurrent layer without them, the published profile, costs counted once."""

from __future__ import annotations

import pytest
import torch
from helpers import relative_error, same_bits

from snnkit.energy import price, trace
from snnkit.energy.rules import DelayMemory
from snnkit.errors import ConfigError
from snnkit.neurons import DelayRecurrentLIF, RecurrentLIF, SigmaSchedule


def pair(**settings: object) -> tuple[DelayRecurrentLIF, RecurrentLIF]:
    torch.manual_seed(2)
    plain = RecurrentLIF(6, beta=0.5)
    layer = DelayRecurrentLIF(6, 0, beta=0.5, reset="soft", **settings)
    with torch.no_grad():
        layer.weight.copy_(plain.weight)
    return layer, plain


def test_without_delay_it_is_a_recurrent_lif() -> None:
    layer, plain = pair()
    x = 1.5 * torch.rand(15, 3, 6)
    results = []
    for module in (layer, plain):
        y = x.clone().requires_grad_()
        out = module(y)
        out.square().sum().backward()
        results.append((out.detach(), y.grad, module.weight.grad))
    assert same_bits(results[0][0], results[1][0])
    for got, wanted in zip(*results, strict=True):
        assert relative_error(got, wanted) < 1e-5
    assert results[0][0].sum() > 10
    assert same_bits(layer.eval()(x), plain(x))


def test_profile_is_the_published_triangle() -> None:
    """``max(0, 1 + s - abs(tau - (1 + d))) / (1 + s)^2`` at tau = 1 + k, for a whole s."""
    layer = DelayRecurrentLIF(1, 20, interp="triangle", sigma=4.0)
    with torch.no_grad():
        layer.delay.fill_(9.0)
    k = torch.arange(21.0)
    published = (4 - (k - 9).abs()).clamp(min=0) / 16
    assert relative_error(layer._channel_profile("delay", torch.ones(1)), published[None]) < 1e-6


def test_a_triangle_narrows_to_linear_interpolation() -> None:
    layer = DelayRecurrentLIF(3, 20, interp="triangle", sigma=8.0)
    schedule = SigmaSchedule(layer, 3)
    widths = []
    for _ in range(5):
        widths.append(layer.sigma.item())
        schedule.step()
    assert widths == pytest.approx([8, 4, 2, 1, 1])


def test_a_delay_is_learned_through_the_loop() -> None:
    """Neuron 0 fires at step 2; neuron 1 needs its spike together with its own input at step 12."""
    torch.manual_seed(0)
    layer = DelayRecurrentLIF(2, 15, sigma=4.0, beta=0.0, reset="none")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0], [0.6, 0.0]]))
        layer.delay.copy_(torch.tensor([5.0, 0.0]))
    layer.weight.requires_grad_(False)
    x = torch.zeros(20, 1, 2)
    x[2, 0, 0], x[12, 0, 1] = 1.0, 0.6
    optimizer = torch.optim.Adam([layer.delay], lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        (1 - layer(x)[12, 0, 1]).backward()
        optimizer.step()
        layer.project_()
    assert int(layer.lags()[0]) == 9
    assert layer.eval()(x).nonzero().tolist() == [[2, 0, 0], [12, 0, 1]]


def test_every_returning_spike_is_counted_once_per_neuron_it_reaches() -> None:
    layer = DelayRecurrentLIF(6, 4, beta=0.5, threshold=0.6).eval()
    x = torch.rand(15, 3, 6)
    arrive = sum(int(layer(x)[: max(14 - int(d), 0), :, j].sum()) for j, d in enumerate(layer.lags()))
    total = trace(layer, [x], T=15).total
    assert (total.sop, total.neuron_steps) == (6 * arrive, 15 * 3 * 6)
    assert arrive > 10


def test_spikes_wait_in_a_shift_register_per_neuron() -> None:
    """As long as the delay beyond the step that any recurrence takes; written, read, its delay looked up."""
    layer, x = DelayRecurrentLIF(6, 4, beta=0.5, threshold=0.6).eval(), torch.rand(15, 3, 6)
    found = trace(layer, [x], T=15)
    held = [memory for record in found.records for memory in record.delays]
    assert held == [DelayMemory("input", 6, int(layer.lags().sum()), 4)]
    memory = [line for line in price(found).lines if line.term == "mem_c"]
    assert sum(line.count for line in memory) == pytest.approx(3 * int(layer(x).sum()) / 3)
    assert all(line.pj > 0 for line in memory)
    assert not found.uncounted


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"channels": 0}, "channels: got 0"),
        ({"reset_timing": "delayed"}, "reset_timing: got 'delayed', expected \"immediate\""),
        ({"tau": 0.5}, "tau"),
    ],
)
def test_bad_settings(settings: dict, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        DelayRecurrentLIF(**{"channels": 3, "max_delay": 2, **settings})
