"""Fake quantisation: from a float network to one whose weights are quantised in every forward."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal, cast

from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..checks import choice, flag, is_integer
from ..errors import InputTypeError, QuantConfigError, quote
from ..fusing import fuse_blocks
from .base import QUANTIZERS, Quantizer
from .fold import fold_norms
from .state import quantize_states

__all__ = ["project_steps", "quantize", "quantized_layers", "quantizer_of", "weight_layers"]

WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_UNQUANTISED = 32
_SETTINGS = ("weight_bits", "scheme", "per_channel", "scales")


def weight_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Module path -> layer, for everything that quantisation can take, in order of registration."""
    return {path: m for path, m in model.named_modules() if isinstance(m, WEIGHT_LAYERS)}


def quantizer_of(layer: nn.Module) -> Quantizer | None:
    """The quantiser on the weight of a layer, if there is one."""
    if parametrize.is_parametrized(layer, "weight"):
        for part in layer.parametrizations["weight"]:  # type: ignore[index]
            if isinstance(part, Quantizer):
                return part
    return None


def original_weight(layer: nn.Module) -> Tensor:
    """The float weight of a quantised layer."""
    weight = layer.parametrizations["weight"].original  # type: ignore[index,union-attr]
    return cast(Tensor, weight)


def quantized_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module, Quantizer]]:
    """``(path, layer, quantiser)`` of every quantised layer."""
    for path, layer in weight_layers(model).items():
        quantizer = quantizer_of(layer)
        if quantizer is not None:
            yield path, layer, quantizer


def project_steps(model: nn.Module) -> None:
    """Keep learned steps positive. Call it after every optimiser step, as the training callback does."""
    for _, _, quantizer in quantized_layers(model):
        project = getattr(quantizer, "project", None)
        if project is not None:
            project()


def quantize(
    model: nn.Module,
    weight_bits: int = 4,
    *,
    scheme: str = "lsq",
    per_channel: bool = True,
    fuse: Literal["before", "norms", "never"] = "before",
    skip: Sequence[str] = ("stem", "head"),
    skip_bits: int = 8,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    state_bits: int | None = None,
    scales: Literal["float", "pow2"] = "float",
    inplace: bool = False,
) -> nn.Module:
    """Put a quantiser on the weight of every ``Linear``, ``Conv1d`` and ``Conv2d``.

    Args:
        model: any network, trained or not. Steps start from its weights now.
        weight_bits: 1..8, or 32: leave as it is. Fixed by ``scheme`` "ternary" (2) and "binary" (1).
        scheme: "lsq" (learned steps), "statsq", "ternary", "binary", or any of ``QUANTIZERS``.
        per_channel: a step per output channel; it costs nothing, a norm or threshold behind it absorbs it.
        fuse: "before": blocks that offer ``fused()``, the one layer that equals them, become that layer,
            because factors quantised one by one leave the grid when they are multiplied. "norms": batch norms
            directly behind a layer are folded too, in evaluation mode. "never": neither.
        skip: patterns of module paths that get ``skip_bits`` by LSQ; "stem" and "head" are the first and
            last layer.
        skip_bits: 2..8, or 32.
        overrides: pattern -> settings (weight_bits, scheme, per_channel, scales) of the layers it matches;
            later patterns win, and all win over ``skip``. A pattern that matches nothing is an error.
        state_bits: also keep the membrane of every neuron on a grid of so many bits, see
            :func:`snnkit.quant.quantize_states`.
        scales: "pow2": steps are powers of two; all values are dyadic then.
        inplace: change ``model`` itself instead of a copy.

    Returns:
        The quantised network; its layers have ``weight_bits``.

    Raises:
        QuantConfigError: bits out of range, a pattern without a match, nothing to quantise, a network that is
            quantised already. InputTypeError: not a module. UnknownNameError: no such scheme.

    Example:
        >>> net = snnkit.create_model("sdt_test", num_classes=10)
        >>> small = snnkit.quant.quantize(net, 4)
        >>> small.blocks[0][0].branch.q.affine[0].weight_bits
        4
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"quantize: got {type(model).__name__}, expected a torch.nn.Module.")
    if any(quantizer_of(layer) is not None for layer in weight_layers(model).values()):
        raise QuantConfigError("quantize: this network is quantised already. Quantise the float network.")
    choice("quantize.fuse", fuse, ("before", "norms", "never"))
    choice("quantize.scales", scales, ("float", "pow2"))
    settings = {"weight_bits": weight_bits, "scheme": scheme, "per_channel": per_channel, "scales": scales}
    model = model if flag("quantize.inplace", inplace) else copy.deepcopy(model)
    if fuse != "never":
        fuse_blocks(model)
    if fuse == "norms":
        fold_norms(model)
    for path, plan in _plans(model, settings, skip, skip_bits, overrides or {}).items():
        _attach(path, model.get_submodule(path), plan)
    if state_bits is not None:
        quantize_states(model, state_bits)
    return model


def _plans(
    model: nn.Module,
    settings: dict[str, Any],
    skip: Sequence[str],
    skip_bits: int,
    overrides: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Path of a layer -> its settings."""
    paths = list(weight_layers(model))
    if not paths:
        raise QuantConfigError("quantize: found no Linear, Conv1d or Conv2d, expected at least one.")
    plans = {path: dict(settings) for path in paths}
    if settings["weight_bits"] != _UNQUANTISED:
        for pattern in skip:
            ends = {"stem": paths[:1], "head": paths[-1:]}
            for path in ends.get(pattern) or _matching(paths, pattern, "skip"):
                plans[path] |= {"weight_bits": skip_bits, "scheme": "lsq"}
    for pattern, given in overrides.items():
        for key in given:
            if key not in _SETTINGS:
                raise QuantConfigError(
                    f"quantize.overrides[{pattern!r}]: got key {quote(key)}, expected {', '.join(_SETTINGS)}."
                )
        for path in _matching(paths, pattern, "overrides"):
            plans[path] |= given
    return plans


def _matching(paths: list[str], pattern: str, where: str) -> list[str]:
    """Layers whose path, or the path of a module around them, fits the pattern."""
    found = [p for p in paths if fnmatchcase(p, pattern) or fnmatchcase(p, f"{pattern}.*")]
    if not found:
        raise QuantConfigError(
            f"quantize.{where}: pattern {quote(pattern)} matches no layer. Layers: {', '.join(paths[:12])}"
            f"{', ...' if len(paths) > 12 else ''}."
        )
    return found


def _attach(path: str, layer: nn.Module, plan: dict[str, Any]) -> None:
    bits, scheme = plan["weight_bits"], plan["scheme"]
    make = QUANTIZERS.get(scheme)
    if bits == _UNQUANTISED:
        return
    fixed = getattr(make, "fixed_bits", None)
    if not (is_integer(bits) and (1 if fixed else 2) <= bits <= 8):
        raise QuantConfigError(
            f"quantize: {path}: got weight_bits = {quote(plan['weight_bits'])} with scheme {scheme!r}, "
            'expected 2..8, or 32 to leave the layer as it is. For one bit use scheme="binary".'
        )
    pow2 = choice("quantize.scales", plan["scales"], ("float", "pow2")) == "pow2"
    quantizer = make(layer.weight, fixed or bits, per_channel=plan["per_channel"], pow2=pow2)
    parametrize.register_parametrization(layer, "weight", quantizer)
    layer.weight_bits = quantizer.bits
