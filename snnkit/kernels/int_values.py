"""Rescaling and counting neurons on int32 in one pass over memory; None where torch has to do it.

The instructions ``rescale`` and ``counts`` of :mod:`snnkit.quant.ops_integer`, which is their oracle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import native
from .int_layer import takes_integers

__all__ = ["int_counts", "int_rescale"]


def int_rescale(x: Tensor, M: Tensor, R: Tensor, *, shift: int, axis: int) -> Tensor | None:
    """``(x M + R) >> shift``; M and R int64, ``[]`` or ``[C]`` along ``axis`` of x."""
    if not takes_integers(x, M, R) or not 0 <= shift < 64:
        return None
    channels = max(M.numel(), R.numel())
    if channels > 1 and not (axis < x.ndim and x.shape[axis] == channels):
        return None
    if channels > 1 and x.stride(axis) == 1 and _dense(x):
        outer, inner = x.numel() // channels, 1
    elif channels == 1 and _dense(x):
        outer, inner = 1, x.numel()
    else:
        x = x.contiguous()
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        outer, inner = (outer, inner) if channels > 1 else (1, x.numel())
    M, R = (p.expand(channels).contiguous() for p in (M, R))
    y, lib = torch.empty_like(x), native.library()
    lib_call: Any = lib.snn_int_rescale  # type: ignore[union-attr]
    threads = native.threads_for(x.numel())
    lib_call(outer, channels, inner, *(t.data_ptr() for t in (x, M, R)), shift, y.data_ptr(), threads)
    return y


def int_counts(
    x: Tensor,
    decay: Tensor,
    theta: Tensor,
    *,
    bits: int,
    levels: int,
    half_up: bool,
    grid: Sequence[int] | None,
) -> Tensor | None:
    """Counts of ``x [T, ...]``, states in the same unit; one decay and one threshold for all, no grid."""
    whole = decay.numel() == theta.numel() == 1 and grid is None
    if not whole or not takes_integers(x, decay, theta):
        return None
    leak, threshold = int(decay), int(theta)
    if not (0 <= leak <= 2**30 and 0 <= threshold < 2**31 and 0 <= bits < 63 and 0 <= levels < 2**16):
        return None
    x = x if _dense(x) and x.stride(0) * len(x) == x.numel() else x.contiguous()
    y, lib = torch.empty_like(x), native.library()
    steps, neurons = len(x), x.numel() // len(x)
    call: Any = lib.snn_int_counts  # type: ignore[union-attr]
    threads = native.threads_for(x.numel())
    call(steps, neurons, x.data_ptr(), leak, threshold, bits, levels, half_up, y.data_ptr(), threads)
    return y


def _dense(x: Tensor) -> bool:
    """Every element of its memory is used once, in whatever order, which a new tensor like it keeps."""
    return torch.empty_like(x, device="meta").stride() == x.stride()
