"""Sums over lags event by event, in C: ``z[t + k, o] += x[t, i] K[o, i, k]`` for every nonzero input.

An event costs one pass over the lags and outputs that it reaches, forward and for the gradient of the kernel;
that of the input is dense. Equal to the other forms of :mod:`snnkit.kernels.delay_dense` up to rounding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..sequence import in_transform
from . import native
from ._layout import PLAIN
from .backend import backend

__all__ = [
    "DELAY_WIDTH",
    "Nonzero",
    "events_of",
    "events_unavailable",
    "gradient_by_events",
    "native_unavailable",
    "sum_events",
]

DELAY_WIDTH = 16  # of csrc/native.c


class Nonzero(NamedTuple):
    """Nonzero inputs by sample, input and step: those of input i of sample b begin at ``start[b in + i]``."""

    start: Tensor
    step: Tensor
    value: Tensor
    sizes: tuple[int, int, int]  # steps, samples, inputs


def events_unavailable(x: Tensor, kernel: Tensor) -> str | None:
    """Why this form cannot take these tensors now, None if it can."""
    if torch.compiler.is_compiling() or in_transform():
        return "it is no part of compiled graphs and transforms"
    if x.numel() >= 1 << 31:
        return "it takes inputs of less than 2^31 values"
    return native_unavailable(x, kernel)


def native_unavailable(x: Tensor, *operands: Tensor) -> str | None:
    """Why the C library does not take delays of these tensors, None if it does."""
    if backend() in ("reference", "eager"):
        return f"the backend {backend()!r} is chosen"
    if x.dtype != torch.float32:
        return f"it works in float32, the input is {x.dtype}"
    return native.unavailable(x, *operands)


def events_of(x: Tensor) -> Nonzero:
    """Those of ``x [T, B, in]``."""
    x = x.detach().resolve_neg().contiguous()
    number = int(x.count_nonzero())
    start = torch.empty(x[0].numel() + 1, dtype=torch.int32, device="cpu")
    step, value = torch.empty(number, dtype=torch.int32, device="cpu"), torch.empty(number, **PLAIN)
    native.library().snn_delay_events(*x.shape, *(t.data_ptr() for t in (x, start, step, value)))  # type: ignore[union-attr]
    steps, batch, inputs = x.shape
    return Nonzero(start, step, value, (steps, batch, inputs))


def sum_events(events: Nonzero, kernel: Tensor, steps: int) -> Tensor:
    """``[steps, B, out]`` through ``kernel [out, in, D + 1]``."""
    out = torch.empty(steps, events.sizes[1], kernel.shape[0], **PLAIN)
    _through(False, events, kernel.detach().resolve_neg().contiguous(), out)
    return out


def gradient_by_events(events: Nonzero, g: Tensor, taps: int) -> Tensor:
    """That of the kernel, ``[out, in, taps]``, from that of the output, ``[steps, B, out]``."""
    kernel = torch.empty(g.shape[2], events.sizes[2], taps, **PLAIN)
    _through(True, events, kernel, g.resolve_neg().contiguous())
    return kernel


def _through(learn: bool, events: Nonzero, kernel: Tensor, out: Tensor) -> None:
    steps, batch, outputs = out.shape
    inputs, taps = kernel.shape[1:]
    threads = native.threads_for(len(events.step) * taps * outputs // DELAY_WIDTH)
    threads = min(threads, -(-outputs // DELAY_WIDTH))
    scratch = torch.empty(threads, (inputs * taps + steps) * DELAY_WIDTH, **PLAIN)
    pointers: list[Any] = [t.data_ptr() for t in (*events[:3], kernel, out, scratch)]
    library: Any = native.library()
    library.snn_delay_through(learn, steps, batch, inputs, outputs, taps, *pointers, threads)
