"""Folders of the Hub: complete, verified, and readable without network."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import pytest
import torch

import snnkit
from snnkit.errors import CheckpointError, ConfigError, MissingDependencyError
from snnkit.interop import from_hub, push_to_hub, save_pretrained


@pytest.fixture
def net() -> snnkit.models.Backbone:
    return snnkit.create_model("sdt_test", neuron={"name": "lif", "tau": 1.5}, width=16).eval()


def test_round_trip(net: snnkit.models.Backbone, tmp_path: Path) -> None:
    folder = save_pretrained(net, tmp_path / "a" / "b", {"accuracy": 0.5})
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    back, x = from_hub(folder), torch.rand(2, 3, 2, 16, 16)
    assert torch.equal(back(x), net(x))
    assert torch.equal(from_hub(folder, readout="per_step")(x).mean(0), net(x))
    assert torch.equal(snnkit.load_model(folder / "model.safetensors")(x), net(x))
    described = json.loads((folder / "config.json").read_text())
    assert described["library_name"] == "snnkit"
    assert described["model"] == net.config
    assert described["info"] == {"accuracy": 0.5}
    assert "sdt_test" in (folder / "README.md").read_text()


def test_what_is_uploaded(net: snnkit.models.Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that ``huggingface_hub.HfApi`` is given, by a stand-in without network."""
    made, seen = {}, {}

    class HfApi:
        def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> None:
            made[repo_id] = (private, exist_ok)

        def upload_folder(self, *, repo_id: str, folder_path: str, commit_message: str) -> str:
            seen[repo_id] = sorted(p.name for p in Path(folder_path).iterdir())
            assert from_hub(folder_path).config == net.config
            return f"https://huggingface.co/{repo_id}/commit/1"

    hub = types.SimpleNamespace(HfApi=HfApi)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert push_to_hub(net, "owner/name", private=True) == "https://huggingface.co/owner/name/commit/1"
    assert made == {"owner/name": (True, True)}
    assert seen == {"owner/name": ["README.md", "config.json", "model.safetensors"]}


def test_altered_weights_are_refused(net: snnkit.models.Backbone, tmp_path: Path) -> None:
    path = save_pretrained(net, tmp_path) / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="hash"):
        from_hub(tmp_path)


def test_refusals(net: snnkit.models.Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        from_hub(tmp_path)
    with pytest.raises(ConfigError, match="revision"):
        from_hub(tmp_path, revision="main")
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_pretrained(net, tmp_path / "file")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*hub"):
        from_hub("owner/name")
    with pytest.raises(MissingDependencyError, match=r"pip install .*hub"):
        push_to_hub(net, "owner/name")
