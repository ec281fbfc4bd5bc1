"""40-bit events: N-MNIST and N-Caltech101 ``.bin``, SLAYER ``.bs2``.

No header, 5 bytes per event::

    byte 0  x      byte 2, bit 7       polarity, 1 = ON
    byte 1  y      bytes 2..4, 23 bit  t in µs, big-endian, at most 8 388 607

Source: Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using
saccades", and the readers its authors published.
"""

from __future__ import annotations

import os
import stat
from typing import NoReturn

import numpy as np

from ...errors import FormatError, InputTypeError, LimitError, quote, require
from ...files import write_atomically
from ..checks import as_sensor
from ..events import Events
from ..limits import LIMITS
from ..policy import Columns, OnBad, OnUnsorted, check_policies, report, sift

__all__ = ["read_nmnist", "write_nmnist"]

_RECORD = 5
_MAX_T = 2**23 - 1
_OVERFLOW_Y, _OVERFLOW_US = 240, 2**13


def read_nmnist(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] = (34, 34, 2),
    *,
    duration_us: int = 0,
    clock_overflow: bool = False,
    on_truncated: OnBad = "error",
    on_out_of_range: OnBad = "error",
    on_unsorted: OnUnsorted = "error",
) -> Events:
    """Read a recording of 40-bit events.

    Args:
        path: the file. An empty file is a recording without events.
        sensor_size: (W, H, P). Every record is held against it.
        duration_us: nominal length. The recording interval is [0, max(duration_us, last time + 1)).
        clock_overflow: records with y = 240 mark that the clock ran over: they are removed, and 2**13 µs
            are added to all later times. N-Caltech101 has them; in N-MNIST, y = 240 is corruption.
        on_truncated: "drop" keeps the whole records of a file that ends inside of one.
        on_out_of_range: "drop" removes events off the sensor.
        on_unsorted: "sort" sorts by time, stable.

    Returns:
        Events; ``info["dropped"]`` counts ``trailing_bytes`` and ``out_of_range`` if there were any.

    Warns:
        DroppedEventsWarning: something was dropped or sorted.

    Raises:
        FormatError: unreadable, truncated, off the sensor or unsorted; with path and byte offset.
        LimitError: larger than ``LIMITS.file_bytes`` or ``LIMITS.events``, found before reading.
        ConfigError: unknown policy, impossible sensor. InputTypeError: not a path.
    """
    check_policies(
        "read_nmnist", on_truncated=on_truncated, on_out_of_range=on_out_of_range, on_unsorted=on_unsorted
    )
    ok = isinstance(duration_us, int) and not isinstance(duration_us, bool) and duration_us >= 0
    require(ok, "read_nmnist.duration_us", duration_us, "an int >= 0, in µs")
    sensor_size = as_sensor(sensor_size)
    ok = not clock_overflow or sensor_size[1] <= _OVERFLOW_Y
    require(
        ok,
        "read_nmnist.clock_overflow",
        clock_overflow,
        "False on a sensor on which y = 240 is a pixel",
    )

    where = f"read_nmnist({quote(str(path))})"
    data = _read(path)
    rest = len(data) % _RECORD
    dropped = {}
    if rest:
        if on_truncated == "error":
            raise FormatError(
                path,
                f"the last record has {rest} of {_RECORD} bytes; the file has {len(data)} bytes, expected a "
                f"multiple of {_RECORD}.",
                offset=len(data) - rest,
                hint='Fetch the file again, or keep its whole records with on_truncated="drop".',
            )
        dropped["trailing_bytes"] = rest
        report(where, f"dropped {rest} trailing bytes of an incomplete record.")

    columns, index = _decode(data[: len(data) - rest], clock_overflow)

    def fail(first: int, reason: str, hint: str) -> NoReturn:
        raise FormatError(path, reason, offset=_RECORD * int(index[first]), hint=hint)

    columns, removed = sift(
        columns, sensor_size, on_out_of_range=on_out_of_range, on_unsorted=on_unsorted, where=where, fail=fail
    )
    for values in columns:
        values.flags.writeable = False  # nobody else holds them: spares a copy
    end = max(duration_us, int(columns[0][-1]) + 1 if columns[0].size else 0)
    return Events(*columns, sensor_size, (0, end), {"dropped": dropped | removed})


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as 40-bit events, atomically. ``t_span`` and ``info`` have no place in the format.

    Raises:
        ConfigError: a time outside of 0..8 388 607 µs, or a sensor of more than 256 columns or rows.
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    if not isinstance(events, Events):
        raise InputTypeError(f"write_nmnist: got {type(events).__name__}, expected snnkit.data.Events.")
    ok = max(events.sensor_size) <= 256
    require(ok, "write_nmnist: sensor_size", events.sensor_size, "at most 256 columns and rows, a byte each")
    if len(events):
        first, last = int(events.t[0]), int(events.t[-1])
        hint = "Shift or cut the recording, e.g. events.with_(t=events.t - events.t[0], t_span=None)."
        ok = first >= 0 and last <= _MAX_T
        require(ok, "write_nmnist: t", (first, last), f"times in 0..{_MAX_T} µs (23 bit)", hint)
    t = events.t
    parts = (events.x, events.y, events.p.astype(np.int64) << 7 | t >> 16, t >> 8 & 255, t & 255)
    records = np.empty((len(events), _RECORD), np.uint8)
    for i, part in enumerate(parts):
        records[:, i] = part
    write_atomically(path, records.tobytes())


def _read(path: str | os.PathLike[str]) -> bytes:
    """Content of a regular file within the limits."""
    if not isinstance(path, str | os.PathLike):
        raise InputTypeError(f"read_nmnist: got {type(path).__name__}, expected a path.")
    try:
        with open(path, "rb", opener=_open_regular) as file:
            size = os.fstat(file.fileno()).st_size
            LIMITS.check("file_bytes", size, f"read_nmnist: size of {quote(str(path))} in bytes")
            LIMITS.check("events", size // _RECORD, f"read_nmnist: events in {quote(str(path))}")
            return file.read(size)
    except LimitError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        why = getattr(error, "strerror", None) or error
        raise FormatError(path, f"cannot be read: {why}.", hint="Give the path of one recording.") from error


def _open_regular(path: str, flags: int) -> int:
    """Refuse pipes, devices and folders; opening a pipe would otherwise wait for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file")
    return descriptor


def _decode(data: bytes, clock_overflow: bool) -> tuple[Columns, np.ndarray]:
    """Columns t, x, y, p and, for each event, the number of its record."""
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD)
    high = records[:, 2].astype(np.int64)
    t = (high & 127) << 16 | records[:, 3].astype(np.int64) << 8 | records[:, 4]
    x, y = records[:, 0].astype(np.uint16), records[:, 1].astype(np.uint16)
    p = records[:, 2] >> 7
    index = np.arange(len(t))
    if clock_overflow:
        mark = y == _OVERFLOW_Y
        t += np.cumsum(mark) * _OVERFLOW_US
        t, x, y, p, index = (c[~mark] for c in (t, x, y, p, index))
    return (t, x, y, p), index
