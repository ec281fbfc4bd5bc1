"""Every channel of a sequence by a lag or a kernel of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sequence import in_transform
from . import native
from ._delay_events import DELAY_WIDTH, native_unavailable
from ._layout import PLAIN
from .delay_dense import FEW_LAGS, smooth

__all__ = ["delay_channels", "shift_channels"]


def delay_channels(x: Tensor, kernel: Tensor) -> Tensor:
    """Every channel through a kernel of its own: ``y[t, c] = sum_k h[c, k] x[t + D - k, c]``.

    Args:
        x: ``[D + T, B, C, *]``, beginning D steps before the first output. kernel: ``[C, D + 1]``.

    Returns:
        ``[T, B, C, *]``.
    """
    length, batch, channels = x.shape[:3]
    if 0 in x.shape or length < kernel.shape[-1]:
        return x[kernel.shape[-1] - 1 :] + 0 * kernel.sum()
    rows = x.reshape(length, batch, channels, -1).permute(1, 3, 2, 0)
    out = F.conv1d(rows.flatten(0, 1), kernel.flip(-1).unsqueeze(1), groups=channels)
    return out.unflatten(0, rows.shape[:2]).permute(3, 0, 2, 1).reshape(-1, *x.shape[1:])


def shift_channels(x: Tensor, lags: Tensor, max_delay: int, kernel: Tensor | None = None) -> Tensor:
    """:func:`delay_channels` with one whole lag per channel, ``[C]`` int64: only moves values.

    Args:
        kernel: that of the same lags, ``[C, D + 1]``, if it wants a gradient.
    """
    if torch.compiler.is_compiling() or in_transform():
        moved = x.gather(0, _sources(x, lags, max_delay))
        return moved if kernel is None else delay_channels(x, kernel)
    return _Shift.apply(x, kernel, lags, max_delay)


def _sources(x: Tensor, lags: Tensor, max_delay: int) -> Tensor:
    """Where each output comes from, on axis 0."""
    steps = x.shape[0] - max_delay
    first = torch.arange(max_delay, max_delay + steps, device=x.device).unsqueeze(1) - lags
    ones = (1,) * (x.ndim - 3)
    return first.view(steps, 1, lags.shape[0], *ones).expand(steps, *x.shape[1:])


class _Shift(torch.autograd.Function):
    """Moves values forward and gradients back; the kernel takes part in its own gradient only."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor | None, lags: Tensor, max_delay: int) -> Tensor:
        if native_unavailable(x) is not None:
            return x.gather(0, _sources(x, lags, max_delay))
        x = x.resolve_neg().contiguous()
        moved = x.new_empty(len(x) - max_delay, *x.shape[1:])
        _move(x, moved, lags, max_delay, back=False)
        return moved

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, kernel, lags, ctx.max_delay = inputs
        ctx.save_for_backward(x if kernel is not None else None, lags)
        ctx.length = len(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x, lags), D = ctx.saved_tensors, ctx.max_delay
        g_x = g_kernel = None
        if ctx.needs_input_grad[0]:
            g_x = g.new_zeros(ctx.length, *g.shape[1:])
            if native_unavailable(g) is None:
                g = g.resolve_neg().contiguous()
                _move(g_x, g, lags, D, back=True)
            else:
                g_x.scatter_(0, _sources(g_x, lags, D), g)
        if ctx.needs_input_grad[1]:
            g_kernel = _correlate(x, g, D + 1)
        return g_x, g_kernel, None, None


def _move(x: Tensor, y: Tensor, lags: Tensor, max_delay: int, *, back: bool) -> None:
    """``y[t, c] = x[t + D - lag[c], c]``, or back."""
    batch, channels = y.shape[1], y[:1, :1].numel()
    places = channels // max(len(lags), 1)
    at = (max_delay - lags).repeat_interleave(places) * (batch * channels) + torch.arange(channels)
    threads = min(batch, native.threads_for(y.numel()))
    library: Any = native.library()
    library.snn_delay_shift(
        len(y), batch, channels, at.data_ptr(), back, x.data_ptr(), y.data_ptr(), max(threads, 1)
    )


def _correlate(x: Tensor, g: Tensor, taps: int) -> Tensor:
    """Gradient ``[C, D + 1]`` of the kernel of :func:`delay_channels`."""
    if 0 in g.shape:
        return x.new_zeros(x.shape[2], taps)
    rows = [t.flatten(3) if t.ndim > 3 else t.unsqueeze(3) for t in (x, g)]
    if native_unavailable(x, g) is None:
        return _correlate_native(rows[0].contiguous(), rows[1].contiguous(), taps)
    if taps > FEW_LAGS:
        return _correlate_fft(rows[0], rows[1], taps)
    wide, narrow = (t.permute(1, 3, 2, 0).flatten(0, 1) for t in rows)
    weight = x.new_empty(x.shape[2], 1, taps)
    geometry = ([0], [1], [0], [1], False, [0], x.shape[2])
    found = torch.ops.aten.convolution_backward(narrow, wide, weight, *geometry, [False, True, False])
    return found[1].squeeze(1).flip(-1)


def _correlate_native(x: Tensor, g: Tensor, taps: int) -> Tensor:
    steps, batch, channels, places = g.shape
    n = channels * places
    threads = min(native.threads_for(g.numel()), -(-n // DELAY_WIDTH))
    total = torch.empty(taps, n, **PLAIN)
    scratch = torch.empty(threads, 2 * (steps + taps) * DELAY_WIDTH, **PLAIN)
    library: Any = native.library()
    library.snn_delay_correlate(
        steps, batch, n, taps, *(t.data_ptr() for t in (x, g, total, scratch)), threads
    )
    return total.view(taps, channels, places).sum(2).t()


def _correlate_fft(x: Tensor, g: Tensor, taps: int) -> Tensor:
    """The same by spectra ``[F, B, C, P]``, summed over samples and places."""
    n = smooth(len(x))
    spectrum = (torch.fft.rfft(x, n, dim=0) * torch.fft.rfft(g, n, dim=0).conj()).sum((1, 3))
    return torch.fft.irfft(spectrum, n, dim=0)[:taps].flip(0).t()
