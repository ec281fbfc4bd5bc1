"""What a recording must be to fit into a format."""

from __future__ import annotations

from numpy.typing import NDArray

from ...errors import InputTypeError, require
from ..events import Events

__all__ = ["fitting_events", "fitting_times"]


def fitting_events(writer: str, events: Events, side: int, why: str) -> Events:
    """``events``, if they are some on a sensor of at most ``side`` columns and rows.

    Raises:
        InputTypeError: not Events. ConfigError: the sensor is too large.
    """
    if not isinstance(events, Events):
        raise InputTypeError(f"{writer}: got {type(events).__name__}, expected snnkit.data.Events.")
    ok = max(events.sensor_size) <= side
    require(ok, f"{writer}: sensor_size", events.sensor_size, f"at most {side} columns and rows, {why}")
    return events


def fitting_times(writer: str, events: Events, last: int, why: str) -> NDArray:
    """The times, if all are in 0..last. Raises ConfigError."""
    if len(events):
        span = int(events.t[0]), int(events.t[-1])
        hint = "Shift or cut the recording, e.g. events.with_(t=events.t - events.t[0], t_span=None)."
        ok = span[0] >= 0 and span[1] <= last
        require(ok, f"{writer}: t", span, f"times in 0..{last} µs ({why})", hint)
    return events.t
