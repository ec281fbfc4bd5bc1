"""Linear layers and convolutions on integers: weights of 4 or 8 bits times spike counts, and their neurons.

``y[c] = sum over j of x[j] w[c, j]``, exact. Where few inputs are active, only the rows that they name are
read and summed in int16, twice as many at once as floats, moved into int32 before they may leave it. Where
many are, four products of bytes at a time are added in int32.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import ConfigError, quote
from . import native
from .int_values import IntAfter, takes_integers

__all__ = ["IntLayer"]

_BLOCK = 64  # outputs that are summed together
_FOUR, _EIGHT, _HALF, _DEPTHWISE = range(4)
_HIGH = 255


class IntLayer:
    """A layer with its weights in the order in which they are read.

    Args:
        codes: integers ``[out, in]``, ``[out, in / groups, k]`` or ``[out, in / groups, kh, kw]``.
        high: the largest count of the input, at most 255.
        conv: stride, padding, dilation and groups of a convolution; numbers or one per axis.
        after: what follows the sums, of all outputs (:func:`.int_after`).

    Raises:
        ConfigError: codes or counts of more than 8 bits, or no convolution.
    """

    def __init__(
        self, codes: Tensor, high: int, conv: Mapping[str, Any] | None = None, after: IntAfter | None = None
    ) -> None:
        codes = codes.detach().to(device="cpu", dtype=torch.int64)
        low, top = (int(codes.min()), int(codes.max())) if codes.numel() else (0, 0)
        if low < -128 or top > 127 or not 0 <= high <= _HIGH:
            raise ConfigError(
                f"IntLayer: got codes {low}..{top}, counts 0..{high}, expected 8 bits each. Use fewer bits."
            )
        self.axes, self.after = codes.ndim - 2, after
        conv = conv or {}
        job = self.job = native.IntJob(high=high, largest=max(-low, top))
        kernel = (*[1] * (2 - self.axes), *codes.shape[2:])
        pairs = [self._pair(conv.get(k, v), v) for k, v in (("stride", 1), ("padding", 0), ("dilation", 1))]
        groups = conv.get("groups", 1)
        stride, padding, dilation = pairs
        if min(*stride, *dilation, groups) < 1 or min(padding) < 0 or len(codes) % max(groups, 1):
            raise ConfigError(
                f"IntLayer: got {len(codes)} outputs and {quote(dict(conv))}, which make no convolution. "
                "Use stride, dilation and groups >= 1, padding >= 0, and outputs that groups divide."
            )
        for name, pair in zip(("kernel", "stride", "padding", "dilation"), (kernel, *pairs), strict=True):
            setattr(job, name, (c.c_int64 * 2)(*pair))
        job.groups, job.inputs = groups, codes.shape[1]
        job.all_outputs, job.outputs = len(codes), len(codes) // job.groups
        job.all_inputs = job.inputs * job.groups
        job.rows, job.runs = kernel[0], 1 if dilation[1] == 1 else kernel[1]
        job.run = kernel[1] // job.runs * job.inputs
        job.room = (2**15 - 1) // max(1, high * job.largest)
        if after is not None:
            job.after = after.job
        else:
            job.after.period = len(codes)
        self.gathered, self.dense = self._gathered(codes, low, top), self._dense(codes)
        job.gathered, job.gathered_group = self.gathered.data_ptr(), self.gathered[0].numel()
        if self.dense is not None:
            job.dense, job.dense_group = self.dense.data_ptr(), self.dense[0].numel()

    def _pair(self, value: Any, fill: int) -> tuple[int, ...]:
        own = (value,) * self.axes if isinstance(value, int) else tuple(value) * (self.axes // len(value))
        return (*[fill] * (2 - self.axes), *own)

    def _gathered(self, codes: Tensor, low: int, top: int) -> Tensor:
        """``[groups, blocks, taps, in, 64]``, 32 for at most 32 outputs or two codes per byte."""
        job = self.job
        if job.groups > 1 and job.inputs == job.outputs == 1:
            job.layout, job.groups, job.inputs, job.outputs = _DEPTHWISE, 1, job.all_inputs, job.all_outputs
            return codes.flatten(1).T[None].to(torch.int8).contiguous()
        job.layout = _HALF if job.outputs <= _BLOCK // 2 else _FOUR if low >= -8 and top <= 7 else _EIGHT
        block = _BLOCK // 2 if job.layout == _HALF else _BLOCK
        rows = codes.reshape(job.groups, job.outputs, job.inputs, -1).permute(0, 3, 2, 1)
        rows = F.pad(rows, (0, -job.outputs % block)).unflatten(3, (-1, block)).permute(0, 3, 1, 2, 4)
        if job.layout == _FOUR:
            rows = (rows[..., : _BLOCK // 2] & 15) + 16 * rows[..., _BLOCK // 2 :]
        return rows.to(torch.int8).contiguous()

    def _dense(self, codes: Tensor) -> Tensor | None:
        """``[groups, bytes]``: blocks of up to 64 outputs of ``[rows, runs, run / 4, 16 k outputs, 4]``."""
        job = self.job
        if job.layout == _DEPTHWISE:
            return None
        taps = codes.reshape(job.groups, job.outputs, job.inputs, -1).permute(0, 1, 3, 2)
        fours = F.pad(taps.reshape(job.groups, job.outputs, job.rows * job.runs, job.run), (0, -job.run % 4))
        fours = F.pad(fours, (0, 0, 0, 0, 0, -job.outputs % 16)).unflatten(3, (-1, 4)).movedim(1, 3)
        blocks = [b.flatten(1) for b in fours.split(_BLOCK, 3)]  # of [groups, rows * runs, run / 4, out, 4]
        return torch.cat(blocks, 1).to(torch.int8).contiguous()

    def __call__(self, x: Tensor, steps: int = 1) -> Tensor | None:
        """The sums, or what ``after`` makes of them; None where torch has to form them.

        Args:
            x: counts ``[N, ..., in]`` of a linear layer, ``[N, in, L]`` or ``[N, in, H, W]`` of a
                convolution; uint8, or another type with the same values.
            steps: of time, N = steps B; neurons go through them in order.

        Returns:
            int32, or uint8 of neurons; of a convolution with channels last in memory.
        """
        axes, job = self.axes, native.IntJob.from_buffer_copy(self.job)
        if x.ndim != axes + 2 if axes else x.ndim < 2:
            return None
        if not takes_integers(x) or x.shape[1 if axes else -1] != job.all_inputs or x.shape[0] % steps:
            return None
        rows = x.to(torch.uint8)
        rows = rows.movedim(1, -1).contiguous() if axes else rows.contiguous()
        middle = rows.shape[1:-1]
        job.steps, job.batch = steps, x.shape[0] // steps
        job.height, job.width = middle if axes == 2 else (1, middle.numel())
        out = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                (job.height, job.width), job.kernel, job.stride, job.padding, job.dilation, strict=True
            )
        ]
        if min(out) < 1:
            return None  # torch says what is wrong
        job.out_height, job.out_width = out
        lead = (x.shape[0], *(out[2 - axes :] if axes else middle))
        y = torch.empty(*lead, job.all_outputs, dtype=torch.int32 if self.after is None else self.after.dtype)
        job.threads = native.threads_for(y.numel())
        job.x, job.y = rows.data_ptr(), y.data_ptr()
        lib: Any = native.library()
        if lib.snn_int_layer(c.byref(job)):
            return None
        return y.movedim(-1, 1) if axes else y
