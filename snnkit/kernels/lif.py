"""LIF family over a whole sequence: the one entry point, whichever backend runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import BackendError
from ..sequence import in_transform
from . import native
from .backend import backend
from .dynamics import LIFDynamics
from .lif_eager import lif_eager
from .lif_native import lif_native, native_surrogate
from .reference import scan

__all__ = ["lif"]

Number = float | Tensor


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
    reason = _not_native(x, v0, leak, threshold, d) if name in ("auto", "native") else ""
    if name == "native" and reason is not None:
        raise BackendError(f'backend "native" cannot run LIF here: {reason}. Use backend "auto" or "eager".')
    if name == "triton":
        raise BackendError('backend "triton" cannot run LIF here: it is not available yet. Use "auto".')
    if reason is None:
        return lif_native(x, v0, leak, threshold, d)
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


def _not_native(x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics) -> str | None:
    """Why the C library cannot run this; None if it can."""
    if not torch.compiler.is_compiling() and in_transform():
        return "transforms of torch.func need plain operations"
    if native_surrogate(d.surrogate) is None:
        return f"it has no formula for {d.surrogate}"
    return native.unavailable(x, v0, leak, threshold)
