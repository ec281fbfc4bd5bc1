"""Model names, and ``create_model`` / ``list_models``."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

from ..errors import ConfigError, quote
from ..neurons import NEURONS, NeuronSpec
from ..registry import Registry, closest
from .backbone import Backbone

__all__ = ["MODELS", "create_model", "list_models", "list_neurons"]

MODELS: Registry = Registry("model")


def create_model(name: str, *, neuron: NeuronSpec = "lif", **settings: Any) -> Backbone:
    """Build a registered model.

    Args:
        name: see :func:`list_models`.
        neuron: which neuron in which role (:mod:`snnkit.neurons.factory`). A plain name takes the
            settings that the family's paper uses for it, if any.
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
    net: Backbone = factory(neuron=neuron, **settings)
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
