"""Which tensors hold spikes or counts, and of what unit: known from where they come, checked on their values.

Outputs of a neuron have its unit, integers the unit 1. Whatever is made of such tensors alone and still holds
multiples of their unit keeps it: copies, shapes, maxima, sums, masks; a product of two has the product of
their units, and a number as factor scales the unit. Averages lose it, and so does everything that parameters
or other real tensors enter.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..energy.provenance import tensors_in

__all__ = ["Units", "address"]

_AVERAGES = ("mean", "avg_pool", "upsample", "interpolate")
_FRESH = ("empty", "zeros", "ones", "full", "arange", "scalar_tensor")
_ROUNDED = ("round", "floor", "ceil", "trunc", "heaviside", "sign")
_JOINED = ("cat", "stack")
_PRODUCTS = ("mul", "mm", "bmm", "dot", "matmul")
_TOLERANCE = 1e-6

Label = frozenset[float]  # units of which each value is a multiple of one; empty: of zeros


class Units:
    """The units of tensors, known by the address of their storage.

    Whatever is made later at the same address passes here, too.
    """

    def __init__(self) -> None:
        self._label: dict[int, Label] = {}

    def of(self, t: Tensor) -> Label | None:
        """The units of its values, None if they are real numbers."""
        return frozenset({1.0}) if not t.is_floating_point() else self._label.get(address(t))

    def give(self, t: Tensor, label: Iterable[float] | None) -> None:
        """Set what a tensor holds."""
        if label is None:
            self._label.pop(address(t), None)
        else:
            self._label[address(t)] = frozenset(label)

    def strange(self, t: Tensor) -> Tensor:
        """The values that are no multiples of a unit of the tensor; without one, no integers, or all."""
        label = self.of(t)
        if label is not None:
            return _strange(t, label)
        real = _strange(t, {1.0})
        return real if real.numel() else t.flatten()

    def largest(self, t: Tensor) -> int:
        """The largest count in it, at most: in the smallest of its units. It has no strange values."""
        count = float(t.abs().max()) / min(self.of(t) or {1.0}) if t.numel() else 0.0
        return math.ceil(count - _TOLERANCE * max(count, 1.0))

    def follow(self, name: str, args: Any, inputs: Sequence[Tensor], out: Any) -> None:
        """Label the results of an operator."""
        for t in tensors_in([out]):
            if t.is_floating_point():
                self.give(t, self._after(name, args, inputs, t))

    def _after(self, name: str, args: Any, inputs: Sequence[Tensor], out: Tensor) -> Label | None:
        bare = name.strip("_").removeprefix("new_").removesuffix("_like")
        if bare in _FRESH or (not inputs and not bare.startswith("rand")):
            if bare == "empty" or not bool(out.any()):
                return frozenset()
            return frozenset({1.0}) if not _strange(out, {1.0}).numel() else None
        if bare in _ROUNDED:
            return frozenset({1.0})
        if any(word in bare for word in _AVERAGES) and not _same(inputs[0], out):
            return None
        numbers = [float(a) for a in args if isinstance(a, int | float)]
        numbers += [float(t) for t in inputs if t.ndim == 0]
        factor = bare in ("mul", "div")
        operands = [t for t in inputs if t.ndim]
        if not factor and bare not in _PRODUCTS:  # masks and indices choose, they do not count
            operands = [t for t in operands if t.is_floating_point()] or operands
        labels = [self.of(t) for t in operands]
        if not labels or None in labels:
            return None
        known = [label for label in labels if label is not None]
        if factor and numbers and len(known) == 1 and numbers[0]:
            scale = abs(numbers[0]) if bare == "mul" else 1 / abs(numbers[0])
            return frozenset(u * scale for u in known[0])
        if bare in _PRODUCTS and len(known) == 2:
            return frozenset(u * v for u in known[0] for v in known[1])
        union = frozenset().union(*known)
        if bare in _JOINED:
            return union
        kept = frozenset(u for u in union if not _strange(out, {u}).numel())
        return kept if kept or not bool(out.any()) else None


def _strange(t: Tensor, label: Iterable[float]) -> Tensor:
    left = t.detach().double().flatten()
    left = left[left != 0]  # NaN stays
    for unit in label:
        n = left / unit
        left = left[~((n - n.round()).abs() <= _TOLERANCE * n.abs().clamp(min=1))]
    return left


def _same(a: Tensor, b: Tensor) -> bool:
    return a.numel() == b.numel() and torch.equal(a.flatten(), b.flatten())


def address(t: Tensor) -> int:
    """Of the memory of a tensor."""
    return t.untyped_storage().data_ptr()
