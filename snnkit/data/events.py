"""The event container: four arrays of equal length, checked once, never changed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from ..errors import ConfigError, InputTypeError, LimitError, ShapeError, quote

__all__ = ["STRUCTURED", "Events"]

STRUCTURED = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
MAX_SPAN = 2**53  # beyond, a float64 no longer tells neighbouring microseconds apart


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """Events of one recording.

    Args:
        t: time in microseconds, int64, non-decreasing.
        x, y: column and row, uint16; y is 0 for one-dimensional sensors.
        p: polarity, uint8, 1 ON and 0 OFF.
        sensor_size: (width, height, polarities).
        t_span: half-open interval [start, end) of the recording in microseconds; it belongs to the
            recording, not to its first and last event, so that binning does not depend on the data.
            Default: [0, last event + 1), or from the first event if that is negative.
        info: anything worth keeping, as counts of dropped events.

    Invariants, checked at construction: equal lengths, integer values, non-decreasing t inside
    ``t_span``, 0 <= x < width, 0 <= y < height, p in {0, 1}. Arrays are copied where their type
    changes and made read-only.

    Raises:
        InputTypeError: an array does not hold integers.
        ShapeError: an array is not one-dimensional, or lengths differ.
        ConfigError: a value breaks an invariant; the message names the first offender.
        LimitError: the span exceeds 2^53 microseconds.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    sensor_size: tuple[int, int, int]
    t_span: tuple[int, int] | None = None
    info: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, dtype in (("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8)):
            object.__setattr__(self, name, _integers(getattr(self, name), name, dtype))
        if len({len(self.t), len(self.x), len(self.y), len(self.p)}) > 1:
            sizes = {name: len(getattr(self, name)) for name in "txyp"}
            raise ShapeError(f"Events: arrays of different length {sizes}, expected equal lengths.")
        size = self.sensor_size
        if len(size) != 3 or not all(isinstance(n, int) and 0 < n <= 65536 for n in size) or size[2] > 2:
            raise ConfigError(
                f"Events.sensor_size: got {quote(size)}, expected (width, height, polarities) with sizes in "
                "1..65536 and 1 or 2 polarities."
            )
        if self.t_span is None:
            first = int(self.t[0]) if len(self) else 0
            object.__setattr__(self, "t_span", (min(first, 0), int(self.t[-1]) + 1 if len(self) else 0))
        self.validate()

    @property
    def span(self) -> tuple[int, int]:
        """``t_span``, never None."""
        assert self.t_span is not None
        return self.t_span

    def validate(self) -> None:
        """Check every invariant; called at construction."""
        width, height, _ = self.sensor_size
        start, end = self.span
        if start > end:
            raise ConfigError(f"Events.t_span: got ({start}, {end}), expected start <= end.")
        if end - start > MAX_SPAN:
            raise LimitError(
                f"Events.t_span: {end - start} µs exceeds the limit of 2^53 µs. Check the unit of the times."
            )
        for name, values, top in (("x", self.x, width), ("y", self.y, height), ("p", self.p, 2)):
            bad = np.flatnonzero(values >= top)
            if bad.size:
                raise ConfigError(
                    f"Events.{name}: {bad.size} values out of range, first {values[bad[0]]} at index {bad[0]}, "
                    f"expected 0..{top - 1}. Give the right sensor_size, or drop them when reading."
                )
        falls = np.flatnonzero(np.diff(self.t) < 0)
        if falls.size:
            i = int(falls[0])
            raise ConfigError(
                f"Events.t: decreases {falls.size} times, first from {self.t[i]} to {self.t[i + 1]} µs at index "
                f"{i + 1}, expected non-decreasing times. Sort first (stable), or read with on_unsorted='sort'."
            )
        if len(self) and not (start <= self.t[0] and self.t[-1] < end):
            raise ConfigError(
                f"Events.t: {self.t[0]}..{self.t[-1]} µs is not inside t_span [{start}, {end}). "
                "Give the span of the recording in microseconds."
            )

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        width, height, polarities = self.sensor_size
        rate = len(self) / max((self.span[1] - self.span[0]) * 1e-6, 1e-6)
        return (
            f"Events({len(self)} events, {width}x{height}x{polarities}, {self.span[0]}..{self.span[1]} µs, "
            f"{rate:.3g} events/s)"
        )

    def with_(self, **changes: Any) -> Self:
        """A copy with other fields, validated anew."""
        return replace(self, **changes)

    def slice_time(self, start: int, end: int) -> Self:
        """Events with ``start <= t < end``; the span becomes [start, end)."""
        a, b = np.searchsorted(self.t, [start, end])
        return self.with_(t=self.t[a:b], x=self.x[a:b], y=self.y[a:b], p=self.p[a:b], t_span=(start, end))

    def to_structured(self) -> np.ndarray:
        """One array of records (t int64, x int16, y int16, p uint8)."""
        if max(self.sensor_size[:2]) > 32768:
            raise LimitError("Events.to_structured: coordinates beyond 32767 do not fit int16 records.")
        records = np.empty(len(self), STRUCTURED)
        for name in "txyp":
            records[name] = getattr(self, name)
        return records

    @classmethod
    def from_structured(
        cls,
        records: np.ndarray,
        sensor_size: tuple[int, int, int],
        t_span: tuple[int, int] | None = None,
        info: dict[str, Any] | None = None,
    ) -> Self:
        """From an array of records with the fields t, x, y and p, in any order.

        Raises:
            InputTypeError: a field is missing.
        """
        names = getattr(getattr(records, "dtype", None), "names", None) or ()
        missing = [name for name in "txyp" if name not in names]
        if missing:
            raise InputTypeError(
                f"Events.from_structured: fields {missing} are missing, got {quote(names)}. Expected a structured "
                "array with t, x, y and p."
            )
        return cls(*(records[name] for name in "txyp"), sensor_size, t_span, info or {})


def _integers(values: Any, name: str, dtype: type) -> np.ndarray:
    array = np.asarray(values)
    if array.size == 0 and array.ndim == 1:
        array = array.astype(dtype)
    if array.dtype.kind not in "biu":
        raise InputTypeError(
            f"Events.{name}: got dtype {array.dtype}, expected integers. Convert explicitly, times to "
            "microseconds: np.asarray(t * 1e6, dtype=np.int64)."
        )
    if array.ndim != 1:
        raise ShapeError(f"Events.{name}: got shape {array.shape}, expected one axis. Flatten it first.")
    if array.dtype != dtype:
        limits = np.iinfo(dtype)
        bad = (
            np.flatnonzero((array < limits.min) | (array > limits.max))
            if array.dtype.kind != "b"
            else array[:0]
        )
        if bad.size:
            raise ConfigError(
                f"Events.{name}: {bad.size} values out of range, first {array[bad[0]]} at index {bad[0]}, expected "
                f"{limits.min}..{limits.max}. Drop or correct them first."
            )
        array = array.astype(dtype)
    view = array.view()  # the caller's array stays writeable
    view.flags.writeable = False
    return view
