"""The network that a training begins with: built, given weights, and quantised."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from ..errors import ConfigError, quote
from ..models import MODELS, Backbone, create_model
from ..quant import quantize
from ..registry import closest
from .evaluate import open_model
from .mixers import MixerKind, set_mixers

__all__ = ["build_network", "known_keys"]


def build_network(
    name: str,
    neuron: str | dict[str, Any] | None,
    settings: Mapping[str, Any] | None,
    fixed: Mapping[str, Any],
    *,
    mixers: MixerKind = "own",
    start_from: str | None = None,
    channels_last: bool = False,
    quant: Mapping[str, Any] | None = None,
) -> Backbone:
    """``create_model(name, neuron=neuron, **settings, **fixed)``, made ready:

    mixers replaced (:func:`.set_mixers`), weights of ``start_from``, layout, quantisation.

    Args:
        fixed: settings that the data and the trainer decide; the read-out is not kept in ``config``, as a
            trained network answers with the mean.

    Raises:
        ConfigError: an unknown or impossible setting, one of ``fixed`` among ``settings``, or weights of
            another network. CheckpointError: unreadable weights.
    """
    known_keys("settings", settings, forbidden=fixed)
    net = create_model(name, neuron=neuron, **(settings or {}), **fixed)
    net.config = {k: v for k, v in (net.config or {}).items() if k != "readout"}
    set_mixers(net, mixers)
    if start_from is not None:
        _take_weights(net, start_from)
    if channels_last:
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if quant is not None:
        known_keys("quant", quant, list(inspect.signature(quantize).parameters)[1:-1])
        quantize(net, **quant, inplace=True)
    return net


def _take_weights(net: Backbone, path: str) -> None:
    source = open_model(path)[0]
    here, there = ((part.config or {})["name"] for part in (net, source))
    refused = f"model.start_from: the weights in {quote(path)} are not those of this {here!r}: "
    if _family(here) is not _family(there):  # some have the same keys, and their small sizes the same shapes
        raise ConfigError(f"{refused}they were trained as {there!r}. Choose a size of that family.")
    try:
        net.load_state_dict(source.state_dict())
    except RuntimeError as error:
        why = " ".join(str(error).split())[:400]
        raise ConfigError(f"{refused}{why} Use the settings that they were trained with.") from error


def _family(name: str) -> Any:
    model = MODELS.get(name)
    return getattr(model, "func", model)


def known_keys(
    name: str,
    given: Mapping[str, Any] | None,
    known: Sequence[str] = (),
    *,
    forbidden: Collection[str] = (),
) -> None:
    """Refuse keys that nothing takes, and those that the data decide.

    Args:
        name: of the group in ``model``. known: keys that are taken; none: any.
    """
    for key in given or {}:
        if key in forbidden:
            raise ConfigError(f"model.{name}: {key} comes from the data or the trainer; leave it out.")
        if known and key not in known:
            raise ConfigError(
                f"model.{name}: unknown key {quote(key)}{closest(key, known)} Keys: {', '.join(known)}."
            )
