"""Cut out a rectangle of the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...checks import integer
from ...errors import require
from ..events import Events
from .base import TRANSFORMS, EventTransform, rebuilt

__all__ = ["Crop"]


@TRANSFORMS.register("crop")
@dataclass(frozen=True)
class Crop(EventTransform):
    """Keep the events of a rectangle, which becomes the sensor.

    Args:
        width, height: of the rectangle, at most those of the sensor.
        left, top: its corner; None: centred, rounded down.

    Raises:
        ConfigError: a setting out of range, or a rectangle that leaves the sensor (when it is applied).
    """

    width: int
    height: int
    left: int | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            integer(f"Crop.{name}", getattr(self, name))
        for name in ("left", "top"):
            if getattr(self, name) is not None:
                integer(f"Crop.{name}", getattr(self, name), 0)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        width, height, polarities = events.sensor_size
        left = (width - self.width) // 2 if self.left is None else self.left
        top = (height - self.height) // 2 if self.top is None else self.top
        ok = 0 <= left <= width - self.width and 0 <= top <= height - self.height
        require(ok, "Crop", self, f"a rectangle inside of the sensor {width}x{height}")
        x, y = events.x.astype("int32") - left, events.y.astype("int32") - top
        keep = (x >= 0) & (x < self.width) & (y >= 0) & (y < self.height)
        size = (self.width, self.height, polarities)
        return rebuilt(events, keep, "crop", sensor_size=size, x=x, y=y)
