"""Instructions on integer tensors. Right shifts are arithmetic: they floor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .ops_shape import ShapeOps, channel

__all__ = ["IntegerOps", "carrier", "counts_type"]

_LOW, _HIGH = -(2**31), 2**31 - 1


def carrier(bound: int) -> torch.dtype:
    """The narrowest floating-point type in which all sums up to ``bound`` are exact."""
    return torch.float32 if bound < 2**24 else torch.float64


def counts_type(high: int) -> torch.dtype:
    """Of counts ``0..high``."""
    return torch.uint8 if high <= 255 else torch.int32


@contextmanager
def _exact(device: torch.device) -> Iterator[None]:
    """On CUDA, without the shortened mantissas of TF32."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _on_grid(v: Tensor, grid: Sequence[int] | None) -> Tensor:
    if grid is None:
        return v
    shift, bits = grid
    return (v >> shift).clamp(-(1 << bits - 1), (1 << bits - 1) - 1) << shift


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.int32) if x.dtype == torch.uint8 else x


class IntegerOps(ShapeOps):
    """Each instruction is a static method: values first, then tensors, then settings by name."""

    @staticmethod
    def start(x: Tensor, high: int) -> Tensor:
        """Input counts ``0..high`` as integers."""
        return x.to(counts_type(high))

    @staticmethod
    def layer(x: Tensor, codes: Tensor, *, bound: int, conv: dict[str, Any] | None) -> Tensor:
        """Sums of codes times counts."""
        with _exact(x.device):
            if conv is None:
                return F.linear(x.to(codes.dtype), codes).to(torch.int32)
            run = F.conv1d if codes.ndim == 3 else F.conv2d
            return run(x.to(codes.dtype), codes, **conv).to(torch.int32)

    @staticmethod
    def rescale(x: Tensor, M: Tensor, R: Tensor, *, shift: int, axis: int) -> Tensor:
        """``(x M + R) >> shift``."""
        return (x.long() * channel(M, x, axis) + channel(R, x, axis) >> shift).to(torch.int32)

    @staticmethod
    def threshold(x: Tensor, theta: Tensor, sign: Tensor, *, axis: int) -> Tensor:
        """How many thresholds of its channel each value reaches."""
        x = x.long() * channel(sign, x, axis)
        n = torch.zeros(x.shape, dtype=torch.int32, device=x.device)
        for level in theta.unbind(0):
            n += x >= channel(level, x, axis)
        return n.to(counts_type(len(theta)))

    @staticmethod
    def clip(x: Tensor, *, high: int) -> Tensor:
        """``clip(x, 0, high)``."""
        return x.clamp(0, high).to(counts_type(high))

    @staticmethod
    def lif(
        x: Tensor, decay: Tensor, theta: Tensor, amount: Tensor, *, bits: int, decay_input: bool, reset: str,
        v_rest: int, v_reset: int, equal: bool, grid: Sequence[int] | None,
    ) -> Tensor:  # fmt: skip
        """``h = v_rest + (m (v - v_rest) >> bits) + x``, or ``h = v + (r (x - (v - v_rest)) >> bits)``."""
        m, level, spent = (channel(p, x, 2) for p in (decay, theta, amount))
        v, out = torch.full(x.shape[1:], v_rest, dtype=torch.int64, device=x.device), []
        for now in x.long().unbind(0):
            w = v - v_rest
            h = v + ((now - w) * m >> bits) if decay_input else v_rest + (w * m >> bits) + now
            s = h >= level if equal else h > level
            if reset == "soft":
                h = h - s * spent
            elif reset == "hard":
                h = torch.where(s, v_reset, h)
            v = _on_grid(h.clamp(_LOW, _HIGH), grid)
            out.append(s.to(torch.uint8))
        return torch.stack(out) if out else x.to(torch.uint8)

    @staticmethod
    def counts(
        x: Tensor,
        decay: Tensor,
        theta: Tensor,
        *,
        bits: int,
        levels: int,
        half_up: bool,
        grid: Sequence[int] | None,
    ) -> Tensor:
        """``h = (m v >> bits) + x``; the count rounds ``h / theta``; ``v = h - n theta``."""
        v, out = torch.zeros(x.shape[1:], dtype=torch.int64, device=x.device), []
        for now in x.long().unbind(0):
            h = (v * decay >> bits) + now
            n = torch.zeros_like(h)
            for j in range(
                1, levels + 1
            ):  # 2 h against the middle between j - 1 and j; ties go up, or to even
                middle = (2 * j - 1) * theta
                n += 2 * h >= middle if half_up or j % 2 == 0 else 2 * h > middle
            v = _on_grid((h - n * theta).clamp(_LOW, _HIGH), grid)
            out.append(n.to(counts_type(levels)))
        return torch.stack(out) if out else x.to(counts_type(levels))

    @staticmethod
    def add(a: Tensor, b: Tensor) -> Tensor:
        """Sum; the conversion has checked that it fits."""
        return _wide(a) + _wide(b)

    @staticmethod
    def mul(a: Tensor, b: Tensor) -> Tensor:
        """Product of two counts; the conversion has checked that it fits."""
        return _wide(a) * _wide(b)

    @staticmethod
    def matmul(a: Tensor, b: Tensor, *, bound: int) -> Tensor:
        """Product of two matrices of counts."""
        dtype = carrier(bound)
        with _exact(a.device):
            out = a.to(dtype) @ b.to(dtype)
        return out.to(torch.int32 if bound < 2**31 else torch.int64)

    @staticmethod
    def sum(x: Tensor, *, dims: list[int], keep: bool) -> Tensor:
        """Sum over axes."""
        return x.sum(dims, keepdim=keep)  # of integers: in int64

    @staticmethod
    def pool(x: Tensor, *, kernel: int, stride: int, padding: int, axes: int) -> Tensor:
        """Maximum of windows. All values are below 2^53."""
        lead = x.flatten(0, x.ndim - axes - 2) if x.ndim > axes + 2 else x
        run = F.max_pool1d if axes == 1 else F.max_pool2d
        y = run(lead.double(), kernel, stride, padding).to(x.dtype)
        return y.unflatten(0, x.shape[: x.ndim - axes - 1]) if x.ndim > axes + 2 else y
