r"""How many outputs an input position reaches in a convolution: exact, and separable over dimensions.

Along one dimension with kernel k, stride s, padding p, dilation e and output size O, input position i
meets tap t if an output o exists with

    convolution:  i = o s - p + t e        transposed:  o = i s - p + t e,        0 <= o < O,

so ``reach[i]`` is the number of such taps. A nonzero input at ``(i_1, ..., i_d)`` in any channel causes
``C_out/groups * prod_d reach_d[i_d]`` synaptic operations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["Geometry", "spread"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a convolution over d dimensions; every tuple has d entries.

    ``inner`` says which input positions exist, as (first, last + 1): those outside were made by an
    explicit zero padding in front of the convolution.
    """

    size: tuple[int, ...]
    out: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool = False
    inner: tuple[tuple[int, int], ...] = ()

    def taps(self, d: int) -> Tensor:
        """``[k, n]``: 1 where tap t of input position i along dimension ``d`` has an output."""
        i = torch.arange(self.size[d])
        t = torch.arange(self.kernel[d]).unsqueeze(1) * self.dilation[d]
        if self.transposed:
            o = i * self.stride[d] - self.padding[d] + t
            return ((o >= 0) & (o < self.out[d])).long()
        far = i + self.padding[d] - t
        o = far.div(self.stride[d], rounding_mode="floor")
        return ((far % self.stride[d] == 0) & (o >= 0) & (o < self.out[d])).long()

    def reach(self) -> Tensor:
        """``[prod n]`` int64: taps of every input position, the last dimension fastest."""
        return _reach(self)

    def total(self) -> int:
        """Sum of the reach over the positions that exist."""
        return _total(self)

    def weighted(self, per_tap: Tensor) -> Tensor:
        """``[C, prod n]`` int64: reach with every tap counted ``per_tap [C, k_1, ..., k_d]`` times."""
        result = per_tap.double()  # exact: far below 2^53
        for d in range(len(self.size)):
            result = torch.tensordot(result, self.taps(d).double().to(result.device), dims=([1], [0]))
        return result.flatten(1).long()


@lru_cache(maxsize=512)
def _reach(geometry: Geometry) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        result = torch.ones(1, dtype=torch.int64)
        for d in range(len(geometry.size)):
            result = torch.outer(result, geometry.taps(d).sum(0)).flatten()
        return result


@lru_cache(maxsize=512)
def _total(geometry: Geometry) -> int:
    inner = geometry.inner or tuple((0, n) for n in geometry.size)
    return math.prod(int(geometry.taps(d).sum(0)[a:b].sum()) for d, (a, b) in enumerate(inner))


def spread(values: Sequence[int] | int, dims: int) -> tuple[int, ...]:
    """One number for all dimensions, or one per dimension -> one per dimension."""
    values = (values,) if isinstance(values, int) else tuple(values)
    return values * dims if len(values) == 1 else values
