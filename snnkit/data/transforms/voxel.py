r"""Voxel grid: polarity spread linearly over the two nearest time bins.

::

    s_i = (T - 1) (t_i - t_0) / (t_n - t_0)
    V[b, y, x] = sum_i pol_i max(0, 1 - |b - s_i|)        pol = +1 for ON, -1 for OFF

The two weights of an event add up to 1, so the sum over V is the sum of polarities. (Scaling by T in place
of T - 1, as some code does, loses the part of the last events that would fall into bin T.)

Source: Zhu, Yuan, Chaney, Daniilidis 2019, "Unsupervised event-based learning of optical flow, depth and
egomotion", equations 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...checks import choice, integer
from ..events import Events
from ..limits import LIMITS
from .base import recording

__all__ = ["VoxelGrid"]


@dataclass(frozen=True)
class VoxelGrid:
    """The equations are on top of this file; call it on ``Events``.

    Args:
        T: number of bins, >= 1.
        span: t_0 and t_n are the first and last of the "events", as published, or the ends of the
            "recording" interval, the same for every recording of a data set.
        dtype: torch.float32 or torch.float64; the sum is taken in float64 in either case.

    Returns:
        ``[T, 1, H, W]``. Simultaneous events are all in bin 0; no events give zeros; a sensor without
        polarity counts as ON.

    Raises:
        ConfigError: a setting out of range. InputTypeError: not Events. LimitError: too many cells.

    Example:
        >>> events = Events([0, 25, 50, 100], [0, 1, 0, 1], [0] * 4, [1, 0, 1, 1], (2, 1, 2))
        >>> VoxelGrid(T=3)(events).view(3, 2).tolist()
        [[1.0, -0.5], [1.0, -0.5], [0.0, 1.0]]
    """

    T: int
    span: Literal["events", "recording"] = "events"
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        integer("VoxelGrid.T", self.T)
        choice("VoxelGrid.span", self.span, ("events", "recording"))
        choice("VoxelGrid.dtype", str(self.dtype), ("torch.float32", "torch.float64"))

    def __call__(self, events: Events) -> Tensor:
        """See the class."""
        recording(events, "VoxelGrid")
        width, height, polarities = events.sensor_size
        area = width * height
        LIMITS.check("frame_cells", self.T * area, "VoxelGrid: T*H*W")
        n = len(events)
        start, end = events.t_span
        if self.span == "events" and n:
            start, end = int(events.t[0]), int(events.t[-1])
        place = (self.T - 1) * ((events.t - start) / max(end - start, 1))
        low = np.minimum(place.astype(np.int64), self.T - 1)
        share = place - low  # of the later bin; 0 in the last one
        sign = events.p * 2.0 - 1 if polarities == 2 else np.ones(n)
        cell = low * area + events.y.astype(np.int64) * width + events.x
        after = sign * share
        grid = np.bincount(cell, sign - after, minlength=(self.T + 1) * area)
        grid[area:] += np.bincount(cell, after, minlength=self.T * area)  # what would be behind the end is 0
        return torch.from_numpy(grid[: self.T * area]).to(self.dtype).view(self.T, 1, height, width)
