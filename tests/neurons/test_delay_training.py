"""Training of delays: groups, projection, narrowing, recovery of a delay, and what rounding costs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import snnkit
from benchmarks.delay_rounding import train
from snnkit.errors import ConfigError, NumericsError
from snnkit.neurons import DelayLinear, SigmaSchedule, delay_layers, delay_param_groups, project_delays


def net(**settings: object) -> nn.Sequential:
    return nn.Sequential(
        DelayLinear(4, 5, 6, bias=True, **settings),
        snnkit.LIF(),
        DelayLinear(5, 2, 8, kind="synaptic", **settings),
    )


def test_groups() -> None:
    model = net()
    groups = {g["name"]: g for g in delay_param_groups(model, 1e-3)}
    assert {n: (g["lr"], g["weight_decay"]) for n, g in groups.items()} == {
        "weights": (1e-3, 1e-5),
        "plain": (1e-3, 0.0),
        "delays": (0.1, 0.0),
    }
    assert {id(p) for p in groups["delays"]["params"]} == {id(model[0].delay), id(model[2].delay)}
    assert {id(p) for p in groups["plain"]["params"]} == {id(model[0].bias)}
    assert sum(len(g["params"]) for g in groups.values()) == len(list(model.parameters()))
    model[0].freeze()
    model[2].freeze()
    assert [g["name"] for g in delay_param_groups(model, 1e-3)] == ["weights", "plain"]
    assert list(delay_layers(model)) == ["0", "2"]
    with pytest.raises(ConfigError, match="lr: got 0"):
        delay_param_groups(model, 0)


def test_projection_after_every_step() -> None:
    model = net()
    optimizer = torch.optim.SGD(delay_param_groups(model, 1.0, delay_lr=1e6, weight_decay=0))
    handle = project_delays(model, optimizer)
    model(torch.rand(9, 2, 4)).sum().backward()
    optimizer.step()
    for layer in delay_layers(model).values():
        assert bool(((layer.delay >= 0) & (layer.delay <= layer.max_delay)).all())
    handle.remove()
    with torch.no_grad():
        model[2].delay[0, 0] = math.nan
    with pytest.raises(NumericsError, match=r"^2: DelayLinear.delay: 1 NaN"):
        project_delays(model)


def test_sigma_schedule() -> None:
    model = net()
    schedule = SigmaSchedule(model, 4)
    widths = []
    for _ in range(6):
        widths.append([layer.sigma.item() for layer in delay_layers(model).values()])
        schedule.step()
    for layer, start in zip(zip(*widths, strict=True), (3.0, 4.0), strict=True):
        wanted = [start * (0.5 / start) ** (min(e, 4) / 4) for e in range(6)]
        assert layer == pytest.approx(wanted, rel=1e-6)
    again = SigmaSchedule(model, 4)  # as in a resumed training: from where the layers began, not from now
    again.set_epoch(2)
    assert model[0].sigma.item() == pytest.approx(widths[2][0])
    assert SigmaSchedule(net(sigma=0.3), 4).epoch == 0
    for bad in (lambda: SigmaSchedule(nn.Linear(2, 2), 4), lambda: SigmaSchedule(net(interp="fixed"), 4)):
        with pytest.raises(ConfigError, match="no layer"):
            bad()
    for settings in ({"epochs": 0}, {"epochs": 4, "end": 0}, {"epochs": 4, "start": 0.1}):
        with pytest.raises(ConfigError, match="SigmaSchedule"):
            SigmaSchedule(model, **settings)


@pytest.mark.parametrize("interp", ["gauss", "ste"])
@pytest.mark.parametrize(("lr", "narrow"), [(0.1, False), (0.2, False), (0.1, True)])
def test_a_delay_is_found_from_afar(interp: str, lr: float, narrow: bool) -> None:
    """From 3 to 17 steps: with a wide profile that narrows; a narrow one does not see so far."""
    x = (torch.rand(80, 8, 1) < 0.05).float()
    layer = DelayLinear(1, 1, 24, kind="synaptic", interp=interp, sigma=0.5 if narrow else 12.27)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.delay.fill_(17.0)
        target = layer.eval()(x)
        layer.delay.fill_(3.0)
    layer.train().weight.requires_grad_(False)
    optimizer = torch.optim.Adam([layer.delay], lr=lr)
    project_delays(layer, optimizer)
    schedule = SigmaSchedule(layer, 180)
    for _ in range(300):
        optimizer.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimizer.step()
        schedule.step()
    if narrow:
        assert layer.delay.item() < 5
    else:
        assert layer.lags().item() == 17


def test_straight_through_delays_lose_nothing_by_rounding() -> None:
    """A small version of benchmarks/delay_rounding.py: times of spikes decide, delays are the only memory."""
    found = {
        mode: train(mode, 1.005, 0, epochs=20, batch=25)
        for mode in ("no delay", "fixed random", "gauss", "ste")
    }
    rounded = {mode: result[0] for mode, result in found.items()}
    assert rounded["no delay"] < rounded["fixed random"] < rounded["ste"]
    assert rounded["ste"] >= 0.95
    assert found["ste"][0] == found["ste"][1]
    assert found["gauss"][1] > 0.95 > found["gauss"][0] + 0.2
