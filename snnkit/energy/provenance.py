"""Where live tensors come from: input data, weights, or neither; followed by storage, holding none alive.

The role of a matrix operand decides what an operation is. ``weight x spikes`` is synaptic; a product
of two operands that both depend on the input is attention; a product of weights alone is a constant.
Shapes or values cannot tell (a 0/1 weight is no spike), so every operation passes on its origin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from .alphabet import Alphabet

__all__ = ["Linear", "Mark", "Provenance", "storage_key", "tensors_in"]


class Linear:
    """Says that a tensor is the output of a weight layer: a bias or a norm after it can be folded.

    Attributes:
        path: the layer. bias: it adds a bias already.
        used: something else consumed the output, so that folding would change it.
    """

    __slots__ = ("bias", "path", "used")

    def __init__(self, path: str, bias: bool) -> None:
        self.path, self.bias, self.used = path, bias, False


class Mark:
    """What is known about one storage.

    Attributes:
        data: depends on the model input. weight: depends on parameters only (and constants).
        alphabet: contains every value, or None if unknown.
        declared: contains every value that the layers before can produce, or None if unknown; decides
            only where the values at hand are all zero and say nothing.
        linear: see :class:`Linear`.
        blank: allocated, and written by no operation yet: what is read from it, something unseen has written.
        inner: shape and bounds of the part that is not explicit zero padding, per trailing dimension.
    """

    __slots__ = ("_keep", "alphabet", "blank", "data", "declared", "inner", "linear", "weight")

    def __init__(self, ref: StorageWeakRef, data: bool, weight: bool) -> None:
        self._keep = ref  # a weak reference reserves the address, so the key stays unique
        self.data, self.weight = data, weight
        self.alphabet: Alphabet | None = None
        self.declared: Alphabet | None = None
        self.linear: Linear | None = None
        self.blank = False
        self.inner: tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None = None


class Provenance:
    """Marks of the storages seen in one forward pass."""

    def __init__(self, weights: Iterable[Tensor], data: Iterable[Tensor]) -> None:
        self._marks: dict[int, Mark] = {}
        for tensor in weights:
            self._mark(tensor, data=False, weight=True)
        self.any_data = False
        for tensor in data:
            self.any_data = True
            self._mark(tensor, data=True, weight=False)

    def get(self, tensor: Tensor) -> Mark | None:
        """The mark of the storage of ``tensor``, if it has one."""
        key = storage_key(tensor)
        return None if key is None else self._marks.get(key)

    def is_data(self, tensor: Tensor) -> bool:
        """Depends on the model input."""
        mark = self.get(tensor)
        return mark is not None and mark.data

    def is_weight(self, tensor: Tensor) -> bool:
        """Depends on parameters and not on the input."""
        mark = self.get(tensor)
        return mark is not None and mark.weight and not mark.data

    def follow(self, inputs: Iterable[Mark | None], out: Any) -> list[Mark]:
        """Pass the origin of ``inputs`` on to new outputs of an operation; returns the new marks."""
        data, weight = _origin(inputs)
        made: list[Mark] = []
        if data or weight:
            for tensor in tensors_in((out,)):
                known = self.get(tensor)
                if known is None or known.blank:
                    mark = self._mark(tensor, data, weight)
                    made += [] if mark is None else [mark]
        return made

    def allocated(self, out: Any) -> None:
        """New tensors without values."""
        for tensor in tensors_in((out,)):
            if tensor.numel() and (mark := self._mark(tensor, data=False, weight=False)) is not None:
                mark.blank = True

    def overwrite(self, written: Iterable[Tensor], inputs: Iterable[Mark | None]) -> None:
        """The storages of ``written`` were changed in place from ``inputs``."""
        data, weight = _origin(inputs)
        for tensor in written:
            mark = self.get(tensor)
            if mark is not None:
                mark.data, mark.weight, mark.blank = mark.data or data, mark.weight or weight, False
                mark.alphabet = mark.declared = mark.linear = mark.inner = None
            elif data or weight:
                self._mark(tensor, data, weight)

    def _mark(self, tensor: Tensor, data: bool, weight: bool) -> Mark | None:
        key = storage_key(tensor)
        if key is None:
            return None
        mark = self._marks[key] = Mark(StorageWeakRef(tensor.untyped_storage()), data, weight)
        return mark


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    """Tensors among arguments, inside of nested lists, tuples and dicts too."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)
        elif isinstance(value, dict):
            yield from tensors_in(value.values())


def _origin(marks: Iterable[Mark | None]) -> tuple[bool, bool]:
    data = weight = False
    for mark in marks:
        if mark is not None:
            data, weight = data or mark.data, weight or mark.weight
    return data, weight


def storage_key(tensor: Tensor) -> int | None:
    """Identifies the memory of a tensor while anything refers to it; None if it has none of its own."""
    try:
        return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse and other tensors without a storage
        return None
