"""snnkit: spiking neural networks on PyTorch.

Build a network from neurons and spiking transformer blocks, train it on event data, learn what one
inference costs in energy. Sub-packages and names below are imported at first use, so that
``snnkit --help`` does not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Events": "data",
    "IF": "neurons",
    "LIF": "neurons",
    "LeakyIntegrator": "neurons",
    "Neuron": "neurons",
    "PerStep": "layers",
    "SnnkitError": "errors",
    "StepEngine": "engine",
    "create_model": "models",
    "event_driven": "kernels",
    "keep_memory": "kernels",
    "list_models": "models",
    "list_neurons": "models",
    "load_model": "models",
    "make_neuron": "neurons",
    "save_model": "models",
    "stream": "sequence",
    "use_backend": "kernels",
}

__all__ = [
    "IF",
    "LIF",
    "Events",
    "LeakyIntegrator",
    "Neuron",
    "PerStep",
    "SnnkitError",
    "StepEngine",
    "create_model",
    "data",
    "encoding",
    "energy",
    "errors",
    "event_driven",
    "interop",
    "keep_memory",
    "kernels",
    "layers",
    "list_models",
    "list_neurons",
    "load_model",
    "losses",
    "make_neuron",
    "models",
    "neurons",
    "plot",
    "quant",
    "readout",
    "registry",
    "save_model",
    "sequence",
    "stream",
    "surrogate",
    "train",
    "use_backend",
]

if TYPE_CHECKING:
    from . import (
        data,
        encoding,
        energy,
        errors,
        interop,
        kernels,
        layers,
        losses,
        models,
        neurons,
        plot,
        quant,
        readout,
        registry,
        sequence,
        surrogate,
        train,
    )
    from .data import Events
    from .engine import StepEngine
    from .errors import SnnkitError
    from .kernels import event_driven, keep_memory, use_backend
    from .layers import PerStep
    from .models import create_model, list_models, list_neurons, load_model, save_model
    from .neurons import IF, LIF, LeakyIntegrator, Neuron, make_neuron
    from .sequence import stream


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'snnkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
