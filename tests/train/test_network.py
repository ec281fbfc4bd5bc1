"""The network of a training: in which order it is made ready, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import snnkit
from snnkit.errors import ConfigError
from snnkit.train.network import build_network

DATA: dict[str, Any] = {"num_classes": 3, "in_channels": 2, "img_size": 16, "readout": "per_step"}


@pytest.fixture
def started(tmp_path: Path) -> tuple[str, snnkit.models.Backbone]:
    net = snnkit.create_model("sdt_test", num_classes=3)
    snnkit.save_model(net, tmp_path / "m.safetensors")
    return str(tmp_path / "m.safetensors"), net


def test_weights_are_loaded_ahead_of_quantisation(started: tuple[str, Any]) -> None:
    path, net = started
    made = build_network("sdt_test", None, None, DATA, start_from=path, quant={"weight_bits": 8})
    conv = made.blocks[0][0].branch.q.affine[0]
    own = net.blocks[0][0].branch.q.affine[0].weight
    assert torch.equal(conv.parametrizations.weight.original, own)
    assert 0 < (conv.weight - own).abs().max() < own.abs().max() / 20, "steps fit these weights"
    assert "readout" not in made.config
    assert made.config["num_classes"] == 3


def test_weights_of_another_network_are_refused(started: tuple[str, Any]) -> None:
    for name, settings, mixers in (
        ("spikformer_test", {}, "own"),
        ("sdt_test", {"width": 16}, "own"),
        ("sdt_test", {}, "identity"),
    ):
        with pytest.raises(ConfigError, match=r"model\.start_from: .*m\.safetensors.* are not those of"):
            build_network(name, None, settings, DATA, start_from=started[0], mixers=mixers)


def test_settings_of_the_data_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.settings: num_classes comes from the data"):
        build_network("sdt_test", None, {"num_classes": 4}, DATA)


def test_lists_of_sizes_are_checked() -> None:
    for name in ("widths", "depths", "strides"):
        with pytest.raises(ConfigError, match=f"{name}: got 16, expected a list of . ints"):
            build_network("meta_spikeformer_test", None, {name: 16}, DATA)
    with pytest.raises(ConfigError, match=r"Head\.distill: got 1"):
        build_network("meta_spikeformer_test", None, {"distill": 1}, DATA)
