"""Linear layers and convolutions on integers: weights of 4 or 8 bits times spike counts, summed in int32.

``y[c] = sum over active j of x[j] w[c, j]``, exact: only the rows that active inputs name are read.
Sums run in int16, twice as many at once as floats, and move into int32 before they may leave it.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import _get_current_dispatch_mode as current_mode

from . import native
from ._layout import not_plain

__all__ = ["IntWeights", "int_layer", "int_weights"]

_BLOCK = 64  # outputs that are summed together


class IntWeights(NamedTuple):
    """Codes in the order in which they are gathered.

    ``rows``: int8 ``[blocks, taps, in, 64]``, or ``[blocks, taps, in, 32]`` with two codes per byte, output k
    of the block in the low half, k + 32 in the high one. ``shape``: of the weight. ``bits``: 4 or 8.
    ``largest``: of ``|w|``.
    """

    rows: Tensor
    shape: tuple[int, ...]
    bits: int
    largest: int


def int_weights(codes: Tensor) -> IntWeights | None:
    """Lay out the integers ``[out, in]``, ``[out, in, k]`` or ``[out, in, kh, kw]`` of a layer on the CPU.

    None if they need more than 8 bits.
    """
    codes = codes.detach().to(device="cpu", dtype=torch.int64)
    low, high = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
    if low < -128 or high > 127:
        return None
    outputs, inputs = codes.shape[:2]
    padded = F.pad(codes.reshape(outputs, inputs, -1).permute(2, 1, 0), (0, -outputs % _BLOCK))
    rows = padded.unflatten(2, (-1, _BLOCK)).permute(2, 0, 1, 3)  # [blocks, taps, in, 64]
    bits = 4 if low >= -8 and high <= 7 else 8
    if bits == 4:
        rows = (rows[..., : _BLOCK // 2] & 15) + 16 * rows[..., _BLOCK // 2 :]
    return IntWeights(rows.to(torch.int8).contiguous(), tuple(codes.shape), bits, max(-low, high))


def int_layer(
    x: Tensor,
    weights: IntWeights,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
) -> Tensor | None:
    """Sums of codes times counts, or None where they have to be formed otherwise.

    That is: no C library, another device or type than int32, a dispatch mode that wants to see the product,
    or inputs so large that int16 does not hold one product.

    Args:
        x: int32 ``[..., in]`` of a linear layer, ``[N, in, L]`` or ``[N, in, H, W]`` of a convolution.
        weights: from :func:`int_weights`.
        stride, padding, dilation: of a convolution without groups, one number per axis or one for all.

    Returns:
        int32; of a convolution with channels last in memory. Sums that leave int32 wrap.
    """
    axes = len(weights.shape) - 2
    channel = -1 if axes == 0 else 1
    if x.ndim != axes + 2 if axes else x.ndim == 0:
        return None
    if x.shape[channel] != weights.shape[1] or not takes_integers(x):
        return None
    rows = x.movedim(1, -1).contiguous() if axes else x.contiguous()
    plane = (*[1] * (2 - axes), *rows.shape[1:-1]) if axes else (1, 1)
    kernel = (*[1] * (2 - axes), *weights.shape[2:])
    settings = [_pair(v, axes, fill) for v, fill in ((stride, 1), (padding, 0), (dilation, 1))]
    out = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(plane, kernel, *settings, strict=True)
    ]
    if min(out) < 1:
        return None  # torch says what is wrong
    images, outputs = rows.numel() // (rows.shape[-1] * plane[0] * plane[1]), weights.shape[0]
    lead = (*rows.shape[:1], *out[2 - axes :]) if axes else rows.shape[:-1]
    y = torch.empty(*lead, outputs, dtype=torch.int32)
    at, count = torch.empty_like(rows), torch.empty(rows.numel() // rows.shape[-1], dtype=torch.int32)
    job = native.IntJob(
        *(t.data_ptr() for t in (rows, weights.rows, y, at, count)), images, *plane, *out, outputs,
        *((c.c_int64 * 2)(*pair) for pair in (kernel, *settings)),
        rows.shape[-1], weights.bits, weights.largest, native.threads_for(y.numel()),
    )  # fmt: skip
    lib: Any = native.library()
    if lib.snn_int_layer(c.byref(job)):
        return None
    return y.movedim(-1, 1) if axes else y


def takes_integers(*tensors: Tensor) -> bool:
    """The C library is there and can read them: plain, on the CPU; the first int32 and not empty; no mode."""
    x = tensors[0]
    return not (
        x.dtype != torch.int32
        or not x.numel()
        or any(t.device.type != "cpu" for t in tensors)
        or not_plain(*tensors)
        or torch.compiler.is_compiling()
        or current_mode() is not None
        or native.missing()
    )


def _pair(values: Sequence[int], axes: int, fill: int) -> tuple[int, ...]:
    own = tuple(values) if len(values) == axes else tuple(values) * axes
    return (*[fill] * (2 - axes), *own[:axes])
