"""Where in time a recording begins: random shifts and cuts. Both keep the length, so T bins stay T bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ...checks import integer
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["CropTime", "TimeShift"]


@TRANSFORMS.register("time_shift")
@dataclass(frozen=True)
class TimeShift(EventTransform):
    """Delay all events by a whole number of µs, uniform in ``+-max_us``; the recording interval stays.

    Events that leave the interval are dropped.
    """

    max_us: int
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        integer("TimeShift.max_us", self.max_us, 0, 2**53)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        shift = int(torch.randint(-self.max_us, self.max_us + 1, (), generator=generator))
        start, end = events.t_span
        t = events.t + shift
        return rebuilt(events, (t >= start) & (t < end), "time_shift", t=t)


@TRANSFORMS.register("crop_time")
@dataclass(frozen=True)
class CropTime(EventTransform):
    """A part of ``duration_us`` from a uniform start; a shorter recording is taken whole.

    The recording interval becomes ``[start, start + duration_us)`` in either case.
    """

    duration_us: int
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        integer("CropTime.duration_us", self.duration_us, 1, 2**53)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        start, end = events.t_span
        room = max(0, end - start - self.duration_us)
        start += int(torch.randint(0, room + 1, (), generator=generator))
        stop = start + self.duration_us
        keep = (events.t >= start) & (events.t < stop)
        return rebuilt(events, keep, "crop_time", t_span=(start, stop))
