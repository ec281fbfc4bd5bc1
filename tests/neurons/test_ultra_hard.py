"""Thresholds with which Ultra neurons fire as often as wanted, in a single neuron and in networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import snnkit
from snnkit.errors import ConfigError
from snnkit.neurons import LIF, UltraDLIF, UltraLIF, UltraPLIF, calibrate_hard_threshold


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("cls", [UltraLIF, UltraDLIF])
def test_the_wanted_rate_is_reached(cls: Any, rate: float) -> None:
    neuron, x = cls(eps=0.5), torch.randn(8, 16, 20)
    reached = calibrate_hard_threshold(neuron, x, rate)
    assert neuron.output == "hard"
    assert reached[""] == pytest.approx(rate, abs=2e-3)
    assert neuron(x).mean().item() == pytest.approx(reached[""], abs=1e-6)


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        snnkit.PerStep(nn.Linear(6, 40)),
        UltraPLIF(output="ste"),
        nn.Dropout(0.5),
        snnkit.PerStep(nn.Linear(40, 40)),
        UltraDLIF(),
        LIF(),
    ).train()


def test_layers_of_a_network_keep_their_mean_output() -> None:
    """Each layer is calibrated behind the hard layers in front of it; nothing else of the network changes."""
    net, batches = network(), [torch.randn(5, 8, 6), torch.randn(3, 4, 6)]
    net[2].eval()  # somebody's choice
    before = {key: value.clone() for key, value in net.state_dict().items()}
    reached = calibrate_hard_threshold(net, iter(batches))
    assert list(reached) == ["1", "4"]
    assert [m.training for m in net] == [True, True, False, True, True, True]
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"1.theta_hard", "4.theta_hard"}
    x = torch.cat([net[:5].eval()(b).flatten() for b in batches])
    assert set(x.unique().tolist()) == {0.0, 1.0}
    assert x.mean().item() == pytest.approx(reached["4"], abs=1e-6)
    soft = network().eval()
    soft[1].output = "soft"
    wanted = torch.cat([soft[:5](b).flatten() for b in batches]).mean().item()
    assert reached["4"] == pytest.approx(wanted, abs=5e-3)


def test_equal_potentials_cannot_be_told_apart() -> None:
    """All inputs are equal: the rate is 0 or 1 at every step, and what was reached is reported."""
    reached = calibrate_hard_threshold(UltraLIF(), torch.ones(4, 2, 3), 0.3)
    assert reached[""] in (0.0, 0.25, 0.5)


def test_a_failure_leaves_the_outputs_as_they_were() -> None:
    net = network()
    with pytest.raises(RuntimeError):
        calibrate_hard_threshold(net, torch.zeros(2, 3, 5))
    assert (net[1].output, net[4].output) == ("ste", "soft")
    assert all(m.training for m in net.modules())
    assert not any(m._forward_pre_hooks for m in net.modules())


@pytest.mark.parametrize(
    ("net", "data", "rate", "text"),
    [
        (UltraLIF(), torch.zeros(1, 1), 1.0, r"rate: got 1\.0.*\(0, 1\)"),
        (UltraLIF(), torch.zeros(1, 1), True, "rate: got True"),
        (UltraLIF(), [], 0.3, "at least one batch"),
        (LIF(), torch.zeros(1, 1), 0.3, "runs Ultra neurons"),
    ],
)
def test_refused(net: Any, data: Any, rate: float, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        calibrate_hard_threshold(net, data, rate)
