"""Model names, and ``create_model`` / ``list_models``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, get_type_hints

from torch import nn

from ..errors import ConfigError, quote
from ..neurons import NEURONS, NeuronSpec
from ..registry import Registry, closest
from .backbone import Backbone

__all__ = [
    "MODELS",
    "ModelInfo",
    "create_model",
    "list_models",
    "list_neurons",
    "model_info",
    "register_model",
]

MODELS: Registry = Registry("model")


@dataclass(frozen=True)
class ModelInfo:
    """What was published about a model; of all this, ``lively`` alone was measured by this project.

    Attributes:
        paper: where the architecture comes from.
        millions: published number of parameters in millions, None where none was published.
        accuracy: published top-1 accuracy in per cent with data set and steps, "" where none is known.
        source: where the accuracy was read; "recalled" marks figures that were not read again.
        lively: settings with which every layer of a fresh network is neither silent nor saturated, for sizes
            that are not as they were published: the sums of an attention stay below its threshold with few
            tokens and narrow heads, or far above it, in the public code as here.
    """

    paper: str
    millions: float | None = None
    accuracy: str = ""
    source: str = ""
    lively: Mapping[str, Any] = field(default_factory=dict)


_INFO: dict[str, ModelInfo] = {}


def register_model(name: str, family: Callable[..., nn.Module], info: ModelInfo, **settings: Any) -> None:
    """File ``family(**settings)`` under ``name`` with what was published about it."""
    MODELS.register(name)(partial(family, **settings))
    _INFO[name] = info


def model_info(name: str) -> ModelInfo:
    """What was published about a registered model.

    Raises:
        UnknownNameError: no such model.
    """
    MODELS.get(name)
    return _INFO.get(name, ModelInfo(""))


def create_model(name: str, *, neuron: NeuronSpec | None = None, **settings: Any) -> Backbone:
    """Build a registered model.

    Args:
        name: see :func:`list_models`.
        neuron: which neuron in which role (:mod:`snnkit.neurons.factory`); None: that of the published
            model. A plain name takes the settings that the family's paper uses for it, if any.
        settings: ``num_classes, in_channels, img_size, T`` and any other argument of the family, as
            ``width``, ``depth``, ``heads``, ``pools`` or ``readout``.

    Returns:
        A :class:`Backbone`: ``[T, B, C, H, W]`` or a static ``[B, C, H, W]`` -> ``[B, num_classes]``.

    Raises:
        UnknownNameError: no such model or neuron. ConfigError: unknown or impossible setting.

    Example:
        >>> net = snnkit.create_model("spikformer_test", num_classes=10)
        >>> net(torch.rand(4, 2, 2, 16, 16)).shape
        torch.Size([2, 10])
    """
    factory = MODELS.get(name)
    known = _settings(factory)
    for key in settings:
        if key not in known:
            raise ConfigError(
                f"model {name!r} has no setting {quote(key)}{closest(key, known)} "
                f"Settings: {', '.join(known)}."
            )
    chosen = {} if neuron is None else {"neuron": neuron}
    net: Backbone = factory(**chosen, **settings)
    net.config = copy.deepcopy({"name": name, "neuron": neuron, **settings})
    return net


def _settings(factory: Callable[..., Any]) -> list[str]:
    """Names that a family accepts: its own arguments, and those that it passes on."""
    parameters = inspect.signature(factory).parameters.values()
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
    for passed_on in (p for p in parameters if p.kind is p.VAR_KEYWORD):
        function = factory.func if isinstance(factory, partial) else factory
        names += get_type_hints(function)[passed_on.name].__args__[0].__annotations__
    return [name for name in names if name != "neuron"]


def list_models(pattern: str = "*") -> list[str]:
    """Names of registered models that match a shell-style pattern, e.g. ``"sdt_*"``."""
    return MODELS.names(pattern)


def list_neurons(pattern: str = "*") -> list[str]:
    """Names of registered neurons that match a shell-style pattern."""
    return NEURONS.names(pattern)
