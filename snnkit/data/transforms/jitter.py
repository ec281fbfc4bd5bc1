"""Events a little off in space or time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ...checks import number
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["SpatialJitter", "TimeJitter"]


@TRANSFORMS.register("spatial_jitter")
@dataclass(frozen=True)
class SpatialJitter(EventTransform):
    """Move every event by normal noise of ``sigma`` pixels in x and y, rounded; drop it off the sensor."""

    sigma: float = 1.0
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("SpatialJitter.sigma", self.sigma, at_least=0, at_most=1e6)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        width, height, _ = events.sensor_size
        noise = self.sigma * torch.randn(2, len(events), generator=generator, dtype=torch.float64).numpy()
        x, y = (np.rint(v + off).astype(np.int64) for v, off in zip((events.x, events.y), noise, strict=True))
        if height == 1:
            y = events.y.astype(np.int64)  # a 1-D sensor has no rows to leave
        keep = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        return rebuilt(events, keep, "spatial_jitter", x=x, y=y)


@TRANSFORMS.register("time_jitter")
@dataclass(frozen=True)
class TimeJitter(EventTransform):
    """Move every event by normal noise of ``sigma_us``, rounded, within the recording; then sort again.

    An event that would leave the recording interval stays at its edge, so none is lost. The sort is stable.
    """

    sigma_us: float = 1000.0
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("TimeJitter.sigma_us", self.sigma_us, at_least=0, at_most=2**53)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        noise = self.sigma_us * torch.randn(len(events), generator=generator, dtype=torch.float64).numpy()
        start, end = events.t_span
        t = np.clip(events.t + np.rint(noise).astype(np.int64), start, max(start, end - 1))
        order = np.argsort(t, kind="stable")
        return rebuilt(events, t=t[order], x=events.x[order], y=events.y[order], p=events.p[order])
