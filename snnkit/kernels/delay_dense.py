"""Sums over lags: ``z[t, o] = sum_i sum_k K[o, i, k] x[t-k, i]`` in three ways, and channel by channel.

``conv`` is a convolution over time, best up to about 40 lags; ``fft`` multiplies spectra, and its cost hardly
depends on the number of lags; ``loop`` is one matrix product per lag, the obvious way that the others equal.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..sequence import in_transform

__all__ = ["DELAY_BACKENDS", "DelayBackend", "delay_channels", "delay_dense", "shift_channels"]

DelayBackend = Literal["auto", "conv", "fft", "loop"]
DELAY_BACKENDS: tuple[DelayBackend, ...] = ("auto", "conv", "fft", "loop")
_CONV_UP_TO = 40  # lags; measured on CPUs


def delay_dense(x: Tensor, kernel: Tensor, backend: DelayBackend = "auto", *, tail: bool = False) -> Tensor:
    """``x [T, B, in]``, zero before its start, through ``kernel [out, in, D + 1]`` -> ``[T, B, out]``.

    Args:
        tail: go on for D steps after the end, on zero input: ``[T + D, B, out]``.
        backend: see above; they agree up to the rounding of sums. ``fft`` is never in less than float32.
    """
    lags = kernel.shape[-1]
    steps = x.shape[0] + (lags - 1 if tail else 0)
    if 0 in (steps, x.shape[1], *kernel.shape[:2]) or x.shape[0] == 0:
        return (x.sum() + kernel.sum()) * x.new_zeros(steps, x.shape[1], kernel.shape[0])  # keeps the graph
    if backend == "auto":
        backend = "conv" if lags <= _CONV_UP_TO else "fft"
    if backend == "conv":
        rows = F.pad(x.permute(1, 2, 0), (lags - 1, steps - x.shape[0]))
        return F.conv1d(rows, kernel.flip(-1)).permute(2, 0, 1)
    if backend == "fft":
        return _fft(x, kernel, steps)
    past = F.pad(x, (0, 0, 0, 0, lags - 1, steps - x.shape[0]))
    parts = [F.linear(past[lags - 1 - k : lags - 1 - k + steps], kernel[..., k]) for k in range(lags)]
    return torch.stack(parts).sum(0)


def _fft(x: Tensor, kernel: Tensor, steps: int) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        n = _smooth(x.shape[0] + kernel.shape[-1] - 1)
        plain = torch.compiler.is_compiling() or in_transform()
        call = _Spectral.forward if plain else _Spectral.apply
        return call(x.to(dtype), kernel.to(dtype), n, steps).to(x.dtype)


class _Spectral(torch.autograd.Function):
    """Keeps the operands; spectra, which are twice their size and padded, are made again when needed."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, n: int, steps: int) -> Tensor:
        weights = torch.fft.rfft(kernel, n).permute(2, 1, 0)
        return torch.fft.irfft(torch.fft.rfft(x, n, dim=0) @ weights, n, dim=0)[:steps]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, kernel, ctx.n, _ = inputs
        ctx.save_for_backward(x, kernel)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        (x, kernel), n = ctx.saved_tensors, ctx.n
        spectrum, g_x, g_kernel = torch.fft.rfft(g, n, dim=0), None, None
        if ctx.needs_input_grad[0]:
            weights = torch.fft.rfft(kernel, n).permute(2, 0, 1)
            g_x = torch.fft.irfft(spectrum @ weights.conj(), n, dim=0)[: len(x)]
        if ctx.needs_input_grad[1]:
            product = spectrum.transpose(1, 2) @ torch.fft.rfft(x, n, dim=0).conj()
            g_kernel = torch.fft.irfft(product, n, dim=0)[: kernel.shape[-1]].permute(1, 2, 0)
        return g_x, g_kernel, None, None


def _smooth(n: int) -> int:
    """The next number whose only prime factors are 2, 3 and 5: those transforms are fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


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
    if kernel is None or torch.compiler.is_compiling() or in_transform():
        moved = x.gather(0, _sources(x, lags, max_delay))
        return moved if kernel is None else delay_channels(x, kernel)
    return _Shift.apply(x, kernel, lags)


def _sources(x: Tensor, lags: Tensor, max_delay: int) -> Tensor:
    """Where each output comes from, on axis 0."""
    steps = x.shape[0] - max_delay
    first = torch.arange(max_delay, max_delay + steps, device=x.device).unsqueeze(1) - lags
    ones = (1,) * (x.ndim - 3)
    return first.view(steps, 1, lags.shape[0], *ones).expand(steps, *x.shape[1:])


class _Shift(torch.autograd.Function):
    """Moves values forward and gradients back; the kernel takes part in its own gradient only."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, lags: Tensor) -> Tensor:
        return x.gather(0, _sources(x, lags, kernel.shape[-1] - 1))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, kernel, lags = inputs
        ctx.save_for_backward(x, lags)
        ctx.taps = kernel.shape[-1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, lags = ctx.saved_tensors
        g_x = g_kernel = None
        if ctx.needs_input_grad[0]:
            g_x = torch.zeros_like(x).scatter_(0, _sources(x, lags, ctx.taps - 1), g)
        if ctx.needs_input_grad[1]:
            g_kernel = _correlate(x, g, ctx.taps)
        return g_x, g_kernel, None


def _correlate(x: Tensor, g: Tensor, taps: int) -> Tensor:
    """Gradient ``[C, D + 1]`` of the kernel of :func:`delay_channels`."""
    rows = [t.flatten(3) if t.ndim > 3 else t.unsqueeze(3) for t in (x, g)]
    if taps > _CONV_UP_TO and 0 not in g.shape:
        return _correlate_fft(rows[0], rows[1], taps)
    wide, narrow = (t.permute(1, 3, 2, 0).flatten(0, 1) for t in rows)
    if 0 in narrow.shape:
        return x.new_zeros(x.shape[2], taps)
    weight = x.new_empty(x.shape[2], 1, taps)
    geometry = ([0], [1], [0], [1], False, [0], x.shape[2])
    found = torch.ops.aten.convolution_backward(narrow, wide, weight, *geometry, [False, True, False])
    return found[1].squeeze(1).flip(-1)


def _correlate_fft(x: Tensor, g: Tensor, taps: int) -> Tensor:
    """The same by spectra ``[F, B, C, P]``, summed over samples and places."""
    n = _smooth(len(x))
    spectrum = (torch.fft.rfft(x, n, dim=0) * torch.fft.rfft(g, n, dim=0).conj()).sum((1, 3))
    return torch.fft.irfft(spectrum, n, dim=0)[:taps].flip(0).t()
