"""Dead time of pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ...checks import integer
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["Refractory"]


@TRANSFORMS.register("refractory")
@dataclass(frozen=True)
class Refractory(EventTransform):
    """Keep an event only if its pixel's last kept event is at least ``period_us`` older.

    Args:
        period_us: dead time of a pixel after an event of either polarity, > 0.
    """

    period_us: int

    def __post_init__(self) -> None:
        integer("Refractory.period_us", self.period_us, 1, 2**53)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        n = len(events)
        if n == 0:
            return events
        # Ranks in place of pixels and times, so that (pixel, time) is one sortable integer for any span.
        _, pixel = np.unique(events.y.astype(np.int64) << 16 | events.x, return_inverse=True)
        times, moment = np.unique(events.t, return_inverse=True)
        # the first moment at which the pixel sees again
        ready = np.searchsorted(times, events.t + self.period_us)
        ranks = len(times) + 1
        order = np.argsort(pixel * ranks + moment, kind="stable")
        places = (pixel * ranks + moment)[order]
        following = np.searchsorted(places, (pixel * ranks + ready)[order])
        keep = np.zeros(n, bool)
        kept = np.flatnonzero(np.diff(pixel[order], prepend=-1))  # the first event of every pixel
        while kept.size:  # as often as the busiest pixel is kept, for all pixels at once
            keep[order[kept]] = True
            after = following[kept]
            kept = kept[after < n]
            after = after[after < n]
            kept = after[pixel[order[after]] == pixel[order[kept]]]
        return rebuilt(events, keep, "refractory")
