"""Models in folders and repositories as the Hugging Face Hub lays them out: weights, configuration, card.

A folder holds ``model.safetensors``, the file of :func:`snnkit.save_model` with its hashes, ``config.json``,
the configuration in it once more for those who only look, and ``README.md``. Weights are only read from
the verified file.
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ConfigError, MissingDependencyError, quote
from ..files import write_atomically
from ..models import Backbone, load_model, model_info, read_metadata, save_model

__all__ = ["from_hub", "push_to_hub", "save_pretrained"]

_WEIGHTS, _CONFIG, _CARD = "model.safetensors", "config.json", "README.md"


def save_pretrained(
    net: Backbone, folder: str | os.PathLike[str], info: Mapping[str, Any] | None = None
) -> Path:
    """Write ``model.safetensors``, ``config.json`` and a card into ``folder``, which is made if missing.

    Args:
        net: made by :func:`snnkit.create_model`. info: anything JSON can hold, as accuracies measured.

    Raises:
        ConfigError: the model cannot be described in a file, see :func:`snnkit.save_model`.
        CheckpointError: the folder cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_model(net, folder / _WEIGHTS, info)
        described = {"library_name": "snnkit", **read_metadata(folder / _WEIGHTS)}
        write_atomically(folder / _CONFIG, (json.dumps(described, indent=2) + "\n").encode())
        write_atomically(folder / _CARD, _card(described).encode())
    except OSError as error:
        raise CheckpointError(
            f"save_pretrained: {quote(str(folder))} cannot be written: {error}. Choose another folder."
        ) from error
    return folder


def from_hub(source: str | os.PathLike[str], *, revision: str | None = None, **overrides: Any) -> Backbone:
    """The model of a folder of :func:`save_pretrained`, or of a repository ``"owner/name"`` on the Hub.

    Args:
        source: an existing folder is taken as it is, without network; everything else is a repository, of
            which only ``model.safetensors`` is fetched.
        revision: branch, tag or commit of the repository. overrides: see :func:`snnkit.load_model`.

    Raises:
        MissingDependencyError: a repository without the package huggingface_hub.
        CheckpointError: nothing readable there, or altered weights.
    """
    if Path(source).is_dir():
        if revision is not None:
            raise ConfigError(f"from_hub: got revision={revision!r} with a folder. Leave it out.")
        return load_model(Path(source) / _WEIGHTS, **overrides)
    hub = _hub("from_hub")
    try:
        path = hub.hf_hub_download(os.fspath(source), _WEIGHTS, revision=revision)
    except (OSError, ValueError) as error:  # what its errors derive from
        raise CheckpointError(
            f"from_hub: {quote(str(source))} is neither a folder nor a repository that can be read: "
            f"{quote(str(error))}. Give a folder, or owner/name."
        ) from error
    return load_model(path, **overrides)


def push_to_hub(
    net: Backbone, repo_id: str, info: Mapping[str, Any] | None = None, *, private: bool = False
) -> str:
    """Upload the files of :func:`save_pretrained` to a repository, made if missing; returns the commit's URL.

    The credentials are those of ``huggingface-cli login``; none are taken here.

    Raises:
        MissingDependencyError: the package huggingface_hub is not installed.
    """
    hub = _hub("push_to_hub")
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(net, folder, info)
        api = hub.HfApi()
        api.create_repo(repo_id, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="snnkit model"))


def _hub(purpose: str) -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise MissingDependencyError("huggingface_hub", extra="hub", purpose=purpose) from error


def _card(described: Mapping[str, Any]) -> str:
    name = described["model"]["name"]
    facts = json.dumps(described["info"], indent=2)
    return (
        f"---\nlibrary_name: snnkit\ntags: [spiking-neural-network]\n---\n\n# {name}\n\n"
        f"{model_info(name).paper or 'A spiking network.'}\n\n```python\n"
        "from snnkit.interop import from_hub\n\n"
        f'net = from_hub("this repository or its folder")\n```\n\n```json\n{facts}\n```\n'
    )
