"""Background activity filter: an event without company is noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...checks import integer
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["NEIGHBOURS", "Denoise"]

NEIGHBOURS = tuple((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy)


@TRANSFORMS.register("denoise")
@dataclass(frozen=True)
class Denoise(EventTransform):
    """Keep an event if one of its eight neighbour pixels fired at most ``window_us`` earlier.

    "Earlier" is the order of the recording; polarity does not matter; an event that is dropped still
    supports its neighbours. The first event of a recording is always dropped.

    Args:
        window_us: how long an event supports its neighbourhood, > 0.

    Source: Delbruck 2008, "Frame-free dynamic digital vision" (the filter is recalled from there; the
    eight-neighbourhood without the pixel itself is ours).
    """

    window_us: int

    def __post_init__(self) -> None:
        integer("Denoise.window_us", self.window_us, 1, 2**53)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        n = len(events)
        width, height, _ = events.sensor_size
        x, y = events.x.astype(np.int64), events.y.astype(np.int64)
        index = np.arange(n)
        places = np.sort((y * width + x) * n + index)  # events of a pixel side by side, in their order
        keep = np.zeros(n, bool)
        for dx, dy in NEIGHBOURS:
            keep |= self._supported(events.t, places, x + dx, y + dy, width, height)
        return rebuilt(events, keep, "denoise")

    def _supported(
        self, t: NDArray, places: NDArray, x: NDArray, y: NDArray, width: int, height: int
    ) -> NDArray:
        """For every event: did the pixel (x, y) fire before it, and not too long ago?"""
        n = len(t)
        pixel = y * width + x
        place = np.searchsorted(places, pixel * n + np.arange(n)) - 1
        before = places[place]  # place = -1 reads some entry; the comparison of pixels or times refuses it
        real = (place >= 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return real & (before // max(n, 1) == pixel) & (t - t[before % max(n, 1)] <= self.window_us)
