"""Weights of published codes in our networks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import CheckpointError, ConfigError, InputTypeError, quote
from ..backbone import Backbone
from ..registry import MODELS, create_model, list_models
from .layout import LAYOUTS, KeyLayout

__all__ = ["ReferenceImport", "from_reference", "reference_models", "to_reference"]


class ReferenceImport(NamedTuple):
    """What :func:`from_reference` returns.

    Attributes:
        net: in evaluation mode. unused: keys that take no part in the computation of the published code (or,
            for QSD-Transformer, belong to its quantisers; or, with ``features_only``, to the classifier), and
            are left out.
    """

    net: Backbone
    unused: list[str]


def from_reference(name: str, state_dict: Mapping[str, Tensor], **settings: Any) -> ReferenceImport:
    """Build a registered model with weights that the published code of its family trained.

    The logits are those of the published code, up to rounding. Where that code has linear layers or
    one-dimensional convolutions, weights take the shape of our 1x1 convolutions. A checkpoint of the time
    before ``num_batches_tracked`` may lack these counters.

    Args:
        name: a model of :func:`reference_models`.
        state_dict: its keys as published, with or without the prefix ``module.`` of data-parallel training.
            Read a pickled checkpoint of somebody else with ``torch.load(path, weights_only=True)``.
        settings: as for :func:`snnkit.create_model`: those that the weights were trained with. With
            ``features_only=True`` the maps are those of the classifier that was trained.

    Raises:
        UnknownNameError: no such model. ConfigError: the layout of its family is not known.
        InputTypeError: no mapping from names to tensors.
        CheckpointError: keys are missing, surplus, of another shape, or hold NaN or Inf; all of them by name.

    Example:
        >>> net = snnkit.create_model("spikformer_test")
        >>> there = snnkit.models.to_reference(net)
        >>> sorted(there)[-1]
        'patch_embed.rpe_conv.weight'
        >>> snnkit.models.from_reference("spikformer_test", there).unused
        []
    """
    family = getattr(MODELS.get(name), "func", None)
    if family not in LAYOUTS:
        raise ConfigError(
            f"from_reference: the keys of the published code of {quote(name)} are not known. "
            f"Models with known keys: {', '.join(reference_models())}."
        )
    given = _given(state_dict)
    net = create_model(name, **settings)
    layout = LAYOUTS[family](net, given.keys())
    own, wrong = {}, []
    for key, like in net.state_dict().items():
        there = layout.there(key)
        if there is None:
            wrong.append(f"{key}: has no counterpart in the published code")
        elif there in given:
            own[key], why = _fitted(given.pop(there), like)
            wrong += [f"{there}: {why}"] if why else []
        elif key.endswith("num_batches_tracked"):
            own[key] = like
        else:
            wrong.append(f"{there}: missing")
    heads = [] if net.head is not None else [rf"{re.escape(path)}\..*" for path in layout.behind("head")]
    unused = [key for key in given if any(re.fullmatch(dead, key) for dead in (*layout.dead, *heads))]
    wrong += [f"{key}: not part of this model" for key in given if key not in unused]
    if wrong:
        listing = "; ".join(map(quote, wrong[:20])) + (f"; and {len(wrong) - 20} more" * (len(wrong) > 20))
        raise CheckpointError(
            f"from_reference: the weights do not fit {quote(name)}: {listing}. Choose the size that was "
            "trained, with its settings (num_classes, in_channels, ...)."
        )
    net.load_state_dict(own)
    return ReferenceImport(net.eval(), sorted(unused))


def to_reference(net: Backbone) -> dict[str, Tensor]:
    """The weights of a network under the names of the published code of its family, with our shapes.

    Where published codes name layers differently for different data, the names are those for ImageNet.

    Raises:
        ConfigError: not made by ``create_model``, or the layout of its family is not known.
    """
    family = getattr(MODELS.get(net.config["name"]), "func", None) if net.config else None
    if family not in LAYOUTS:
        raise ConfigError(
            "to_reference: got a network whose published keys are not known. "
            f"Models with known keys: {', '.join(reference_models())}."
        )
    layout: KeyLayout = LAYOUTS[family](net, frozenset())
    return {there: t for key, t in net.state_dict().items() if (there := layout.there(key))}


def reference_models() -> list[str]:
    """Names of the models whose published keys are known."""
    return [name for name in list_models() if getattr(MODELS.get(name), "func", None) in LAYOUTS]


def _given(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    pairs = state_dict.items() if isinstance(state_dict, Mapping) else [("", None)]
    odd = [key for key, t in pairs if not (isinstance(key, str) and isinstance(t, Tensor))]
    if odd:
        raise InputTypeError(
            "from_reference: got something that is not a mapping from names to tensors "
            f"({quote(type(state_dict).__name__)}, as at {quote(str(odd[0]))}). A checkpoint often keeps it "
            'under "model" or "state_dict".'
        )
    return {key.removeprefix("module."): t for key, t in state_dict.items()}


def _fitted(given: Tensor, like: Tensor) -> tuple[Tensor, str]:
    """The tensor in the shape and type of ours, and what is wrong with it, "" for nothing."""
    shape = tuple(given.shape)
    longer = shape + (1,) * (like.ndim - given.ndim)  # Linear and Conv1d -> Conv2d
    vector = like.ndim == 1 and given.numel() == len(like) and max(shape, default=0) == len(like)
    if longer != tuple(like.shape) and not vector:
        return like, f"has shape {shape}, expected {tuple(like.shape)}"
    if given.is_floating_point() != like.is_floating_point():
        return like, f"has type {given.dtype}, expected {like.dtype}"
    if given.is_floating_point() and not torch.isfinite(given).all():
        return like, "holds NaN or Inf"
    return given.detach().reshape(like.shape).to(like), ""
