"""The same instructions on float64 tensors that hold integers: products and floors instead of shifts.

Written apart from :mod:`.ops_integer`, whose oracle they are. Every value stays below 2^53.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .ops_shape import ShapeOps, channel

__all__ = ["FloatOps"]

_LOW, _HIGH = -(2.0**31), 2.0**31 - 1


def _on_grid(v: Tensor, grid: Sequence[int] | None) -> Tensor:
    if grid is None:
        return v
    size, half = 2.0 ** grid[0], 2.0 ** (grid[1] - 1)
    return torch.floor(v / size).clamp(-half, half - 1) * size


class FloatOps(ShapeOps):
    """The instructions of :class:`.IntegerOps`."""

    @staticmethod
    def start(x: Tensor, high: int) -> Tensor:
        """Input counts."""
        return x.double()

    @staticmethod
    def layer(x: Tensor, codes: Tensor, *, bound: int, conv: dict[str, Any] | None) -> Tensor:
        """Sums of codes times counts."""
        if conv is None:
            return x @ codes.T
        run = F.conv1d if codes.ndim == 3 else F.conv2d
        return run(x, codes, **conv)

    @staticmethod
    def rescale(x: Tensor, M: Tensor, R: Tensor, *, shift: int, axis: int) -> Tensor:
        """``floor((x M + R) / 2^shift)``."""
        return torch.floor((x * channel(M, x, axis) + channel(R, x, axis)) / 2.0**shift)

    @staticmethod
    def threshold(x: Tensor, theta: Tensor, sign: Tensor, *, axis: int) -> Tensor:
        """How many thresholds of its channel each value reaches."""
        levels = torch.stack([channel(level, x, axis).expand_as(x) for level in theta])
        return (x * channel(sign, x, axis) >= levels).sum(0).double()

    @staticmethod
    def clip(x: Tensor, *, high: int) -> Tensor:
        """``clip(x, 0, high)``."""
        return torch.minimum(torch.relu(x), torch.full_like(x, high))

    @staticmethod
    def lif(
        x: Tensor, decay: Tensor, theta: Tensor, amount: Tensor, *, bits: int, decay_input: bool, reset: str,
        v_rest: int, v_reset: int, equal: bool, grid: Sequence[int] | None,
    ) -> Tensor:  # fmt: skip
        """As :meth:`.IntegerOps.lif`."""
        decay, theta, amount = (channel(p, x, 2) for p in (decay, theta, amount))
        v, out = torch.full_like(x[0], v_rest) if len(x) else x, torch.empty_like(x)
        for t in range(len(x)):
            w = v - v_rest
            if decay_input:
                h = v + torch.floor(decay * (x[t] - w) / 2.0**bits)
            else:
                h = v_rest + torch.floor(decay * w / 2.0**bits) + x[t]
            out[t] = (h >= theta) if equal else (h > theta)
            if reset == "soft":
                h = h - amount * out[t]
            elif reset == "hard":
                h = (1 - out[t]) * h + out[t] * v_reset
            v = _on_grid(h.clamp(_LOW, _HIGH), grid)
        return out

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
        """As :meth:`.IntegerOps.counts`."""
        v, out = torch.zeros_like(x[0]) if len(x) else x, torch.empty_like(x)
        for t in range(len(x)):
            h = torch.floor(decay * v / 2.0**bits) + x[t]
            below = torch.floor(h / theta)
            rest = 2 * (h - below * theta)  # against theta: which of the two multiples is nearer
            up = rest >= theta if half_up else (rest > theta) | ((rest == theta) & (below % 2 == 1))
            out[t] = (below + up.double()).clamp(0, levels)
            v = _on_grid((h - out[t] * theta).clamp(_LOW, _HIGH), grid)
        return out

    @staticmethod
    def add(a: Tensor, b: Tensor) -> Tensor:
        """Sum."""
        return a + b

    @staticmethod
    def mul(a: Tensor, b: Tensor) -> Tensor:
        """Product of two counts."""
        return a * b

    @staticmethod
    def matmul(a: Tensor, b: Tensor, *, bound: int) -> Tensor:
        """Product of two matrices of counts."""
        return a @ b

    @staticmethod
    def sum(x: Tensor, *, dims: list[int], keep: bool) -> Tensor:
        """Sum over axes."""
        return x.sum(dims, keepdim=keep)

    @staticmethod
    def pool(x: Tensor, *, kernel: int, stride: int, padding: int, axes: int) -> Tensor:
        """Maximum of windows."""
        rows = x.reshape(-1, *x.shape[-axes - 1 :])
        run = F.max_pool1d if axes == 1 else F.max_pool2d
        y = run(rows, kernel, stride, padding)
        return y.reshape(*x.shape[: -axes - 1], *y.shape[1:])
