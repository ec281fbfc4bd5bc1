"""Sums, means and maxima, over axes and over windows; the table is in :mod:`snnkit.energy.pointwise`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .pointwise import count, per_row, power_of_two
from .provenance import tensors_in
from .reach import Geometry, spread
from .rules import FREE, Op, OpCount, rule

__all__: list[str] = []


def _silent_or_spikes(op: Op, x: Tensor) -> bool:
    """Additions are driven by events; without any there is nothing to add."""
    alphabet = op.alphabet(x)
    return alphabet.is_spike or alphabet.kind == "empty"


@rule("sum", "mean", "cumsum", "cumsum_")
def _sum(op: Op) -> OpCount | object:
    x, out = op.tensor("self"), op.out
    if op.name.startswith("cumsum"):
        return count(op, adds=x.numel())
    if x.numel() == out.numel():
        return FREE
    size = x.numel() // max(out.numel(), 1)
    known = op.declared(x)
    if known is not None:
        op.result = known.total(size, 1 / size if op.name == "mean" else 1.0)
    muls = out.numel() if op.name == "mean" and not power_of_two(size) else 0
    if x.ndim > 2 and _silent_or_spikes(op, x):
        events = x.ne(0).flatten(2).sum(2, dtype=torch.float64)
        return per_row(op, x, events, x.numel() - out.numel(), muls)
    return count(op, adds=x.numel() - out.numel(), muls=muls)


def _pool_geometry(op: Op, x: Tensor, dims: int) -> Geometry:
    kernel = spread(op.args["kernel_size"], dims)
    return Geometry(
        size=tuple(x.shape[-dims:]),
        out=tuple(op.out.shape[-dims:]),
        kernel=kernel,
        stride=spread(op.args["stride"] or kernel, dims),
        padding=spread(op.args["padding"], dims),
        dilation=(1,) * dims,
    )


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(op: Op) -> OpCount | object:
    x = op.tensor("self")
    dims = int(op.name[-2])
    geometry = _pool_geometry(op, x, dims)
    divisor = op.args.get("divisor_override") or math.prod(geometry.kernel)
    uneven = any(geometry.padding) or op.args.get("ceil_mode")
    muls = op.out.numel() if uneven or not power_of_two(divisor) else 0
    return _window_sums(op, x, geometry.reach(), muls)


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def _adaptive_pool(op: Op) -> OpCount | object:
    x = op.tensor("self")
    dims = int(op.name[-2])
    reach = torch.ones(1, dtype=torch.int64)
    for n, o in zip(x.shape[-dims:], op.out.shape[-dims:], strict=True):
        first, last = torch.arange(o) * n // o, -(-(torch.arange(o) + 1) * n // o)
        i = torch.arange(n)
        covered = ((i >= first.unsqueeze(1)) & (i < last.unsqueeze(1))).sum(0)
        reach = torch.outer(reach, covered).flatten()
    window = x.numel() / max(op.out.numel(), 1)
    return _window_sums(op, x, reach, 0 if power_of_two(window) else op.out.numel())


def _window_sums(op: Op, x: Tensor, reach: Tensor, muls: int) -> OpCount | object:
    """Additions over windows that cover position i ``reach[i]`` times."""
    maps = x.reshape(-1, reach.numel())
    dense = maps.shape[0] * int(reach.sum()) - op.out.numel()
    if _silent_or_spikes(op, x):
        events = maps.ne(0).double() @ reach.double().to(x.device)
        return per_row(op, x, events.reshape(math.prod(x.shape[:2]), -1).sum(1), dense, muls)
    return count(op, adds=dense, muls=muls)


@rule(
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "mkldnn_max_pool2d",
    "mkldnn_max_pool3d", "max_pool2d", "max_pool3d", "max_pool1d",
)  # fmt: skip
def _max_pool(op: Op) -> OpCount | object:
    x, out = op.tensor("self"), next(tensors_in((op.out,)))
    dims = int(op.name[op.name.index("pool") + 4])
    return _maxima(op, x, out.numel() * (math.prod(spread(op.args["kernel_size"], dims)) - 1))


@rule(
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "amax",
    "amin",
    "max",
    "min",
    "any",
    "all",
    "argmax",
    "argmin",
)
def _extremum(op: Op) -> OpCount | object:
    x = op.tensor("self")
    if isinstance(op.args.get("other"), Tensor):
        return count(op, cmps=op.out.numel())
    out = next(tensors_in((op.out,)))
    return _maxima(op, x, max(x.numel() - out.numel(), 0))


def _maxima(op: Op, x: Tensor, number: int) -> OpCount | object:
    """The maximum of binary values is their OR."""
    if op.alphabet(x).is_spike:
        return count(op, and_ops=number)
    return count(op, cmps=number)
