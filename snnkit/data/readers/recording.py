"""From decoded blocks to a recording: what all event readers share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..checks import as_sensor, as_span
from ..events import Events
from ..limits import LIMITS
from ..policy import Columns, report, sift
from .source import Source

__all__ = ["Block", "Clock", "Decoder", "assemble", "hold"]

Block = tuple[Columns, NDArray | None]  # t, x, y, p; the byte at which each event stands, if that is known
Decoder = Callable[[Counter[str]], Iterator[Block]]  # counts what it drops

_STORED = (np.int64, np.uint16, np.uint16, np.uint8)


def assemble(
    source: Source,
    decode: Decoder,
    sensor_size: tuple[int, int, int] | None,
    *,
    at_least: tuple[int, int] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Events:
    """All events of a file, held against the sensor and the order of time.

    Beside the events themselves, at most one column and one block are in memory.

    Args:
        source: the open file.
        decode: yields the blocks; called a second time to find the place of a bad event.
        sensor_size: (W, H, P); None: the smallest that holds the events, with P = 2.
        at_least: interval that the recording covers in any case; None: from the first event on.
        info: further entries of ``Events.info``.
    """
    if sensor_size is not None:
        sensor_size = as_sensor(sensor_size)
    dropped: Counter[str] = Counter()
    columns = _joined(source, (columns for columns, _ in decode(dropped)))
    if sensor_size is None:
        width, height = (int(c.max(initial=0)) + 1 for c in columns[1:3])
        sensor_size = width, height, 2
    for reason, what in (
        ("trailing_bytes", "trailing bytes of an incomplete record"),
        ("undefined_words", "words that the format does not define"),
    ):
        if dropped[reason]:
            report(source.where, f"dropped {dropped[reason]} {what}.")

    def fail(index: int, reason: str, hint: str) -> NoReturn:
        source.fail(reason, _place(decode, index), hint)

    columns, removed = sift(
        columns,
        sensor_size,
        on_out_of_range=source.policies.get("on_out_of_range", "error"),
        on_unsorted=source.policies.get("on_unsorted", "error"),
        where=source.where,
        fail=fail,
    )
    t = columns[0]
    span = (int(t[0]), int(t[-1]) + 1) if t.size else at_least or (0, 0)
    if at_least:
        span = min(span[0], at_least[0]), max(span[1], at_least[1])
    counts = {reason: n for reason, n in dropped.items() if n} | removed
    return Events._trusted(columns, sensor_size, as_span(span, t), {**(info or {}), "dropped": counts})


def _joined(source: Source, blocks: Iterator[Columns]) -> Columns:
    """One array for each column. Blocks of a column are freed before the next one is joined."""
    parts: list[list[NDArray]] = [[], [], [], []]
    total = 0
    for block in blocks:
        total += block[0].size
        LIMITS.check("events", total, f"{source.where}: events")
        for part, values, dtype in zip(parts, block, _STORED, strict=True):
            part.append(values.astype(dtype, copy=False))
    joined = []
    for part, dtype in zip(parts, _STORED, strict=True):
        joined.append(part[0] if len(part) == 1 else np.concatenate([np.empty(0, dtype), *part]))
        part.clear()
    return joined[0], joined[1], joined[2], joined[3]


def _place(decode: Decoder, index: int) -> int | None:
    """Byte at which event ``index`` stands in the file."""
    for columns, offsets in decode(Counter()):
        if index < columns[0].size:
            return None if offsets is None else int(offsets[index])
        index -= columns[0].size
    return None


class Clock:
    """A counter of ``bits`` bits as a time that does not wrap.

    It has wrapped where it drops by more than half of its range; a smaller drop is time that goes back.
    """

    def __init__(self, bits: int) -> None:
        self.period = 1 << bits
        self._last, self._loops = -1, 0

    def __call__(self, ticks: NDArray) -> NDArray[np.int64]:
        """The next ticks, in order. Raises nothing; remembers the last one."""
        ticks = ticks.astype(np.int64)
        if not ticks.size:
            return ticks
        drops = np.diff(ticks, prepend=ticks[0] if self._last < 0 else self._last) < -(self.period >> 1)
        self._last = int(ticks[-1])
        if self._loops or drops.any():
            loops = self._loops + np.cumsum(drops)
            self._loops = int(loops[-1])
            ticks += loops * self.period
        return ticks


def hold(values: NDArray, at: NDArray, n: int, before: int) -> NDArray:
    """``[n]``: each value from its place in ``at`` until the next one, ``before`` ahead of the first."""
    lengths = np.diff(at, prepend=0, append=n)
    return np.repeat(np.concatenate((np.array([before], values.dtype), values)), lengths)
