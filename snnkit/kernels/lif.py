"""LIF family over a whole sequence: the one entry point, whichever backend runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import BackendError
from ..sequence import in_transform
from . import native
from ._layout import channels_back, channels_inside
from ._lif_op import Number, formula
from .backend import backend
from .dynamics import LIFDynamics
from .lif_eager import lif_eager
from .lif_native import lif_native
from .reference import scan
from .triton_lif import lif_triton, triton_unavailable

__all__ = ["lif"]


def lif(
    x: Tensor,
    v0: Tensor,
    leak: Number,
    threshold: Number,
    d: LIFDynamics,
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
) -> tuple[Tensor, Tensor]:
    """Spikes ``[T, *]`` and final state ``[*]`` for ``x [T, *]`` from ``v0 [*]``.

    Args:
        x: input, any floating dtype; the spikes have it too.
        v0: state, float32 or float64.
        leak, threshold: numbers, or tensors that broadcast against ``[*]`` and then receive gradients.
        d: which equations.
        step: the pure step ``(x_t, v) -> (s_t, v)``, for the reference backend.

    Raises:
        BackendError: a backend was chosen explicitly and cannot run this.

    First-order gradients only, except by the reference backend.
    """
    name = backend()
    if name == "native" or (name == "auto" and not x.is_cuda):
        reason = _not_fused(d) or native.unavailable(x, v0, leak, threshold)
        if reason is None:
            inside = channels_inside(x, v0, leak, threshold)
            if inside is None:
                return lif_native(x, v0, leak, threshold, d)
            spikes, v = lif_native(*inside, leak, threshold, d)
            return channels_back(x, spikes), channels_back(x, v)
    elif name == "triton" or name == "auto":
        reason = _not_fused(d) or triton_unavailable(x, v0, leak, threshold)
        if reason is None:
            return lif_triton(x, v0, leak, threshold, d)
    if name in ("native", "triton"):
        raise BackendError(f'backend "{name}" cannot run LIF here: {reason}. Use backend "auto" or "eager".')
    wide = x.to(v0.dtype)
    plain = torch.compiler.is_compiling() or in_transform()  # these need functional operations
    if name == "reference" or (plain and name == "auto"):
        spikes, v = scan(step, wide, v0)
    elif plain:
        raise BackendError(
            'backend "eager" works in place, not inside compiled graphs or transforms. Use "auto".'
        )
    else:
        spikes, v = lif_eager(wide, v0, leak, threshold, d)
    return spikes.to(x.dtype), v


def _not_fused(d: LIFDynamics) -> str | None:
    """Why neither the C library nor Triton can run this; None if the tensors decide."""
    if not torch.compiler.is_compiling() and in_transform():
        return "transforms of torch.func need plain operations"
    if formula(d.surrogate) is None:
        return f"it has no formula for {d.surrogate}"
    return None
