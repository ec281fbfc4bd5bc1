"""A coarser sensor that sees the same events."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...checks import integer
from ...errors import require
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["Downsample"]


@TRANSFORMS.register("downsample")
@dataclass(frozen=True)
class Downsample(EventTransform):
    """Map the pixels of a W x H sensor onto ``width`` x ``height``: ``x' = floor(x width / W)``, same for y.

    Every event stays: the events of pixels that fall together are all kept.

    Args:
        width, height: of the new sensor, at most those of the old one; any ratio.

    Raises:
        ConfigError: not ints > 0, or larger than the sensor (when it is applied).
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            integer(f"Downsample.{name}", getattr(self, name))

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        width, height, polarities = events.sensor_size
        ok = self.width <= width and self.height <= height
        require(ok, "Downsample", self, f"at most the {width}x{height} pixels of the sensor")
        x = events.x.astype("int64") * self.width // width
        y = events.y.astype("int64") * self.height // height
        return rebuilt(events, sensor_size=(self.width, self.height, polarities), x=x, y=y)
