"""40-bit events: N-MNIST and N-Caltech101 ``.bin``, SLAYER ``.bs2`` and, for 1-D sensors, ``.bs1``.

No header, 5 bytes per event::

    byte 0  x      byte 2, bit 7       polarity, 1 = ON
    byte 1  y      bytes 2..4, 23 bit  t in µs, big-endian, at most 8 388 607

A 1-D sensor has one number of 16 bit, big-endian, in the place of x and y.

Source: Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using
saccades", and the readers its authors published.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...checks import flag, integer
from ...errors import require
from ...files import write_atomically
from ..checks import as_sensor
from ..events import Events
from ..policy import Policies
from .formats import FORMATS, Format
from .recording import Block, assemble
from .source import Source
from .writing import fitting_events, fitting_times

__all__ = ["read_nmnist", "read_nmnist_1d", "write_nmnist", "write_nmnist_1d"]

_SIZE = 5
_RECORD: DTypeLike = (np.uint8, _SIZE)
_MAX_T = 2**23 - 1
_OVERFLOW_Y, _OVERFLOW_US = 240, 2**13
_LEAST = 16  # records by which an unnamed file of one column is told from one of rows and columns


def read_nmnist(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] = (34, 34, 2),
    *,
    duration_us: int = 0,
    clock_overflow: bool = False,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of 40-bit events.

    Args:
        path: the file. An empty file is a recording without events.
        sensor_size: (W, H, P). Every record is held against it.
        duration_us: nominal length. The recording interval is [0, max(duration_us, last time + 1)).
        clock_overflow: records with y = 240 mark that the clock ran over: they are removed, and 2**13 µs
            are added to all later times. N-Caltech101 has them; in N-MNIST, y = 240 is corruption.
        policies: see :class:`Policies`.

    Returns:
        Events; ``info["dropped"]`` counts ``trailing_bytes`` and ``out_of_range`` if there were any.

    Warns:
        DroppedEventsWarning: something was dropped or sorted.

    Raises:
        FormatError: unreadable, truncated, off the sensor or unsorted; with path and byte offset.
        LimitError: larger than ``LIMITS.file_bytes`` or ``LIMITS.events``, found before reading.
        ConfigError: unknown policy, impossible sensor. InputTypeError: not a path.
    """
    duration_us = integer("read_nmnist.duration_us", duration_us, 0, hint="It is in µs.")
    sensor_size = as_sensor(sensor_size)
    require(
        not flag("read_nmnist.clock_overflow", clock_overflow) or sensor_size[1] <= _OVERFLOW_Y,
        "read_nmnist.clock_overflow",
        clock_overflow,
        "False on a sensor on which y = 240 is a pixel",
    )
    with Source(path, "read_nmnist", **policies) as source:
        decode = partial(_decode, source, False, clock_overflow)
        return assemble(source, decode, sensor_size, at_least=(0, duration_us))


def read_nmnist_1d(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] = (64, 1, 2),
    *,
    duration_us: int = 0,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of 40-bit events of a 1-D sensor, as N-TIDIGITS in SLAYER's ``.bs1`` files.

    Args:
        path: the file.
        sensor_size: (units, 1, P).
        duration_us: see :func:`read_nmnist`.
        policies: see :class:`Policies`.

    Returns:
        Events with the unit in ``x`` and y = 0. Errors and warnings as :func:`read_nmnist`.
    """
    duration_us = integer("read_nmnist_1d.duration_us", duration_us, 0, hint="It is in µs.")
    with Source(path, "read_nmnist_1d", **policies) as source:
        decode = partial(_decode, source, True, False)
        return assemble(source, decode, sensor_size, at_least=(0, duration_us))


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as 40-bit events, atomically. ``t_span`` and ``info`` have no place in the format.

    Raises:
        ConfigError: a time outside of 0..8 388 607 µs, or a sensor of more than 256 columns or rows.
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    events = fitting_events("write_nmnist", events, 256, "a byte each")
    write_atomically(path, _encoded("write_nmnist", events, events.x, events.y))


def write_nmnist_1d(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording of a 1-D sensor as 40-bit events, atomically; see :func:`write_nmnist`.

    Raises:
        ConfigError: a time outside of 0..8 388 607 µs, or a sensor of more than one row.
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    events = fitting_events("write_nmnist_1d", events, 2**16, "16 bit each")
    ok = events.sensor_size[1] == 1
    require(ok, "write_nmnist_1d: sensor_size", events.sensor_size, "one row: (units, 1, P)")
    write_atomically(path, _encoded("write_nmnist_1d", events, events.x >> 8, events.x & 255))


def _encoded(writer: str, events: Events, first: NDArray, second: NDArray) -> bytes:
    """Records of two bytes of place, polarity and time."""
    t = fitting_times(writer, events, _MAX_T, "23 bit")
    records = np.empty(len(events), _RECORD)
    parts = (first, second, events.p.astype(np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255)
    for i, part in enumerate(parts):
        records[:, i] = part
    return records.tobytes()


def _decode(source: Source, flat: bool, clock_overflow: bool, dropped: Counter[str]) -> Iterator[Block]:
    """Blocks of events. The last four bytes of a record are one big-endian word: y, polarity, time."""
    overflows = 0
    for offset, records in source.records(0, _RECORD, dropped, one_event_each=True):
        n = len(records)
        words = np.ndarray((n,), ">u4", records, offset=1, strides=(_SIZE,)).astype(np.uint32)
        t = (words & _MAX_T).astype(np.int64)
        p = (words >> 23).astype(np.uint8) & 1
        x, y = records[:, 0].astype(np.uint16), (words >> 24).astype(np.uint16)
        offsets = offset + _SIZE * np.arange(n)
        if flat:
            x, y = (x << 8 | y).astype(np.uint16), np.zeros_like(y)
        if clock_overflow:
            mark = y == _OVERFLOW_Y
            t += (overflows + np.cumsum(mark)) * _OVERFLOW_US
            overflows += int(mark.sum())
            t, x, y, p, offsets = t[~mark], x[~mark], y[~mark], p[~mark], offsets[~mark]
        yield (t, x, y, p), offsets


def _in_order(head: bytes) -> NDArray | None:
    """The whole records in ``head``, if there are some and their times do not go back."""
    whole = len(head) // _SIZE * _SIZE
    records = np.frombuffer(head[:whole], np.uint8).reshape(-1, _SIZE)
    t = (records[:, 2] & 127).astype(np.int64) << 16 | records[:, 3].astype(np.int64) << 8 | records[:, 4]
    return records if len(records) and (t[1:] >= t[:-1]).all() else None


def _recognises(head: bytes, flat: bool) -> bool:
    records = _in_order(head)
    if records is None:
        return False
    one_column = len(records) >= _LEAST and not records[:, 0].any()
    return one_column == flat


FORMATS.register("40-bit")(
    Format("40-bit (N-MNIST)", read_nmnist, partial(_recognises, flat=False), headerless=True)
)
FORMATS.register("40-bit-1d")(
    Format("40-bit of a 1-D sensor", read_nmnist_1d, partial(_recognises, flat=True), headerless=True)
)
