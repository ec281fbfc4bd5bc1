"""The container of one event recording."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ConfigError, InputTypeError, quote, require
from .checks import as_columns, as_integers, as_sensor, as_span, frozen
from .policy import Columns, OnBad, OnUnsorted, check_policies, sift

__all__ = ["STRUCTURED", "Events", "fingerprint"]

STRUCTURED = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
_STORED = (np.int64, np.uint16, np.uint16, np.uint8)
_FIELDS = ("t", "x", "y", "p", "sensor_size", "t_span", "info")


class Events:
    r"""Events of one recording, checked once and immutable.

    An event (t, x, y, p) says that at time t the brightness at column x, row y rose (p = 1, ON) or
    fell (p = 0, OFF) by one threshold.

    Args:
        t: times in µs, integers, non-decreasing.
        x, y: column and row, integers, 0 <= x < W, 0 <= y < H; y = 0 on a 1-D sensor.
        p: polarity, integers or bool, 0 <= p < P. Signed polarities: pass ``p > 0``.
        sensor_size: (W, H, P) with P = 1 or 2.
        t_span: recording interval [start, end) in µs. It is not the interval of the events: bins must
            not depend on when the first and last pixel fired. None: from the first event to 1 µs after
            the last.
        info: anything else worth keeping; copied. Readers put counts of dropped items in
            ``info["dropped"]``.

    Attributes:
        t int64, x uint16, y uint16, p uint8: arrays ``[N]``, read-only; the caller's are never written
            to nor aliased while writeable.
        sensor_size, t_span, info: as above.

    Raises:
        InputTypeError, DTypeError: not arrays; not integers.
        ShapeError: not one-dimensional, or of different lengths.
        ConfigError: unsorted times, coordinates off the sensor, times outside of ``t_span``.
        LimitError: more events or a longer recording than :data:`snnkit.data.LIMITS` allows.

    Example:
        >>> events = Events([0, 5, 5], x=[3, 1, 2], y=[0, 0, 1], p=[1, 0, 1], sensor_size=(4, 2, 2))
        >>> events
        Events(3 events on 4x2x2, t 0..5 of [0, 6) µs, ON 66.7 %)
        >>> events.slice_time(5, 6).x
        array([1, 2], dtype=uint16)
    """

    __slots__ = _FIELDS
    __hash__ = None  # type: ignore[assignment]

    t: NDArray[np.int64]
    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    p: NDArray[np.uint8]
    sensor_size: tuple[int, int, int]
    t_span: tuple[int, int]
    info: dict[str, Any]

    def __init__(
        self,
        t: ArrayLike,
        x: ArrayLike,
        y: ArrayLike,
        p: ArrayLike,
        sensor_size: tuple[int, int, int],
        t_span: tuple[int, int] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        columns, size = as_columns(t, x, y, p), as_sensor(sensor_size)
        _check(columns, size)
        stored = [frozen(c, dtype) for c, dtype in zip(columns, _STORED, strict=True)]
        self._set(*stored, size, as_span(t_span, stored[0]), dict(info or {}))

    @classmethod
    def from_arrays(
        cls,
        t: ArrayLike,
        x: ArrayLike,
        y: ArrayLike,
        p: ArrayLike,
        sensor_size: tuple[int, int, int],
        *,
        t_span: tuple[int, int] | None = None,
        info: Mapping[str, Any] | None = None,
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> Self:
        """As the constructor, with repairs for events that break a rule.

        Args:
            t, x, y, p, sensor_size, t_span, info: see the class.
            on_out_of_range: "drop" removes events off the sensor, with a warning; their number is
                ``info["dropped"]["out_of_range"]``.
            on_unsorted: "sort" sorts by time, stable, with a warning.
        """
        check_policies("Events.from_arrays", on_out_of_range=on_out_of_range, on_unsorted=on_unsorted)
        size = as_sensor(sensor_size)
        columns, dropped = sift(
            as_columns(t, x, y, p),
            size,
            on_out_of_range=on_out_of_range,
            on_unsorted=on_unsorted,
            where="Events.from_arrays",
            fail=_fail,
        )
        return cls(*columns, size, t_span, {**(info or {}), "dropped": dropped})

    @classmethod
    def from_structured(
        cls,
        array: NDArray,
        sensor_size: tuple[int, int, int],
        t_span: tuple[int, int] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> Self:
        """From a structured array with the fields t (µs), x, p and, unless 1-D, y, in any order.

        Arrays of tonic and of other readers have this form.

        Raises:
            InputTypeError: no such fields. Otherwise as the class.
        """
        names = getattr(getattr(array, "dtype", None), "names", None) or ()
        if not {"t", "x", "p"} <= set(names):
            raise InputTypeError(
                f"Events.from_structured: got {type(array).__name__} with fields {quote(names)}, expected a "
                "structured array with t, x, p and, unless the sensor is 1-D, y. For separate arrays "
                "use Events(...)."
            )
        y = array["y"] if "y" in names else np.zeros(array["t"].shape, np.uint16)
        return cls(array["t"], array["x"], y, array["p"], sensor_size, t_span, info)

    @classmethod
    def _trusted(
        cls,
        columns: Columns,
        sensor_size: tuple[int, int, int],
        t_span: tuple[int, int],
        info: dict[str, Any],
    ) -> Self:
        """Without checks and without copying: for parts of recordings that were checked."""
        self = cls.__new__(cls)
        stored = [c.astype(dtype, copy=False) for c, dtype in zip(columns, _STORED, strict=True)]
        for values in stored:
            values.flags.writeable = False
        self._set(*stored, sensor_size, t_span, info)
        return self

    def _set(self, *values: Any) -> None:
        for name, value in zip(_FIELDS, values, strict=True):
            object.__setattr__(self, name, value)

    def validate(self) -> Self:
        """Check all invariants again, and return the same recording. Raises as the class does."""
        _check(as_columns(self.t, self.x, self.y, self.p), as_sensor(self.sensor_size))
        as_span(self.t_span, self.t)
        return self

    def with_(self, **changes: Any) -> Events:
        """A checked copy in which some constructor arguments are replaced.

        Raises:
            ConfigError: unknown field. Otherwise as the class.
        """
        unknown = sorted(set(changes) - set(_FIELDS))
        require(not unknown, "Events.with_", unknown, f"names out of {', '.join(_FIELDS)}")
        return Events(**({name: getattr(self, name) for name in _FIELDS} | changes))

    def slice_time(self, start: int, end: int) -> Events:
        """Events with start <= t < end; times stay as they are, ``t_span`` is cut accordingly.

        Adjacent slices share no event and lose none. Arrays are shared, not copied.

        Raises:
            ConfigError: not integers, or end < start.
        """
        start, end = as_integers("Events.slice_time", (start, end), 2)
        require(start <= end, "Events.slice_time", (start, end), "start <= end, in µs")
        low, high = self.t_span
        start, end = min(max(start, low), high), min(max(end, low), high)
        a, b = np.searchsorted(self.t, (start, end))
        columns = (self.t[a:b], self.x[a:b], self.y[a:b], self.p[a:b])
        return Events._trusted(columns, self.sensor_size, (start, end), dict(self.info))

    def to_structured(self) -> NDArray:
        """A writeable copy as ``[N]`` of dtype (t int64, x int16, y int16, p uint8).

        Raises:
            ConfigError: the sensor is wider than int16 can tell.
        """
        ok = max(self.sensor_size) <= 2**15
        require(ok, "Events.to_structured: sensor_size", self.sensor_size, "at most 32768 columns and rows")
        array = np.empty(len(self), STRUCTURED)
        for name in "txyp":
            array[name] = getattr(self, name)
        return array

    def __len__(self) -> int:
        return self.t.size

    def __eq__(self, other: object) -> bool:
        """Same events, sensor and interval; ``info`` is not compared."""
        if not isinstance(other, Events):
            return NotImplemented
        same = self.sensor_size == other.sensor_size and self.t_span == other.t_span
        return same and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in "txyp")

    def __repr__(self) -> str:
        size = "x".join(map(str, self.sensor_size))
        span = f"[{self.t_span[0]}, {self.t_span[1]}) µs"
        if not len(self):
            return f"Events(0 events on {size}, t of {span})"
        times = f"t {self.t[0]}..{self.t[-1]} of {span}"
        return f"Events({len(self)} events on {size}, {times}, ON {100 * self.p.mean():.1f} %)"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"Events cannot be changed: use events.with_({name}=...) for a changed copy.")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("Events cannot be changed.")

    def __reduce__(self) -> tuple[Any, ...]:
        columns = (self.t, self.x, self.y, self.p)
        return Events._trusted, (columns, self.sensor_size, self.t_span, self.info)


def fingerprint(events: Events) -> str:
    """SHA-256 of all that makes a recording what it is: its events, sensor and interval, not its info."""
    digest = hashlib.sha256(repr((events.sensor_size, events.t_span)).encode())
    for name in "txyp":
        digest.update(getattr(events, name).tobytes())
    return digest.hexdigest()


def _check(columns: Columns, sensor_size: tuple[int, int, int]) -> None:
    sift(columns, sensor_size, on_out_of_range="error", on_unsorted="error", where="Events", fail=_fail)


def _fail(index: int, reason: str, hint: str) -> NoReturn:
    raise ConfigError(f"Events: {reason} {hint} (arguments of Events.from_arrays and of readers)")
