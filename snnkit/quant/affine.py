"""Integers that stand for real numbers, ``real = a n + b``, and two ways on: a table, or a common scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import AccumulatorOverflowError
from .integer_neurons import Table

__all__ = ["EXACT", "INT32", "Value", "multipliers", "thresholds"]

INT32, EXACT = 2**31 - 1, 2**53 - 1
_MULTIPLIER_BITS = 21
_MOST = 62  # bits by which an int64 may be shifted
_FINE = 32  # bits of shift behind which a multiplier of an int32 is wrong by a quarter of a unit at most


@dataclass(frozen=True)
class Value:
    """``real = a n + b`` for the integers n of program value ``at``, all within ``low..high``.

    ``a`` and ``b`` are ``[]`` or ``[C]`` on ``axis``, in float64.
    """

    at: int
    a: Tensor
    b: Tensor
    low: int
    high: int
    axis: int = 0

    @property
    def plain(self) -> bool:
        """One positive scale and no offset: integers of a unit."""
        return self.a.ndim == 0 and self.b.ndim == 0 and float(self.a) > 0 and float(self.b) == 0


def thresholds(x: Value, table: Table) -> tuple[Tensor, Tensor]:
    """``theta [D, C]`` and ``sign [C]`` (``[D]`` and ``[]`` if all channels are alike), computed exactly.

    Count j of channel c is reached where ``sign[c] n >= theta[j, c]``.
    """
    a, b = (t.tolist() if t.ndim else [t.item()] for t in torch.broadcast_tensors(x.a, x.b))
    rows = [_row(Fraction(p), Fraction(q), table) for p, q in zip(a, b, strict=True)]
    theta = torch.tensor(rows, dtype=torch.int64).T.contiguous()
    sign = torch.tensor([-1 if p < 0 else 1 for p in a])
    return (theta[:, 0], sign[0]) if theta.shape[1] == 1 else (theta, sign)


def _row(a: Fraction, b: Fraction, table: Table) -> list[int]:
    row = []
    for j in range(1, table.levels + 1):
        need = (Fraction(2 * j - 1, 2)) * table.step - b  # a n >= need, or > if a tie goes down
        strict = not table.half_up and j % 2 == 1
        if a == 0:
            reached = need < 0 or (need == 0 and not strict)
            row.append(-INT32 if reached else INT32)
            continue
        bound = need / abs(a)
        row.append(max(-INT32, min(INT32, math.floor(bound) + 1 if strict else math.ceil(bound))))
    return row


class Multipliers(NamedTuple):
    """``(n M + R) >> shift``: integers of ``2^-fraction``, within ``low..high``."""

    M: Tensor
    R: Tensor
    shift: int
    low: int
    high: int


def multipliers(x: Value, fraction: int, path: str) -> Multipliers:
    """From ``x`` to units of ``2^-fraction``, by one multiplier per channel.

    Raises:
        AccumulatorOverflowError: products beyond 2^53, in which both arithmetics are exact.
    """
    top = float(x.a.abs().max()) * 2.0**fraction
    exponent = math.frexp(top)[1] if top else 0
    half = 0.0 if fraction == 0 else 0.5  # to the nearest; counts have their half in b

    def factors(shift: int) -> tuple[Tensor, Tensor, float]:
        M = torch.round(x.a * 2.0 ** (fraction + shift))
        R = torch.floor(x.b * 2.0 ** (fraction + shift) + half * 2.0**shift)
        return M, R, float((M.abs() * max(-x.low, x.high) + R.abs()).max())

    shift = min(max(0, _MULTIPLIER_BITS - exponent), _MOST)
    M, R, largest = factors(shift)
    while not largest <= EXACT and shift > _FINE:  # a small a beside a large b
        shift -= 1
        M, R, largest = factors(shift)
    if not largest <= EXACT:
        raise AccumulatorOverflowError(
            f"convert_to_integer: {path}: products of {largest:g} exceed 2^53. Use a smaller fraction."
        )
    M, R = M.long(), R.long()
    ends = torch.stack(torch.broadcast_tensors(M * x.low + R, M * x.high + R)) >> shift
    return Multipliers(M, R, shift, int(ends.min()), int(ends.max()))
