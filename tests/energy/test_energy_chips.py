"""Profiles priced per event: chips, and processors that compute every slot."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snnkit.energy import estimate, list_profiles, load_profile, price
from snnkit.errors import ConfigError

CHIPS = [name for name in list_profiles() if load_profile(name).events]


def test_loihi_by_hand(tiny):
    report = price(tiny, "keras-loihi")
    assert report.by_term == pytest.approx({"synop": 27 * 27.1, "neuron": 6 * 81})
    assert report.dataflow == "included"
    assert not report.uncounted
    assert sum(report.by_step) == pytest.approx(report.total_pj)


def test_a_synapse_alone_leaves_neurons_uncounted(tiny):
    report = price(tiny, "loihi")
    assert report.by_term == pytest.approx({"synop": 27 * 23.6})
    assert [u.op for u in report.uncounted] == ["neuron_steps"]
    assert "scope: synapse" in report.assumptions[0]


def test_real_inputs_are_no_spikes():
    report = estimate(nn.Linear(4, 3, bias=False), torch.randn(1, 4), "keras-loihi")
    assert report.total_pj == 0
    assert [(u.op, u.elements) for u in report.uncounted] == [("valid", 12)]
    assert any("no price" in w for w in report.warnings)


def test_integers_are_sent_as_unit_events():
    layer, x = nn.Linear(4, 3, bias=False), torch.tensor([[0.0, 0.5, 1, 2]])
    assert estimate(layer, x, "keras-loihi").by_term == pytest.approx({"synop": 7 * 3 * 27.1})
    assert estimate(layer, x, "keras-loihi", unroll_levels=3).total_pj == 0


def test_a_processor_computes_every_slot(tiny):
    report = price(tiny, "keras-gpu")
    assert report.by_term == pytest.approx({"mac": 36 * 300, "neuron": 6 * 300})
    ann = report.counterpart("ann")
    assert ann.by_term == pytest.approx({"mac": 18 * 300, "neuron": 3 * 300})
    assert report.break_even("ann").verdict == "never"


@pytest.mark.parametrize("name", CHIPS)
def test_chips_run_spikes_only(tiny, name):
    report = price(tiny, name)
    assert report.total_pj > 0
    if load_profile(name).event("mac") is None:
        with pytest.raises(ConfigError, match="runs no network without spikes"):
            report.counterpart("ann")


def test_shipped_profiles_cover_the_literature():
    assert {"45nm-fp32", "45nm-fp16", "45nm-int8", "lemaire-2022", "sop-rule", "spikingformer-script"} <= set(
        list_profiles()
    )
    assert {"step-composite", "sata", "loihi", "truenorth", "spinnaker", "keras-spinnaker"} <= set(
        list_profiles()
    )
    assert {load_profile(name).scope for name in list_profiles()} == {"operation", "synapse", "system"}
    apart = [load_profile(name).event("synop") for name in ("spinnaker", "keras-spinnaker")]
    assert apart == [45, 13300]  # never averaged


def test_sata_by_hand(tiny):
    terms = price(tiny, "sata").by_term
    assert terms["ac"] == pytest.approx(27 * (0.0389 + 0.000794))
    assert terms["mem_w"] == pytest.approx((27 + 4) * 1.95)
    assert terms["mem_p"] == pytest.approx(2 * 27 * 0.2779)
