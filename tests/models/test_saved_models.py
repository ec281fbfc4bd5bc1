"""Saved models: complete, verified, and never executed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import snnkit
from snnkit.errors import CheckpointError, ConfigError, UntrustedFileError
from snnkit.models import read_metadata


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    net = snnkit.create_model("sdt_test", neuron={"name": "lif", "tau": 1.5}, width=16)
    snnkit.save_model(net, tmp_path / "m.safetensors", {"note": 1})
    return tmp_path / "m.safetensors"


def rewrite(path: Path, **metadata: object) -> None:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    save_file(load_file(path), path, old | {k: json.dumps(v) for k, v in metadata.items()})


def test_round_trip(saved: Path) -> None:
    net = snnkit.load_model(saved)
    assert not net.training
    assert net.config == {"name": "sdt_test", "neuron": {"name": "lif", "tau": 1.5}, "width": 16}
    assert read_metadata(saved)["info"] == {"note": 1}
    tensors = load_file(saved)
    assert all(torch.equal(t, tensors.pop(name)) for name, t in net.state_dict().items())
    assert not tensors


def test_feature_maps_of_a_saved_classifier(saved: Path) -> None:
    net, maps = snnkit.load_model(saved), snnkit.load_model(saved, features_only=True)
    assert maps(torch.rand(1, 2, 16, 16))[0].shape == (4, 1, 16, 4, 4)
    assert maps.state_dict().keys() == {k for k in net.state_dict() if not k.startswith("head.")}


def test_overrides_change_no_weights(saved: Path) -> None:
    with pytest.raises(ConfigError, match=r"do not fit.*num_classes.*size mismatch for head"):
        snnkit.load_model(saved, num_classes=3)


def test_a_compiled_model_is_saved_as_itself(tmp_path: Path) -> None:
    net = snnkit.create_model("sdt_test", width=16)
    snnkit.save_model(torch.compile(net, backend="eager"), tmp_path / "m.safetensors")
    assert snnkit.load_model(tmp_path / "m.safetensors").state_dict().keys() == net.state_dict().keys()


def test_later_changes_of_the_settings_do_not_reach_the_model() -> None:
    spec = {"name": "lif", "tau": 1.5}
    net = snnkit.create_model("sdt_test", neuron=spec)
    spec["tau"] = 9
    assert net.config["neuron"]["tau"] == 1.5


def test_every_flipped_bit_of_a_tensor_is_found(saved: Path) -> None:
    raw = saved.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    for offset in range(start, len(raw), max(1, (len(raw) - start) // 40)):
        broken = bytearray(raw)
        broken[offset] ^= 1 << (offset % 8)
        saved.write_bytes(bytes(broken))
        with pytest.raises(CheckpointError, match="hash"):
            snnkit.load_model(saved)


@pytest.mark.parametrize("keep", [0, 5, 100, 5000])
def test_a_truncated_file_is_refused(saved: Path, keep: int) -> None:
    saved.write_bytes(saved.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        snnkit.load_model(saved)


@pytest.mark.parametrize(
    "metadata",
    [
        {"config": []},
        {"config": "a"},
        {"config": {"info": {}}},
        {"config": {"model": {"name": "sdt_test", "width": 24}, "info": {}}},
        {"config": {"model": {"name": "sdt_test", "width": 10**6}, "info": {}}},
        {"config": {"model": {"name": "nothing"}, "info": {}}},
        {"config": {"model": {"name": "sdt_test", "ratio": float("inf")}, "info": {}}},
        {"sha256": []},
        {"sha256": 3},
        {"sha256": {}},
    ],
    ids=str,
)
def test_crafted_metadata_is_refused(saved: Path, metadata: dict) -> None:
    rewrite(saved, **metadata)
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        snnkit.load_model(saved)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UntrustedFileError, match=r"pickle.*\n?.*safetensors"):
        snnkit.load_model(tmp_path / "m.pt")


def test_a_model_that_a_file_cannot_name_is_refused(tmp_path: Path) -> None:
    net = snnkit.create_model("sdt_test", neuron=snnkit.IF)
    with pytest.raises(ConfigError, match="registered neuron"):
        snnkit.save_model(net, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_wrong_override_is_a_mistake_of_the_caller(saved: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'readout'"):
        snnkit.load_model(saved, readoutt="max")


def test_no_length_of_the_header_looks_like_a_pickle(tmp_path: Path) -> None:
    """The file begins with the length of its header, whose first byte can be that of a pickle."""
    net = snnkit.create_model("sdt_test", width=8, heads=1)
    firsts = set()
    for n in range(0, 256, 8):
        snnkit.save_model(net, tmp_path / "m.safetensors", {"note": "x" * n})
        firsts.add((tmp_path / "m.safetensors").read_bytes()[0])
        snnkit.load_model(tmp_path / "m.safetensors")
    assert 0x80 in firsts
