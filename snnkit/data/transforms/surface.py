r"""Time surface: how long ago every pixel fired.

::

    S[p, y, x](t) = exp(-(t - t_last[p, y, x]) / tau)       0 where the pixel has not fired yet

Source: Lagorce et al. 2017, "HOTS: a hierarchy of event-based time-surfaces for pattern recognition",
equation 2, here for all pixels at once at the end of each of T equal bins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...checks import number
from ..events import Events
from ..frames import Framing
from ..limits import LIMITS
from .base import recording

__all__ = ["TimeSurface"]


@dataclass(frozen=True)
class TimeSurface:
    """Surfaces at the ends of T equal bins; the equation is on top of this file.

    Args:
        T: number of bins, >= 1.
        tau_us: time constant in µs, > 0.
        span: bins cover the "recording" interval or that from first to last of the "events".

    Returns:
        ``[T, P, H, W]`` float32, values in [0, 1].

    Raises:
        ConfigError: a setting out of range. InputTypeError: not Events. LimitError: too many cells.
    """

    T: int
    tau_us: float
    span: Literal["recording", "events"] = "recording"

    def __post_init__(self) -> None:
        Framing(T=self.T, span=self.span)
        number("TimeSurface.tau_us", self.tau_us, above=0)

    def __call__(self, events: Events) -> Tensor:
        """See the class."""
        recording(events, "TimeSurface")
        width, height, polarities = events.sensor_size
        area = polarities * height * width
        LIMITS.check("frame_cells", self.T * area, "TimeSurface: T*P*H*W")
        cuts, (start, length) = Framing(T=self.T, span=self.span).edges(events)
        cell = (events.p.astype(np.int64) * height + events.y) * width + events.x
        last = np.zeros(area, np.int64)
        fired = np.zeros(area, bool)
        surfaces = np.zeros((self.T, area), np.float32)
        for k in range(self.T):
            # of equal indices an assignment keeps the last, which is the latest
            new = slice(int(cuts[k]), int(cuts[k + 1]))
            last[cell[new]] = events.t[new]
            fired[cell[new]] = True
            whole, rest = divmod(length, self.T)
            age = (start - last[fired]) + (k + 1) * whole + (k + 1) * rest / self.T
            surfaces[k, fired] = np.exp(-np.maximum(age, 0) / self.tau_us)
        return torch.from_numpy(surfaces).view(self.T, polarities, height, width)
