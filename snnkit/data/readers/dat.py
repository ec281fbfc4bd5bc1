"""Prophesee DAT, version 2: N-CARS, Gen1 automotive detection.

Lines that begin with ``%``, one byte event type (0 or 12: change detection), one byte event size (8), then
per event two little-endian words: t in µs; x in bits 0..13, y in bits 14..27, polarity in bit 28.

Source: the format description of the Metavision SDK. The time of 32 bit wraps after 71 minutes; a drop by
more than half of the range is taken for a wrap.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Unpack

import numpy as np

from ...files import write_atomically
from ..events import Events
from ..policy import Policies
from .formats import FORMATS, Format
from .prophesee import read_header, version_of
from .recording import Block, Clock, assemble
from .source import Source
from .writing import fitting_events, fitting_times

__all__ = ["read_dat", "write_dat"]

_RECORD = np.dtype(("<u4", 2))
_TYPES = (0, 12)


def read_dat(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of Prophesee's DAT format.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: that of the header, and where it tells none (N-CARS, whose recordings
            differ in size) the smallest that holds the events.
        policies: see :class:`Policies`.

    Raises:
        FormatError: no header, another event type, truncated, off the sensor, unsorted.
        LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_dat", **policies) as source:
        header = read_header(source)
        if not header.lines:
            source.fail("expected a header of lines that begin with %, found none.", 0)
        if header.encoding:
            source.fail(f"expected DAT, the header names {header.encoding}.", 0, "Use open_events(path).")
        start = header.end + 2
        if start > source.size:
            source.fail("the file ends ahead of the two bytes that tell type and size of events.", header.end)
        kind, size = source.read(header.end, 2)
        if kind not in _TYPES or size != 8:
            source.fail(f"expected events of type 0 or 12 and size 8, got {kind} and {size}.", header.end)
        given = header.sensor_size if sensor_size is None else sensor_size
        return assemble(source, partial(_decode, source, start), given, info=header.info)


def write_dat(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as DAT, atomically. ``t_span`` and ``info`` have no place in the format.

    Raises:
        ConfigError: a time outside of 32 bit, or a sensor of more than 16384 columns or rows.
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    events = fitting_events("write_dat", events, 2**14, "14 bit each")
    t = fitting_times("write_dat", events, 2**32 - 1, "32 bit")
    width, height, _ = events.sensor_size
    header = (
        f"% Data file containing CD events.\n% Version 2\n% Height {height}\n% Width {width}\n".encode()
        + bytes([12, 8])
    )
    records = np.empty(len(events), _RECORD)
    records[:, 0] = t
    records[:, 1] = (
        events.x.astype(np.uint32) | events.y.astype(np.uint32) << 14 | events.p.astype(np.uint32) << 28
    )
    write_atomically(path, header + records.tobytes())


def _decode(source: Source, start: int, dropped: Counter[str]) -> Iterator[Block]:
    clock = Clock(32)
    for offset, records in source.records(start, _RECORD, dropped, one_event_each=True):
        words = np.ascontiguousarray(records[:, 1])
        x, y = (words & 0x3FFF).astype(np.uint16), (words >> 14 & 0x3FFF).astype(np.uint16)
        p = (words >> 28).astype(np.uint8) & 1
        yield (clock(records[:, 0]), x, y, p), offset + 8 * np.arange(len(words))


def _recognises(head: bytes) -> bool:
    return head.startswith(b"%") and not version_of(head.decode("latin1"))


FORMATS.register("dat")(Format("Prophesee DAT", read_dat, _recognises))
