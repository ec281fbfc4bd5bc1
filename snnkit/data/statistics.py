"""What a recording looks like in numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .events import Events
from .transforms.base import recording
from .transforms.denoise import NEIGHBOURS

__all__ = ["EventStatistics", "statistics"]

_PEAK_US = 10_000


@dataclass(frozen=True)
class EventStatistics:
    """Outcome of :func:`statistics`; shares and rates are NaN where there is nothing to divide by.

    Attributes:
        events: their number. duration_us: of the recording interval. first_us, last_us: event times.
        rate_hz: events per second of the recording. peak_hz: of its busiest 10 ms.
        on_share: share of ON events, NaN on a sensor without polarity.
        pixels: of the sensor. dead: pixels without any event.
        hot: pixels with at least 10 events and over 10 times the mean of their neighbours (eight, or two on
            a 1-D sensor; fewer at the rim), busiest first, as (x, y, events).
        simultaneous: events at the time of the one ahead of them.
    """

    events: int
    duration_us: int
    first_us: int | None
    last_us: int | None
    rate_hz: float
    peak_hz: float
    on_share: float
    pixels: int
    dead: int
    hot: tuple[tuple[int, int, int], ...]
    simultaneous: int

    @property
    def active(self) -> int:
        """Pixels with at least one event."""
        return self.pixels - self.dead


def statistics(events: Events) -> EventStatistics:
    """Count what there is to know about one recording. Raises InputTypeError: not Events."""
    n = len(recording(events, "statistics"))
    width, height, polarities = events.sensor_size
    start, end = events.t_span
    cell = events.y.astype(np.int64) * width + events.x
    cells, counts = np.unique(cell, return_counts=True)  # no array of the sensor, which may be large
    hot = counts > 10 * np.maximum(_around(cells, counts, width, height), 0.9)
    busiest = np.flatnonzero(hot)[np.argsort(-counts[hot], kind="stable")]
    within = np.searchsorted(events.t, events.t + _PEAK_US) - np.arange(n)  # events of the 10 ms from each
    return EventStatistics(
        events=n,
        duration_us=end - start,
        first_us=int(events.t[0]) if n else None,
        last_us=int(events.t[-1]) if n else None,
        rate_hz=1e6 * n / (end - start) if end > start else float("nan"),
        peak_hz=1e6 * int(within.max()) / _PEAK_US if n else 0.0,
        on_share=float(events.p.mean()) if n and polarities == 2 else float("nan"),
        pixels=width * height,
        dead=width * height - len(cells),
        hot=tuple((int(cells[i] % width), int(cells[i] // width), int(counts[i])) for i in busiest),
        simultaneous=int((np.diff(events.t) == 0).sum()),
    )


def _around(cells: NDArray, counts: NDArray, width: int, height: int) -> NDArray[np.float64]:
    """Mean number of events of the neighbours of each active pixel."""
    total, number = np.zeros(len(cells)), np.zeros(len(cells))
    x, y = cells % width, cells // width
    for dx, dy in NEIGHBOURS:
        inside = (x + dx >= 0) & (x + dx < width) & (y + dy >= 0) & (y + dy < height)
        wanted = cells + dy * width + dx
        place = np.minimum(np.searchsorted(cells, wanted), max(len(cells) - 1, 0))
        total += np.where(inside & (cells[place] == wanted), counts[place], 0)
        number += inside
    return total / np.maximum(number, 1)
