"""Layers of the DCLS package, learned delays as positions in a dilated kernel, as ours and back.

A kernel of Kt taps has positions P around its middle and is correlated with an input that is padded on the
left: tap n = P + Kt//2 lies Kt - 1 - n steps back. So ``d = Kt//2 - P`` for odd Kt. Its width is
``|SIG| + 0.27`` ("gauss") or ``|SIG| + 1`` ("max"); "v1" is "max" with SIG = 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..errors import ConfigError, InputTypeError, MissingDependencyError, quote
from ..neurons import DelayLinear

__all__ = ["from_dcls", "to_dcls"]

_WIDEN = {"gauss": 0.27, "max": 1.0}


def from_dcls(module: nn.Module) -> DelayLinear:
    """A :class:`DelayLinear` with the weights, delays and width of a ``DCLS.construct.modules.Dcls1d``.

    In training its outputs equal those of ``module`` on an input with Kt - 1 zeros on the left; in evaluation
    it rounds delays, which ``module`` does not.

    Raises:
        InputTypeError: not a Dcls1d.
        ConfigError: an even kernel size (its last position has no tap), stride, padding or groups, version
            "v0", widths that differ between synapses.
    """
    if type(module).__name__ != "Dcls1d":
        raise InputTypeError(f"from_dcls: got {type(module).__name__}, expected a DCLS Dcls1d.")
    dcls: Any = module
    taps = int(dcls.dilated_kernel_size[0])
    if taps % 2 == 0:
        raise ConfigError(f"from_dcls: got {taps} taps, expected an odd number.")
    if (*dcls.stride, *dcls.padding, dcls.groups) != (1, 0, 1) or dcls.version not in ("v1", *_WIDEN):
        found = (
            f"stride={dcls.stride}, padding={dcls.padding}, groups={dcls.groups}, version={dcls.version!r}"
        )
        raise ConfigError(f'from_dcls: got {found}, expected 1, 0, 1 and "gauss", "max" or "v1".')
    sigma = 1.0
    if dcls.version in _WIDEN:
        widths = (dcls.SIG.detach().abs() + _WIDEN[dcls.version]).unique()
        if len(widths) != 1:
            raise ConfigError(
                f"from_dcls: got {len(widths)} different widths, expected one for all synapses."
            )
        sigma = float(widths)
    layer = DelayLinear(
        dcls.in_channels,
        dcls.out_channels,
        taps - 1,
        kind="synaptic",
        synapses=dcls.kernel_count,
        interp="gauss" if dcls.version == "gauss" else "triangle",
        sigma=sigma,
        bias=dcls.bias is not None,
        device=dcls.weight.device,
        dtype=dcls.weight.dtype,
    )
    with torch.no_grad():
        layer.sigma.fill_(sigma)
        layer.weight.copy_(dcls.weight)
        layer.delay.copy_(taps // 2 - dcls.P[0])
        if layer.bias is not None:
            layer.bias.copy_(dcls.bias)
    return layer


def to_dcls(layer: DelayLinear) -> nn.Module:
    """A ``Dcls1d`` with the parameters of a synaptic layer; give it an input with D zeros on the left.

    ``interp`` "gauss" becomes the version "gauss", "triangle" the version "max".

    Raises:
        MissingDependencyError: the package DCLS is not installed.
        ConfigError: another kind or interp; an odd max_delay (an even kernel); a width that DCLS cannot have.
    """
    if not isinstance(layer, DelayLinear):
        raise InputTypeError(f"to_dcls: got {type(layer).__name__}, expected a DelayLinear.")
    if layer.kind != "synaptic" or layer.interp not in ("gauss", "triangle"):
        raise ConfigError(
            f"to_dcls: got kind={quote(layer.kind)}, interp={quote(layer.interp)}, expected a synaptic layer "
            'with "gauss" or "triangle".'
        )
    version = "gauss" if layer.interp == "gauss" else "max"
    raw = layer.sigma.double() - _WIDEN[version]
    if layer.max_delay % 2 or raw < -1e-6:
        raise ConfigError(
            f"to_dcls: got max_delay={layer.max_delay}, sigma={float(layer.sigma):g}, expected an even "
            f"max_delay and sigma >= {_WIDEN[version]:g}."
        )
    try:
        from DCLS.construct.modules import Dcls1d
    except ModuleNotFoundError as error:
        raise MissingDependencyError("DCLS", extra="dcls", purpose="to_dcls") from error
    dcls: Any = Dcls1d(
        layer.in_features,
        layer.out_features,
        kernel_count=layer.synapses,
        dilated_kernel_size=layer.max_delay + 1,
        bias=layer.bias is not None,
        version=version,
    )
    dcls.to(layer.weight)
    with torch.no_grad():
        dcls.weight.copy_(layer.weight)
        dcls.P[0].copy_(layer.max_delay // 2 - layer.delay)
        dcls.SIG.fill_(max(float(raw), 0.0))
        if layer.bias is not None:
            dcls.bias.copy_(layer.bias)
    module: nn.Module = dcls
    return module
