r"""Events to frames: counts of events per time bin, polarity and pixel. No event is lost or invented.

With t0, t1 the recording interval, event time t and integer arithmetic throughout::

    T=...          bin = min(floor((t - t0) T / (t1 - t0)), T - 1)      equal bins
    window_us=w    bin = floor((t - t0) / w),  T = ceil((t1 - t0) / w)  the last bin may be partial
    count=c        bin = floor(i / c) of the i-th event, T = ceil(n / c)

Times are sorted, so every bin is one slice of the arrays. Its first event is found by bisection of t
with the exact edge ceil(k (t1 - t0) / T), which needs no division per event and cannot overflow.

Counts are added in the result itself where its dtype holds their sum; elsewhere as int64, a few bins at a
time.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError, InputTypeError, LimitError, quote, require
from .events import Events
from .limits import LIMITS
from .policy import report

__all__ = ["Framing", "Polarity", "to_frames"]

Polarity = Literal["separate", "merge", "signed", "on_only", "with_sum"]
Span = Literal["recording", "events"]
_CELLS_AT_ONCE = 2**22  # int64 counts held beside the result: 32 MiB
_EVENTS_AT_ONCE = 2**16  # whose places stay in the cache of a core
_DIRECT = {
    torch.float32: np.float32, torch.float64: np.float64, torch.int32: np.int32, torch.int64: np.int64,
}  # fmt: skip
_DTYPES = (
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
)


@dataclass(frozen=True)
class Framing:
    """The arguments of :func:`to_frames`, checked once; call it on ``Events``."""

    T: int | None = None
    window_us: int | None = None
    count: int | None = None
    polarity: Polarity = "separate"
    binary: bool = False
    dtype: torch.dtype = torch.float32
    span: Span = "recording"
    drop_last: bool = False

    def __post_init__(self) -> None:
        ways = {n: getattr(self, n) for n in ("T", "window_us", "count") if getattr(self, n) is not None}
        require(len(ways) == 1, "to_frames", ways, "exactly one of T=..., window_us=..., count=...")
        for name, value in ways.items():
            object.__setattr__(self, name, _positive(name, value))
        for name, choices in (("polarity", get_args(Polarity)), ("span", get_args(Span))):
            value = getattr(self, name)
            require(value in choices, f"to_frames.{name}", value, " or ".join(map(repr, choices)))
        for name in ("binary", "drop_last"):
            require(isinstance(getattr(self, name), bool), f"to_frames.{name}", getattr(self, name), "a bool")
        require(
            not (self.drop_last and self.T), "to_frames.drop_last", True, "False with T, which has no rest"
        )
        require(
            self.dtype in _DTYPES, "to_frames.dtype", self.dtype, f"one of {', '.join(map(str, _DTYPES))}"
        )
        unsigned = self.dtype in (torch.uint8, torch.bool)
        require(
            not (self.polarity == "signed" and unsigned),
            "to_frames.dtype",
            self.dtype,
            'a signed dtype with polarity="signed"',
        )
        ok = self.dtype != torch.bool or self.binary
        require(ok, "to_frames.dtype", self.dtype, "torch.bool only together with binary=True")

    def __call__(self, events: Events) -> Tensor:
        """See :func:`to_frames`."""
        if not isinstance(events, Events):
            raise InputTypeError(
                f"to_frames: got {type(events).__name__}, expected snnkit.data.Events. Build it with "
                "Events(t, x, y, p, sensor_size) or Events.from_structured(array, sensor_size)."
            )
        width, height, polarities = events.sensor_size
        channels = self.channels(events.sensor_size)
        steps, start, length = self._bins(events)
        cells = steps * max(polarities, channels) * height * width
        LIMITS.check("frame_cells", cells, "to_frames: T*P*H*W")
        cuts = self._cuts(events, steps, start, length)
        if cuts[-1] < len(events):
            report("to_frames", f"drop_last: {len(events) - cuts[-1]} of {len(events)} events dropped.")
        shape = (steps, channels, height, width)
        direct = self.dtype in _DIRECT and len(events) <= self.largest
        # pages of np.zeros are not touched before an event is
        frames = (
            torch.from_numpy(np.zeros(shape, _DIRECT[self.dtype]))
            if direct
            else torch.empty(shape, dtype=self.dtype)
        )
        group = max(1, steps if direct else _CELLS_AT_ONCE // (channels * height * width))
        for k in range(0, steps, group):
            part = frames[k : k + group]
            counts = part.numpy() if direct else np.zeros(part.shape, np.int64)
            self._add(counts, events, cuts[k : k + group + 1])
            if self.binary:
                np.sign(counts, out=counts)
            if not direct:
                part.copy_(torch.from_numpy(self._exact(counts)))
        return frames.reshape(steps, channels * width) if height == 1 else frames

    def channels(self, sensor_size: tuple[int, int, int], where: str = "to_frames") -> int:
        """Channels of a frame of this sensor. Raises ConfigError if it lacks the polarity."""
        if self.polarity in ("separate", "merge"):
            return sensor_size[2] if self.polarity == "separate" else 1
        if sensor_size[2] == 1:
            raise ConfigError(
                f'{where}.polarity: got {self.polarity!r}, expected "separate" or "merge" on sensor '
                f"{sensor_size}, which records no polarity."
            )
        return 3 if self.polarity == "with_sum" else 1

    @property
    def largest(self) -> int:
        """All integers up to this one are exact in ``dtype``."""
        if self.dtype == torch.bool:
            return 1
        if self.dtype.is_floating_point:
            return int(2 / torch.finfo(self.dtype).eps)
        return torch.iinfo(self.dtype).max

    def edges(self, events: Events) -> tuple[NDArray[np.int64], tuple[int, int]]:
        """Index of the first event of every bin and of the first after the last; (start, length) in µs."""
        steps, start, length = self._bins(events)
        return self._cuts(events, steps, start, length), (start, length)

    def _bins(self, events: Events) -> tuple[int, int, int]:
        """Number of bins, first time and length in µs of what they cover."""
        n = len(events)
        if self.count is not None:
            return n // self.count if self.drop_last else -(-n // self.count), 0, 0
        start, end = events.t_span
        if self.span == "events":
            start, end = (int(events.t[0]), int(events.t[-1])) if n else (0, 0)
            if self.window_us is not None and n:
                end += 1  # a last event on the edge of a window opens the next one
        length = end - start
        if self.window_us is None:
            return self.T or 0, start, length
        return (length if self.drop_last else length + self.window_us - 1) // self.window_us, start, length

    def _cuts(self, events: Events, steps: int, start: int, length: int) -> NDArray[np.int64]:
        """Index of the first event of every bin, and of the first event after the last bin."""
        n = len(events)
        k = np.arange(steps + 1, dtype=np.int64)
        if self.count is not None:
            return np.minimum(k * min(self.count, n + 1), n)
        if self.window_us is not None:
            cuts = np.searchsorted(events.t, start + k * min(self.window_us, length + 1))
        elif length == 0:
            cuts = np.where(k == 0, 0, n)  # simultaneous events share bin 0
        else:
            whole, rest = divmod(length, steps)  # k * length / steps without its overflow
            cuts = np.searchsorted(events.t, start + k * whole - (-k * rest) // steps)
            cuts[-1] = n  # an inclusive end belongs to the last bin
        return cuts

    def _add(self, counts: NDArray, events: Events, cuts: NDArray[np.int64]) -> None:
        """Add the events between ``cuts`` to ``counts [bins, C, H, W]``."""
        _, channels, height, width = counts.shape
        place = np.repeat(np.arange(len(cuts) - 1), np.diff(cuts))
        for a in range(0, len(place), _EVENTS_AT_ONCE):
            cell = place[a : a + _EVENTS_AT_ONCE]
            inside = slice(int(cuts[0]) + a, int(cuts[0]) + a + len(cell))
            p = events.p[inside]
            if channels > 1:
                cell = channels * cell + p
            cell = (cell * height + events.y[inside]) * width + events.x[inside]
            one: Any = counts.dtype.type(1)
            if self.polarity == "on_only":
                cell = cell[p == 1]
            elif self.polarity == "signed":
                one = 2 * p.astype(counts.dtype) - one
            np.add.at(counts.reshape(-1), cell, one)
        if channels == 3:
            np.add(counts[:, 0], counts[:, 1], out=counts[:, 2])

    def _exact(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """``counts``, if the dtype of the result holds them."""
        largest = int(np.abs(counts).max(initial=0))
        if largest > self.largest:
            raise LimitError(
                f"to_frames: a count of {largest} exceeds what {self.dtype} represents exactly "
                f"({self.largest}). Use dtype=torch.float32, more bins, or binary=True."
            )
        return counts


def to_frames(
    events: Events,
    *,
    T: int | None = None,
    window_us: int | None = None,
    count: int | None = None,
    polarity: Polarity = "separate",
    binary: bool = False,
    dtype: torch.dtype = torch.float32,
    span: Span = "recording",
    drop_last: bool = False,
) -> Tensor:
    """Count events per bin and pixel. The equations are on top of this file.

    Args:
        events: one recording.
        T: number of equal bins; or
        window_us: length of a bin; the last, partial one is kept; or
        count: events per bin; the last, partial one is kept.
        polarity: "separate" keeps OFF and ON as channels 0 and 1 (one channel if the sensor has P = 1);
            "merge" adds them; "signed" is ON - OFF; "on_only" keeps ON; "with_sum"
            keeps OFF, ON and their sum, for networks that take three channels.
        binary: 1 where there is any event (signed: the sign of the sum).
        dtype: of the result. Counts that it cannot represent exactly are an error.
        span: bins cover the "recording" interval ``events.t_span``, the same for every recording of a
            data set, or the interval from first to last of the "events", inclusive. Not used by count.
        drop_last: drop the partial last bin; a warning tells how many events it held.

    Returns:
        ``[T, C, H, W]``; a 1-D sensor (H = 1) gives ``[T, C*W]``, channel-major. Unless ``drop_last``
        or ``binary``, the sum over "separate" or "merge" is ``len(events)``. Without events: zeros.

    Raises:
        InputTypeError: not Events.
        ConfigError: T, window_us or count <= 0, none or several of them, an impossible combination.
        LimitError: more cells than ``LIMITS.frame_cells``, before anything is allocated; a count too large
            for ``dtype``.

    Example:
        >>> events = Events([0, 40, 99], [0, 1, 1], [0, 0, 1], [1, 0, 1], (2, 2, 2), t_span=(0, 100))
        >>> to_frames(events, T=2).sum((2, 3))
        tensor([[1., 1.],
                [0., 1.]])
    """
    return Framing(T, window_us, count, polarity, binary, dtype, span, drop_last)(events)


def _positive(name: str, value: Any) -> int:
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise ConfigError(f"to_frames.{name}: got {quote(value)}, expected an int > 0.")
    return number
