"""Sums over lags: ``z[t, o] = sum_i sum_k K[o, i, k] x[t-k, i]`` in three ways, and channel by channel.

``conv`` is a convolution over time, best up to about 40 lags; ``fft`` multiplies spectra, and its cost hardly
depends on the number of lags; ``loop`` is one matrix product per lag, the obvious way that the others equal.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

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
        spectrum = torch.fft.rfft(x.to(dtype), n, dim=0)
        weights = torch.fft.rfft(kernel.to(dtype), n).permute(2, 1, 0)
        return torch.fft.irfft(spectrum @ weights, n, dim=0)[:steps].to(x.dtype)


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


def shift_channels(x: Tensor, lags: Tensor, max_delay: int) -> Tensor:
    """:func:`delay_channels` with one whole lag per channel, ``[C]`` int64: only moves values."""
    steps = x.shape[0] - max_delay
    first = torch.arange(max_delay, max_delay + steps, device=x.device).unsqueeze(1) - lags
    ones = (1,) * (x.ndim - 3)
    return x.gather(0, first.view(steps, 1, lags.shape[0], *ones).expand(steps, *x.shape[1:]))
