"""Maximum of windows of integers, channels last in memory; None where torch has to do it."""

from __future__ import annotations

import ctypes as c
from typing import Any

import torch
from torch import Tensor

from . import native
from .int_values import takes_integers

__all__ = ["int_pool"]


def int_pool(
    x: Tensor, *, kernel: int | list[int], stride: int | list[int], padding: int | list[int], axes: int
) -> Tensor | None:
    """``max_pool1d`` or ``max_pool2d`` of ``[..., C, L]`` or ``[..., C, H, W]``, uint8 or int32."""
    if x.dtype not in (torch.uint8, torch.int32) or x.ndim < axes + 2 or not takes_integers(x):
        return None
    lead = x.shape[: -axes - 1]
    rows = x.flatten(0, x.ndim - axes - 2).movedim(1, -1).contiguous()
    fill = (1, 1, 0)
    pairs = [_pair(v, axes, f) for v, f in zip((kernel, stride, padding), fill, strict=True)]
    plane = (*[1] * (2 - axes), *rows.shape[1:-1])
    if min(*pairs[0], *pairs[1]) < 1 or min(pairs[2]) < 0:
        return None
    out = [(n + 2 * p - k) // s + 1 for n, k, s, p in zip(plane, *pairs, strict=True)]
    if min(out) < 1 or any(2 * p > k for k, p in zip(pairs[0], pairs[2], strict=True)):
        return None  # torch says what is wrong
    y = torch.empty(rows.shape[0], *out[2 - axes :], rows.shape[-1], dtype=x.dtype)
    job = native.PoolJob(
        rows.data_ptr(), y.data_ptr(), rows.shape[0], *plane, *out, rows.shape[-1],
        *((c.c_int64 * 2)(*pair) for pair in pairs), x.element_size(), native.threads_for(rows.numel()),
    )  # fmt: skip
    lib: Any = native.library()
    lib.snn_int_pool(c.byref(job))
    return y.movedim(-1, 1).unflatten(0, lead) if len(lead) > 1 else y.movedim(-1, 1)


def _pair(value: int | list[int], axes: int, fill: int) -> tuple[int, ...]:
    own = (value,) * axes if isinstance(value, int) else tuple(value)
    return (*[fill] * (2 - axes), *own)
