"""Prophesee EVT 2.0.

Lines that begin with ``%``, then little-endian words of 32 bit, their type in bits 28..31::

    0 OFF event, 1 ON event   bits 22..27 t & 63, bits 11..21 x, bits 0..10 y
    8 TIME_HIGH               bits 0..27  t >> 6, for the events behind it
    10 external trigger, 14 other, 15 continued: skipped

Source: the format description of the Metavision SDK. The time of 34 bit wraps after 4.8 hours.
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
from .prophesee import expect, only_defined, read_header, sensor_of, version_of
from .recording import Block, Clock, assemble, hold
from .source import Source
from .writing import fitting_events, fitting_times

__all__ = ["read_evt2", "write_evt2"]

_TIME_HIGH = 8
_DEFINED = (0, 1, _TIME_HIGH, 10, 14, 15)


def read_evt2(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of Prophesee's EVT 2.0 format.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: that of the header.
        policies: see :class:`Policies`.

    Returns:
        Events; ``info["dropped"]["before_time"]`` counts those ahead of the first TIME_HIGH, whose time is
        not known, and ``info["header"]`` holds the lines of the header.

    Raises:
        FormatError: no header, another encoding, no sensor size, an undefined word, truncated, off the
            sensor, unsorted.
        LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_evt2", **policies) as source:
        header = read_header(source)
        expect(source, header, "EVT2")
        size = sensor_of(source, header, sensor_size)
        return assemble(source, partial(_decode, source, header.end), size, info=header.info)


def write_evt2(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording as EVT 2.0, atomically. ``t_span`` and ``info`` have no place in the format.

    Raises:
        ConfigError: a time outside of 34 bit, or a sensor of more than 2048 columns or rows.
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    events = fitting_events("write_evt2", events, 2**11, "11 bit each")
    t = fitting_times("write_evt2", events, 2**34 - 1, "34 bit")
    width, height, _ = events.sensor_size
    header = f"% evt 2.0\n% format EVT2;height={height};width={width}\n% geometry {width}x{height}\n% end\n"
    high = t >> 6
    changes = np.flatnonzero(np.diff(high, prepend=-1))
    fields = ((events.p, 28), (t & 63, 22), (events.x, 11), (events.y, 0))
    words = np.zeros(len(events), np.uint32)
    for values, shift in fields:
        words |= values.astype(np.uint32) << shift
    words = np.insert(words, changes, (_TIME_HIGH << 28 | high[changes]).astype(np.uint32))
    write_atomically(path, header.encode() + words.astype("<u4").tobytes())


def _decode(source: Source, start: int, dropped: Counter[str]) -> Iterator[Block]:
    """Blocks of events; TIME_HIGH holds for all words until the next one, also across blocks."""
    clock, high = Clock(28), -1
    for offset, words in source.records(start, "<u4", dropped):
        kind = (words >> 28).astype(np.uint8)
        only_defined(source, words, kind, _DEFINED, offset, dropped)
        at = np.flatnonzero(kind == _TIME_HIGH)
        highs = clock(words[at] & 0xFFFFFFF)
        place = np.flatnonzero(kind <= 1)
        base = hold(highs, at, words.size, high)[place]
        early = int(np.count_nonzero(base < 0))  # they are the first ones
        dropped["before_time"] += early
        place, base = place[early:], base[early:]
        if at.size:
            high = int(highs[-1])
        found = words[place]
        t = base << 6 | (found >> 22 & 63)
        x, y = (found >> 11 & 0x7FF).astype(np.uint16), (found & 0x7FF).astype(np.uint16)
        yield (t, x, y, (found >> 28).astype(np.uint8)), offset + 4 * place


def _recognises(head: bytes) -> bool:
    return head.startswith(b"%") and version_of(head.decode("latin1")) == "EVT2"


FORMATS.register("evt2")(Format("Prophesee EVT 2.0", read_evt2, _recognises))
