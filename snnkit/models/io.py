"""Weights on disk: one safetensors file that also says which model it is, with a hash per tensor."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..errors import CheckpointError, ConfigError, FormatError, UntrustedFileError, quote
from ..files import write_atomically
from .backbone import Backbone
from .registry import create_model

__all__ = ["load_model", "read_metadata", "save_model"]

_SCHEMA = 1


def save_model(net: Backbone, path: str | os.PathLike[str], info: Mapping[str, Any] | None = None) -> None:
    """Write weights, model configuration and ``info`` (anything JSON can hold) to ``path``, atomically.

    Raises:
        ConfigError: the model was not made by ``create_model``, or its neuron is a function or class,
            which a file cannot name.
        CheckpointError: the file cannot be written; an older file of that name is untouched.
    """
    from safetensors.torch import save

    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps
    config = getattr(net, "config", None)
    try:
        described = json.dumps({"model": config, "info": dict(info or {})})
    except TypeError as error:
        raise ConfigError(
            f"save_model: the configuration of this model cannot be written: {error}. Build it with a "
            'registered neuron: create_model(..., neuron="lif" or dict(name="lif", ...)).'
        ) from error
    if config is None:
        raise ConfigError(
            "save_model: got a model without a configuration. Build it with snnkit.create_model."
        )
    tensors = {name: t.detach().cpu().contiguous() for name, t in net.state_dict().items()}
    metadata = {
        "format": "pt",
        "snnkit": json.dumps({"schema": _SCHEMA, "version": __version__}),
        "config": described,
        "sha256": json.dumps({name: _digest(t) for name, t in tensors.items()}),
    }
    try:
        write_atomically(path, save(tensors, metadata))
    except OSError as error:
        raise CheckpointError(
            f"{quote(str(path))}: the model could not be written: {error}. Free space or choose "
            "another path; an earlier file is untouched."
        ) from error


def load_model(
    path: str | os.PathLike[str], *, prepare: Callable[[Backbone], Any] | None = None, **overrides: Any
) -> Backbone:
    """Rebuild a model written by :func:`save_model`, in evaluation mode, every tensor verified.

    Args:
        path: a ``.safetensors`` file.
        prepare: what was done, in place, to the network before its weights were trained, as quantisation.
        overrides: settings that replace saved ones and do not change weights, as ``readout`` or ``T``.
            ``features_only=True`` leaves the classifier out.

    Raises:
        CheckpointError: missing, truncated or altered file, or weights that do not fit.
        ConfigError: overrides that are no settings, or that change weights.
        UntrustedFileError: a pickle (``.pt``, ``.ckpt``): those can run code and are not read here.
    """
    tensors, described = _read(path)
    config = described["model"]
    try:
        with torch.device("meta"):  # shapes first: a file may claim any width
            like = create_model(**config)
            if prepare is not None:
                prepare(like)
            shapes = {name: t.shape for name, t in like.state_dict().items()}
        wrong = sorted(
            k for k in shapes.keys() | tensors.keys() if k not in tensors or tensors[k].shape != shapes.get(k)
        )
        if wrong:
            raise ConfigError(f"tensors {quote(wrong)} are missing, surplus or of another shape")
    except (ConfigError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{quote(str(path))}: the weights do not fit their configuration: {error}. Save the model again."
        ) from error
    net = create_model(**(config | overrides))
    if prepare is not None:
        prepare(net)
    if getattr(net, "head", True) is None:
        tensors = {name: t for name, t in tensors.items() if not name.startswith("head.")}
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:  # the file fits its own configuration
        raise ConfigError(
            f"load_model: the weights in {quote(str(path))} do not fit {quote(overrides)}: "
            f"{' '.join(str(error).split())} Override settings that change no weights."
        ) from error
    return net.eval()


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """``{"model": configuration, "info": ...}`` of a file written by :func:`save_model`."""
    return _read(path)[1]


def _digest(tensor: Tensor) -> str:
    raw = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else tensor.new_empty(0, dtype=torch.uint8)
    return hashlib.sha256(raw.numpy().tobytes()).hexdigest()


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    where = quote(str(path))
    if not Path(path).is_file():
        raise CheckpointError(f"{where}: no such file. Expected a .safetensors file written by save_model.")
    with open(path, "rb") as file:
        head = file.read(9)
        # a safetensors file begins with the length of its header, which is JSON: "{" is byte 8
        if head[8:] != b"{" and (head[:2] == b"PK" or (head[:1] == b"\x80" and head[1:2] <= b"\x05")):
            raise UntrustedFileError(
                f"{where}: this is a pickle, which can run code when it is read. "
                "Convert it to safetensors: snnkit.models.save_model(net, path)."
            )
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if "program" in metadata:
            raise CheckpointError(
                f"{where}: this is an integer program, expected a model. Use snnkit.quant.load_integer(path)."
            )
        hashes, described = json.loads(metadata["sha256"]), json.loads(metadata["config"])
        if not all(isinstance(d, dict) for d in (hashes, described, described["model"], described["info"])):
            raise FormatError(path, "the metadata has another structure")
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{where}: not a readable snnkit model file ({type(error).__name__}: {error}). "
            "Restore an earlier copy, or save the model again."
        ) from error
    for name in sorted(hashes.keys() | tensors.keys()):
        actual = _digest(tensors[name]) if name in tensors else "no tensor"
        if hashes.get(name) != actual:
            raise CheckpointError(
                f"{where}: tensor {quote(name)} has hash {actual}, expected {hashes.get(name, 'none')}. "
                "The file was altered or damaged; restore an earlier copy."
            )
    return tensors, described
