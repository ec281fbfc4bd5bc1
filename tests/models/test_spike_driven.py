"""Which products of which family are not driven by spikes: all others are, stem aside.

"ms" families: convolutions read {0, 1} or counts of a neuron; "sew" families: sums of spikes, counts too.
"""

from __future__ import annotations

import re

import pytest
import torch

from snnkit.errors import SpikeDrivenError
from snnkit.layers import fuse_rep
from snnkit.models import Backbone, create_model, list_models
from snnkit.quant import assert_spike_driven

REP = {f"branch.{role}.affine.0.{part}" for role in ("q", "k", "v", "proj") for part in ("depthwise", "out")}
UNFUSED = REP | {"branch.convs.1.affine.0.pointwise"}
AVERAGE = {"head.linear"}  # reads means over tokens
REAL = {
    "max_resnet_test": AVERAGE | {"embeds.shortcut.affine.0"},
    "meta_spikeformer_test": UNFUSED,
    "qsd_test": UNFUSED,
    "qkformer_test": AVERAGE,
    "sglformer_test": AVERAGE,
    "spikformer_test": AVERAGE,
    "spikingformer_test": AVERAGE,
    "spikingresformer_test": AVERAGE | {"branch"},  # products of dual attention with real numbers
}
MODELS = [n for n in list_models("*_test") if isinstance(create_model(n), Backbone)]


def lively(name: str) -> tuple[Backbone, torch.Tensor]:
    torch.manual_seed(1)
    net, x = create_model(name), torch.poisson(0.3 * torch.ones(4, 4, 2, 16, 16))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 1.5, 3.0)
            torch.nn.init.uniform_(module.bias, 0.0, 0.8)
            module.momentum = None
    with torch.no_grad():
        net(x)
    net.embeds[0].convs[0].affine[0].encoder = True  # type: ignore[union-attr,index]
    return net.eval(), x


def offending(net: torch.nn.Module, x: torch.Tensor) -> set[str]:
    try:
        assert_spike_driven(net, x)
    except SpikeDrivenError as error:
        return {re.sub(r"^blocks\.\d+\.\d+\.|(?<=^embeds)\.\d+", "", o.path) for o in error.offences}
    return set()


@pytest.mark.parametrize("name", MODELS)
def test_the_list_of_products_that_spikes_do_not_drive(name: str) -> None:
    assert offending(*lively(name)) == REAL.get(name, set())


@pytest.mark.parametrize("name", ["meta_spikeformer_test", "qsd_test"])
def test_fused_nothing_is_left(name: str) -> None:
    net, x = lively(name)
    assert offending(fuse_rep(net), x) == set()
