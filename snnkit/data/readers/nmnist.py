"""The 40-bit format of N-MNIST and N-Caltech101: five bytes per event, no header.

::

    byte 0   x          byte 2   bit 7 polarity (1 ON), bits 6..0 = t[22:16]
    byte 1   y          byte 3   t[15:8]            byte 4   t[7:0]          t in microseconds
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from ...errors import FormatError, LimitError, require
from ..events import Events

__all__ = ["read_nmnist", "write_nmnist"]

RECORD = 5
MAX_TIME = 2**23 - 1
MAX_BYTES = 16 * 2**30


def read_nmnist(
    path: str | os.PathLike[str],
    *,
    sensor_size: tuple[int, int, int] = (34, 34, 2),
    on_truncated: Literal["error", "drop"] = "error",
    on_out_of_range: Literal["error", "drop"] = "error",
    on_unsorted: Literal["error", "sort"] = "error",
    max_bytes: int = MAX_BYTES,
) -> Events:
    """Read one 40-bit recording.

    Args:
        path: the file. An empty one is a recording without events.
        sensor_size: (width, height, 2); coordinates outside are corruption.
        on_truncated: a size that is no multiple of 5: raise, or drop the incomplete last record.
        on_out_of_range: coordinates outside of the sensor: raise, or drop these events.
        on_unsorted: decreasing times: raise, or sort stably.
        max_bytes: refuse larger files.

    Returns:
        :class:`Events` with ``t_span = [0, last + 1)`` and ``info["dropped"]``, the number of events (or
        partial records) dropped by reason. Dropping and sorting also warn.

    Raises:
        FormatError: malformed, with path and byte offset. LimitError: larger than ``max_bytes``.
        ConfigError: an unknown policy. OSError: the file cannot be opened.
    """
    for name, policy, other in (
        ("on_truncated", on_truncated, "drop"),
        ("on_out_of_range", on_out_of_range, "drop"),
        ("on_unsorted", on_unsorted, "sort"),
    ):
        require(policy in ("error", other), f"read_nmnist.{name}", policy, f'"error" or "{other}"')
    size = Path(path).stat().st_size
    if size > max_bytes:
        raise LimitError(
            f"{str(path)!r}: {size} bytes exceed the limit max_bytes = {max_bytes}. Raise max_bytes to read it."
        )
    with open(path, "rb") as file:
        raw = np.frombuffer(file.read(size), np.uint8)
    dropped: dict[str, int] = {}
    rest = len(raw) % RECORD
    if rest:
        if on_truncated == "error":
            raise FormatError(
                path,
                f"{rest} trailing bytes, expected a multiple of {RECORD} (40-bit records).",
                offset=len(raw) - rest,
                hint='The file is truncated or of another format; on_truncated="drop" keeps the whole records.',
            )
        dropped["truncated"] = 1
        raw = raw[: len(raw) - rest]
    b = raw.reshape(-1, RECORD)
    x, y, p = b[:, 0].astype(np.uint16), b[:, 1].astype(np.uint16), b[:, 2] >> 7
    t = (b[:, 2] & 0x7F).astype(np.int64) << 16 | b[:, 3].astype(np.int64) << 8 | b[:, 4]

    outside = (x >= sensor_size[0]) | (y >= sensor_size[1])
    if outside.any():
        first, count = int(np.argmax(outside)), int(outside.sum())
        if on_out_of_range == "error":
            raise FormatError(
                path,
                f"{count} events outside of the {sensor_size[0]}x{sensor_size[1]} sensor, first "
                f"(x, y) = ({x[first]}, {y[first]}).",
                offset=first * RECORD,
                hint='Give the right sensor_size, or on_out_of_range="drop".',
            )
        dropped["out_of_range"] = count
        inside = ~outside
        t, x, y, p = t[inside], x[inside], y[inside], p[inside]
    falls = np.flatnonzero(np.diff(t) < 0)
    if falls.size:
        if on_unsorted == "error":
            i = int(falls[0])
            raise FormatError(
                path,
                f"times decrease {falls.size} times, first from {t[i]} to {t[i + 1]} µs.",
                offset=(i + 1) * RECORD,
                hint='The file is corrupt or of another format; on_unsorted="sort" sorts stably.',
            )
        order = np.argsort(t, kind="stable")
        t, x, y, p = t[order], x[order], y[order], p[order]
        warnings.warn(f"{str(path)!r}: times were out of order {falls.size} times and sorted", stacklevel=2)
    if dropped:
        what = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        warnings.warn(f"{str(path)!r}: dropped {what}", stacklevel=2)
    return Events(t, x, y, p, sensor_size, info={"dropped": dropped})


def write_nmnist(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording in the 40-bit format; ``read_nmnist`` gives the same events back.

    Raises:
        FormatError: a coordinate above 255, or a time that does not fit 23 bits.
    """
    if len(events) and (events.x.max() > 255 or events.y.max() > 255):
        raise FormatError(
            path, "coordinates above 255 do not fit one byte.", hint="Crop or downsample first."
        )
    if len(events) and (events.t[0] < 0 or events.t[-1] > MAX_TIME):
        raise FormatError(
            path,
            f"times {events.t[0]}..{events.t[-1]} µs do not fit 23 bits (0..{MAX_TIME}).",
            hint="Shift or slice the recording first.",
        )
    b = np.empty((len(events), RECORD), np.uint8)
    b[:, 0], b[:, 1] = events.x, events.y
    b[:, 2] = (events.p << 7) | (events.t >> 16).astype(np.uint8)
    b[:, 3], b[:, 4] = (events.t >> 8) & 255, events.t & 255
    Path(path).write_bytes(b.tobytes())
