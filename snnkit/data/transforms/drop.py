"""EventDrop: leave out events at random, in an interval, or in a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..events import Events
from .base import TRANSFORMS, EventTransform, pair, rebuilt, uniform

__all__ = ["DropArea", "DropRandom", "DropTime", "EventDrop"]


@TRANSFORMS.register("drop_random")
@dataclass(frozen=True)
class DropRandom(EventTransform):
    """Drop every event with one probability, drawn uniformly from ``ratio`` = (least, most)."""

    ratio: tuple[float, float] = (0.1, 0.9)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", pair("DropRandom.ratio", self.ratio, 0, 1))

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        ratio = uniform(generator, *self.ratio)
        draw = torch.rand(len(events), generator=generator, dtype=torch.float64).numpy()
        return rebuilt(events, draw >= ratio, "drop_random")


@TRANSFORMS.register("drop_time")
@dataclass(frozen=True)
class DropTime(EventTransform):
    """Drop the events of one interval: a share of the recording from ``ratio``, at a uniform place."""

    ratio: tuple[float, float] = (0.1, 0.9)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", pair("DropTime.ratio", self.ratio, 0, 1))

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        start, end = events.t_span
        length = int(uniform(generator, *self.ratio) * (end - start))
        first = start + int(uniform(generator, 0, 1) * (end - start - length + 1))
        keep = (events.t < first) | (events.t >= first + length)
        return rebuilt(events, keep, "drop_time")


@TRANSFORMS.register("drop_area")
@dataclass(frozen=True)
class DropArea(EventTransform):
    """Drop the events of one box, each side a share of the sensor from ``ratio``, at a uniform place."""

    ratio: tuple[float, float] = (0.05, 0.3)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratio", pair("DropArea.ratio", self.ratio, 0, 1))

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        inside = np.ones(len(events), bool)
        for values, side in ((events.x, events.sensor_size[0]), (events.y, events.sensor_size[1])):
            length = int(uniform(generator, *self.ratio) * side)
            first = int(uniform(generator, 0, 1) * (side - length + 1))
            inside &= (values >= first) & (values < first + length)
        return rebuilt(events, ~inside, "drop_area")


@TRANSFORMS.register("event_drop")
@dataclass(frozen=True)
class EventDrop(EventTransform):
    """Nothing, :class:`DropRandom`, :class:`DropTime` or :class:`DropArea`, with equal probability.

    Args:
        random_ratio, time_ratio, area_ratio: (least, most) of the three.

    Source: Gu, Sng, Hu, Yu 2021, "EventDrop: data augmentation for event-based learning" (arXiv 2106.05836);
    the default ranges are recalled from it, not re-checked.
    """

    random_ratio: tuple[float, float] = (0.1, 0.9)
    time_ratio: tuple[float, float] = (0.1, 0.9)
    area_ratio: tuple[float, float] = (0.05, 0.3)
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("random_ratio", "time_ratio", "area_ratio"):
            object.__setattr__(self, name, pair(f"EventDrop.{name}", getattr(self, name), 0, 1))

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        ways = (None, DropRandom(self.random_ratio), DropTime(self.time_ratio), DropArea(self.area_ratio))
        way = ways[int(torch.randint(4, (), generator=generator))]
        return events if way is None else way(events, generator)
