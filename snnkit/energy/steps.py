"""Which time step and which sample an operation's counts belong to.

Networks hold the time axis in several ways, and all must give the same answer:

* *folded*: one call with leading axes ``[T, B, ...]`` or ``[T*B, ...]``, time-major;
* *looped*: T (or k T) calls with leading axis ``[B, ...]``, the loop over time around the network or
  inside a layer: in either case call i of n of one operation belongs to step ``i T // n``;
* *chunked*: calls of t steps each, between the two; t = T is folded, t = 1 is looped;
* *once*: something computed once for all steps, as the stem of a static image, or the head after the
  mean over time. It belongs to the first step if it runs before anything that is repeated, else to
  the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["How", "assign", "layout", "lies_exactly"]

How = int | Literal["once", "spread"]
Array = NDArray[np.float64]


def layout(rows: int, calls: int, shape: tuple[int, ...] | None, steps: int, batch: int) -> How:
    """How ``calls`` calls of ``rows`` rows each lie on the axes of ``steps`` and ``batch``.

    ``shape`` is the operand as the model holds it. It decides where the numbers alone cannot: 4 steps
    of 196 tokens are also 784 rows.

    Returns:
        The number of steps in one call; or "once" if all steps share it; or "spread" if the rows fit
        neither the steps nor the samples.
    """
    if batch == 0:
        return "spread"
    for t in _readings(shape, calls, steps, batch):
        if steps % t == 0 and rows % (t * batch) == 0 and calls * t % steps == 0:
            return t
    strange = bool(shape) and shape[0] % batch != 0  # type: ignore[index]
    return "once" if rows % batch == 0 and not strange else "spread"


def lies_exactly(rows: int, calls: int, shape: tuple[int, ...], steps: int, batch: int) -> bool:
    """The leading axes are ``[t, B]`` of all ``t`` steps in a call, ``[T*B]``, or ``[B]`` in a loop."""
    if shape[0] == batch and calls % steps == 0:
        return True
    if len(shape) > 1 and shape[1] == batch and shape[0] and steps % shape[0] == 0:
        return rows % (shape[0] * batch) == 0 and calls * shape[0] % steps == 0
    return shape[0] == steps * batch


def _readings(shape: tuple[int, ...] | None, calls: int, steps: int, batch: int) -> Iterator[int]:
    """Steps per call that the shape suggests, likeliest first."""
    if not shape:
        yield 1
        yield steps
        return
    if shape[0] == batch and calls % steps == 0:
        yield 1
    if len(shape) > 1 and shape[0] and shape[1] == batch:
        yield shape[0]
    if shape[0] and shape[0] % batch == 0:
        yield shape[0] // batch
        if shape[0] != batch:  # samples split further, as into patches
            yield 1
            yield steps
    if len(shape) > 1 and shape[0] and shape[0] != batch and shape[1] % batch == 0:  # [T, B * patches, ...]
        yield shape[0]


def assign(values: Sequence[Array | int], rows: int, how: How, steps: int, batch: int) -> Array:
    """Counts ``[steps, batch]``, or ``[1, batch]`` if done once.

    Args:
        values: for each call, counts per row ``[rows]``, or their total if they spread evenly.
        how: from :func:`layout`.
    """
    axis = 1 if isinstance(how, str) else steps
    if batch == 0:
        return np.zeros((axis, 0))
    if how == "spread" or not isinstance(values[0], np.ndarray):
        total = sum(float(v.sum()) if isinstance(v, np.ndarray) else v for v in values)
        return _even(total, axis * batch).reshape(axis, batch)
    t = 1 if isinstance(how, str) else how
    chunks = axis // t
    calls = np.stack(values).reshape(chunks, len(values) // chunks, t, batch, rows // (t * batch))
    return calls.sum((1, 4)).reshape(axis, batch)


def _even(total: float, cells: int) -> Array:
    """Split ``total`` evenly; an integer into integers, the remainder over the first cells."""
    if total != int(total):
        return np.full(cells, total / cells)
    share, rest = divmod(int(total), cells)
    result = np.full(cells, float(share))
    result[:rest] += 1
    return result
