"""What a value must be to become part of a recording: integer columns, a sensor, an interval."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError, DTypeError, InputTypeError, ShapeError, require
from .limits import LIMITS
from .policy import Columns

__all__ = ["as_columns", "as_integers", "as_sensor", "as_span", "frozen"]


def as_columns(t: ArrayLike, x: ArrayLike, y: ArrayLike, p: ArrayLike) -> Columns:
    """As integer arrays of equal length."""
    columns = []
    for name, given in zip("txyp", (t, x, y, p), strict=True):
        try:
            values = np.asarray(given)
        except (TypeError, ValueError, RuntimeError) as error:
            got = type(given).__name__
            raise InputTypeError(f"Events.{name}: got {got}, expected an array: {error}") from error
        if values.size == 0 and not isinstance(given, np.ndarray):
            values = values.astype(np.int64)  # [] has no integers to show
        if values.dtype.kind not in "iu" and not (name == "p" and values.dtype.kind == "b"):
            hint = " Round to µs first: np.rint(t_s * 1e6).astype(np.int64)." if name == "t" else ""
            raise DTypeError(f"Events.{name}: got dtype {values.dtype}, expected integers.{hint}")
        columns.append(values.astype(np.uint8) if values.dtype.kind == "b" else values)
    shapes = {name: c.shape for name, c in zip("txyp", columns, strict=True)}
    if any(c.ndim != 1 for c in columns) or len(set(shapes.values())) > 1:
        raise ShapeError(f"Events: got shapes {shapes}, expected four arrays [N] of equal length.")
    LIMITS.check("events", columns[0].size, "Events: number of events")
    return columns[0], columns[1], columns[2], columns[3]


def as_sensor(sensor_size: tuple[int, int, int]) -> tuple[int, int, int]:
    """(W, H, P) as plain integers. Raises ConfigError."""
    width, height, polarities = as_integers("Events.sensor_size", sensor_size, 3, "(W, H, P)")
    ok = 0 < width <= 2**16 and 0 < height <= 2**16 and polarities in (1, 2)
    require(ok, "Events.sensor_size", sensor_size, "(W, H, P) with 1 <= W, H <= 65536 and P = 1 or 2")
    return width, height, polarities


def as_span(t_span: tuple[int, int] | None, t: NDArray) -> tuple[int, int]:
    """``t_span`` as plain integers that hold all of the sorted times ``t``; None: just these."""
    first, last = (int(t[0]), int(t[-1])) if t.size else (0, -1)
    given = (first, last + 1) if t_span is None else t_span
    start, end = as_integers("Events.t_span", given, 2, "(start, end)")
    LIMITS.check("time_span_us", end - start, "Events: length of the recording in µs")
    ok = -(2**62) <= start <= end <= 2**62  # sums and differences of such times fit int64
    require(ok, "Events.t_span", (start, end), "-2**62 <= start <= end <= 2**62, in µs")
    require(
        t.size == 0 or start <= first <= last < end,
        "Events.t_span",
        (start, end),
        f"a half-open interval [start, end) that holds all events, {first}..{last} µs",
        "Cut the recording with events.slice_time(start, end), or leave t_span out.",
    )
    return start, end


def as_integers(where: str, values: Any, count: int, form: str = "") -> tuple[int, ...]:
    """``values`` as a tuple of ``count`` plain integers."""
    try:
        found = tuple(operator.index(v) for v in values)
    except TypeError:
        found = ()
    require(len(found) == count, where, values, f"{count} integers {form}".rstrip())
    return found


def frozen(values: NDArray, dtype: type) -> NDArray:
    """``values`` as ``dtype``, read-only, copied if anyone could still write to the memory."""
    if values.dtype == np.uint64 and dtype is np.int64 and values.size and values.max() > 2**63 - 1:
        raise ConfigError(f"Events.t: got {values.max()}, expected times that fit int64.")
    result: NDArray = values.astype(dtype, copy=False)
    owner: Any = result
    while owner is not None:
        if not isinstance(owner, np.ndarray) or owner.flags.writeable:
            result = result.copy() if np.may_share_memory(result, values) else result
            break
        owner = owner.base
    result.flags.writeable = False
    return result
