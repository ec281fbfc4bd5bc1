"""The report of firing rates, and that no layer of a fresh model is silent or saturated."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers import same_bits
from torch import nn

import snnkit
from snnkit.models import Backbone, activity, create_model, list_models, model_info


def test_rates_equal_those_counted_by_hand() -> None:
    net = nn.Sequential(snnkit.LIF(), snnkit.make_neuron("ilif"))
    x = 3 * torch.rand(5, 2, 7)
    first, second = activity(net, x)
    spikes = net[0](x)
    assert first.rate == pytest.approx(spikes.mean().item())
    assert first.active == pytest.approx(spikes.any(0).float().mean().item())
    assert second.rate == pytest.approx(net(x).mean().item())
    assert (first.path, first.steps, first.neurons) == ("0", 5, 7)
    assert not first.silent
    assert not first.saturated


def test_silent_and_saturated() -> None:
    net = nn.Sequential(snnkit.LIF())
    assert activity(net, torch.zeros(3, 1, 4))[0].silent
    assert activity(net, 9 * torch.ones(3, 1, 4))[0].saturated
    counts = nn.Sequential(snnkit.make_neuron("ielif"))  # one spike is 1/4
    assert activity(counts, torch.full((3, 1, 4), 0.5))[0].rate == 2.0
    assert activity(counts, torch.ones(3, 1, 4))[0].saturated


@pytest.mark.parametrize("name", list_models("*_test"))
def test_the_network_is_left_as_it_was(name: str) -> None:
    net = create_model(name).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    rows = activity(net, torch.rand(2, 2, 2, 16, 16))
    assert len({row.path for row in rows}) == len(rows) > 5
    assert net.training
    assert all(same_bits(v, before[k]) for k, v in net.state_dict().items())
    assert not [m for m in net.modules() if m._forward_hooks]


def on_images(name: str) -> bool:
    with torch.device("meta"):
        return isinstance(create_model(name), Backbone)


SIZES = [name for name in list_models() if not name.endswith(("_test", "_micro"))]
IMAGES = [name for name in SIZES if on_images(name)]
PUBLISHED_CONSTANT = {name for name in IMAGES if model_info(name).lively}
# the rest differs in depth and width alone, and takes minutes
SMALL = [name for name in IMAGES if not name.endswith(("_512", "_768", "_55m", "_m", "_l"))]


def constant(name: str, **settings: Any) -> list[str]:
    """Layers of a fresh network at the published input size and number of steps, in training mode."""
    net = create_model(name, **settings).train()
    shape = (2, net.in_channels, net.img_size, net.img_size)
    events = net.in_channels == 2 or name.endswith("gesture")
    x = torch.poisson(0.3 * torch.ones(net.T, *shape)) if events else torch.randn(shape)
    return [row.path for row in activity(net, x) if row.silent or row.saturated]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, "spikformer_v2_16_768"])
def test_no_layer_of_a_fresh_model_is_silent_or_saturated(name: str) -> None:
    """As published, or with the settings that the registry names for it."""
    assert not constant(name, **model_info(name).lively)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PUBLISHED_CONSTANT & set(SMALL)))
def test_what_is_listed_as_constant_is_an_attention(name: str) -> None:
    """With the published settings, as in the public code; behind a silent one nothing fires, either."""
    found = constant(name)
    assert found
    assert all(path.endswith((".attn", ".proj.neuron")) for path in found)
