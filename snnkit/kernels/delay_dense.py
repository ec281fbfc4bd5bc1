"""Sums over lags: ``z[t, o] = sum_i sum_k K[o, i, k] x[t-k, i]`` in four ways.

``loop`` is one matrix product per lag, the obvious way that the others equal. ``conv`` is a convolution over
time, best up to about 40 lags; ``fft`` multiplies spectra, and its cost hardly depends on the number of lags;
``events`` adds a kernel for every nonzero input, on CPUs the fastest while few are nonzero. ``auto`` chooses.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BackendError
from ..sequence import in_transform
from ._delay_events import events_of, events_unavailable, gradient_by_events, sum_events

__all__ = ["DELAY_BACKENDS", "FEW_LAGS", "DelayBackend", "delay_dense", "smooth"]

DelayBackend = Literal["auto", "conv", "fft", "loop", "events"]
DELAY_BACKENDS: tuple[DelayBackend, ...] = ("auto", "conv", "fft", "loop", "events")
FEW_LAGS = 40  # up to so many a convolution is faster than spectra; measured on CPUs
_FEW_EVENTS = 0.2  # share of nonzero inputs under which "auto" goes through events; measured on CPUs


def delay_dense(x: Tensor, kernel: Tensor, backend: DelayBackend = "auto", *, tail: bool = False) -> Tensor:
    """``x [T, B, in]``, zero before its start, through ``kernel [out, in, D + 1]`` -> ``[T, B, out]``.

    Args:
        tail: go on for D steps after the end, on zero input: ``[T + D, B, out]``.
        backend: see above; they agree up to the rounding of sums. ``fft`` is never in less than float32.

    Raises:
        BackendError: "events" for tensors that the C library cannot take.
    """
    lags = kernel.shape[-1]
    steps = x.shape[0] + (lags - 1 if tail else 0)
    if 0 in (steps, x.shape[1], *kernel.shape[:2]) or x.shape[0] == 0:
        return (x.sum() + kernel.sum()) * x.new_zeros(steps, x.shape[1], kernel.shape[0])  # keeps the graph
    if backend == "auto":
        backend = "events" if _pays(x, kernel) else _by_lags(lags)
    if backend == "events":
        reason = events_unavailable(x, kernel)
        if reason is not None:
            raise BackendError(f'delay_dense(backend="events"): {reason}. Choose another backend.')
        return _ByEvents.apply(x, kernel, steps)
    if backend == "conv":
        rows = F.pad(x.permute(1, 2, 0), (lags - 1, steps - x.shape[0]))
        return F.conv1d(rows, kernel.flip(-1)).permute(2, 0, 1)
    if backend == "fft":
        return _fft(x, kernel, steps)
    past = F.pad(x, (0, 0, 0, 0, lags - 1, steps - x.shape[0]))
    parts = [F.linear(past[lags - 1 - k : lags - 1 - k + steps], kernel[..., k]) for k in range(lags)]
    return torch.stack(parts).sum(0)


def _pays(x: Tensor, kernel: Tensor) -> bool:
    return events_unavailable(x, kernel) is None and int(x.count_nonzero()) < _FEW_EVENTS * x.numel()


def _by_lags(lags: int) -> Literal["conv", "fft"]:
    return "conv" if lags <= FEW_LAGS else "fft"


class _ByEvents(torch.autograd.Function):
    """Finds the events again in the backward pass: they are found faster than kept."""

    @staticmethod
    def forward(x: Tensor, kernel: Tensor, steps: int) -> Tensor:
        return sum_events(events_of(x), kernel, steps)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        g_x = _input_gradient(g, kernel, len(x)) if ctx.needs_input_grad[0] else None
        g_kernel = gradient_by_events(events_of(x), g, kernel.shape[-1]) if ctx.needs_input_grad[1] else None
        return g_x, g_kernel, None


def _input_gradient(g: Tensor, kernel: Tensor, steps: int) -> Tensor:
    """``g_x[t, i] = sum_o sum_k K[o, i, k] g[t+k, o]``: dense, whatever the input was."""
    lags = kernel.shape[-1]
    if _by_lags(lags) == "fft":
        n = smooth(steps + lags - 1)
        return _spectral_input_gradient(torch.fft.rfft(g, n, dim=0), kernel, n)[:steps]
    rows = F.pad(g.permute(1, 2, 0), (0, steps + lags - 1 - len(g)))
    return F.conv1d(rows, kernel.transpose(0, 1)).permute(2, 0, 1)


def _fft(x: Tensor, kernel: Tensor, steps: int) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        n = smooth(x.shape[0] + kernel.shape[-1] - 1)
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
            g_x = _spectral_input_gradient(spectrum, kernel, n)[: len(x)]
        if ctx.needs_input_grad[1]:
            product = spectrum.transpose(1, 2) @ torch.fft.rfft(x, n, dim=0).conj()
            g_kernel = torch.fft.irfft(product, n, dim=0)[: kernel.shape[-1]].permute(1, 2, 0)
        return g_x, g_kernel, None, None


def _spectral_input_gradient(spectrum: Tensor, kernel: Tensor, n: int) -> Tensor:
    weights = torch.fft.rfft(kernel, n).permute(2, 0, 1)
    return torch.fft.irfft(spectrum @ weights.conj(), n, dim=0)


def smooth(n: int) -> int:
    """The next number whose only prime factors are 2, 3 and 5: those transforms are fast."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1
