"""Prophesee EVT 3.0: words of 16 bit that change the state of a decoder.

Lines that begin with ``%``, then little-endian words, their type in bits 12..15::

    0 ADDR_Y       bits 0..10 row of the events behind it
    2 ADDR_X       one event: bits 0..10 column, bit 11 polarity
    3 VECT_BASE_X  bits 0..10 first column, bit 11 polarity of the vectors behind it
    4 VECT_12      events at base + i for every bit i of 0..11 that is set; then base += 12
    5 VECT_8       the same with bits 0..7; then base += 8
    6 TIME_LOW     bits 0..11: t & 4095
    8 TIME_HIGH    bits 0..11: t >> 12
    10 external trigger, 7 and 15 continued, 14 other: skipped

Time is loops * 2**24 + high * 4096 + low, where loops counts the wraps of TIME_HIGH. A TIME_HIGH of a new
value starts with low = 0 until the next TIME_LOW, which follows at once in all recordings seen: keeping the
older one would throw the time ahead by up to 4 ms (inferred; no published text tells).

Source: the format description of the Metavision SDK.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ..events import Events
from ..policy import Policies
from .formats import FORMATS, Format
from .prophesee import expect, only_defined, read_header, sensor_of, version_of
from .recording import Block, Clock, assemble, hold
from .source import Source

__all__ = ["read_evt3"]

_ADDR_Y, _ADDR_X, _BASE, _VECT_12, _VECT_8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_DEFINED = (_ADDR_Y, _ADDR_X, _BASE, _VECT_12, _VECT_8, _LOW, 7, _HIGH, 10, 14, 15)
_WIDTH = np.zeros(16, np.int64)  # columns that a word of a type spans
_WIDTH[[_VECT_12, _VECT_8]] = 12, 8
_MASK = np.array([0, 0, 0, 0, 0xFFF, 0xFF] + [0] * 10, np.uint16)


def read_evt3(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of Prophesee's EVT 3.0 format.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: that of the header.
        policies: see :class:`Policies`.

    Returns:
        Events; ``info["dropped"]["before_time"]`` counts those ahead of the first time, row or base, which
        no decoder can place, and ``info["header"]`` holds the lines of the header.

    Raises:
        FormatError: no header, another encoding, no sensor size, an undefined word, truncated, off the
            sensor, unsorted.
        LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_evt3", **policies) as source:
        header = read_header(source)
        expect(source, header, "EVT3")
        size = sensor_of(source, header, sensor_size)
        return assemble(source, partial(_decode, source, header.end), size, info=header.info)


def _decode(source: Source, start: int, dropped: Counter[str]) -> Iterator[Block]:
    """Blocks of events: every state is a column that holds its value until the next word that sets it."""
    time, row, vector = _Time(), -1, _Vector()
    for offset, words in source.records(start, "<u2", dropped, most_events=12):
        kind = (words >> 12).astype(np.uint8)
        only_defined(source, words, kind, _DEFINED, offset, dropped)
        times = time(words, kind)
        at = np.flatnonzero(kind == _ADDR_Y)
        rows = hold((words[at] & 0x7FF).astype(np.int32), at, words.size, row)
        row = int(rows[-1])
        place, first, polarity, masks = vector(words, kind)
        word, bit = _set_bits(masks)
        at = place[word]
        t, x, y, p = times[at], first[word] + bit, rows[at], polarity[word]
        if t.size and (t[0] < 0 or y[0] < 0 or x.min() < 0):
            known = (t >= 0) & (y >= 0) & (x >= 0)
            dropped["before_time"] += int(np.count_nonzero(~known))
            t, x, y, p, at = (c[known] for c in (t, x, y, p, at))
        yield (t, np.minimum(x, 2**16 - 1), y, p), offset + 2 * at


class _Time:
    """TIME_HIGH and TIME_LOW as one column."""

    def __init__(self) -> None:
        self.clock, self.high, self.low = Clock(12), -1, 0

    def __call__(self, words: NDArray, kind: NDArray) -> NDArray[np.int64]:
        """Time at each word; negative ahead of the first TIME_HIGH."""
        at = np.flatnonzero((kind == _LOW) | (kind == _HIGH))
        is_high, ticks = kind[at] == _HIGH, (words[at] & 0xFFF).astype(np.int64)
        before = self._value()
        places = np.flatnonzero(is_high)
        highs = self.clock(ticks[places])
        is_new = np.diff(highs, prepend=self.high) != 0
        high = hold(highs, places, at.size, self.high)
        sets = ~is_high
        sets[places[is_new]] = True
        ticks[places] = 0
        places = np.flatnonzero(sets)
        low = hold(ticks[places], places, at.size, self.low)
        if at.size:
            self.high, self.low = int(high[-1]), int(low[-1])
        values = np.where(high < 0, -1, high << 12 | low)
        return hold(values, at, words.size, before)

    def _value(self) -> int:
        return self.high << 12 | self.low if self.high >= 0 else -1


class _Vector:
    """VECT_BASE_X and the vectors behind it; a single event is a vector of one bit."""

    def __init__(self) -> None:
        self.x, self.polarity = -(2**40), 0

    def __call__(self, words: NDArray, kind: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Words that make events: their places, first columns, polarities and bits."""
        at = np.flatnonzero((kind >= _ADDR_X) & (kind <= _VECT_8))
        kind, words = kind[at], words[at]
        column, sign = (words & 0x7FF).astype(np.int64), (words >> 11 & 1).astype(np.uint8)

        bases = np.flatnonzero(kind == _BASE)
        walked = np.cumsum(_WIDTH[kind])  # columns spanned up to and including a word
        start = hold(column[bases] - walked[bases], bases, at.size, self.x)
        x = start + walked
        polarity = hold(sign[bases], bases, at.size, self.polarity)
        if at.size:
            self.x, self.polarity = int(x[-1]), int(polarity[-1])

        single = kind == _ADDR_X
        masks = np.where(single, np.uint16(1), words & _MASK[kind])
        first = np.where(single, column, x - _WIDTH[kind])
        return at, first, np.where(single, sign, polarity), masks


def _set_bits(masks: NDArray[np.uint16]) -> tuple[NDArray, NDArray]:
    """Numbers of the masks and of the bits that are set, in order."""
    bits = np.unpackbits(masks.astype("<u2").view(np.uint8), bitorder="little")
    found = np.flatnonzero(bits.view(bool))
    return found >> 4, found & 15


def _recognises(head: bytes) -> bool:
    return head.startswith(b"%") and version_of(head.decode("latin1")) == "EVT3"


FORMATS.register("evt3")(Format("Prophesee EVT 3.0", read_evt3, _recognises))
