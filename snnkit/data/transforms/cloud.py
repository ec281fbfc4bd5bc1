"""Event clouds: windows of a recording as points in space and time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ...checks import flag, integer
from ..events import Events
from ..limits import LIMITS
from .base import recording

__all__ = ["EventCloud", "windows"]


def windows(
    events: Events, window_us: int, *, stride_us: int | None = None, min_events: int = 1
) -> list[Events]:
    """Parts ``[start + k stride, start + k stride + window)`` of the recording interval.

    The last one ends where the recording ends or before; a recording shorter than a window is one window.
    Parts with fewer than ``min_events`` events are left out, never padded.

    Args:
        events: one recording.
        window_us: length of a window, > 0. stride_us: from one to the next, > 0; None: half a window.
        min_events: see above.

    Raises:
        InputTypeError: not Events. ConfigError: a setting out of range.
        LimitError: more windows than ``LIMITS.events``.
    """
    recording(events, "windows")
    integer("windows.window_us", window_us)
    stride = max(window_us // 2, 1) if stride_us is None else integer("windows.stride_us", stride_us)
    integer("windows.min_events", min_events, 0)
    start, end = events.t_span
    number = max(0, end - start - window_us) // stride + 1
    LIMITS.check("events", number, "windows: number of windows")
    parts = (events.slice_time(start + k * stride, start + k * stride + window_us) for k in range(number))
    return [part for part in parts if len(part) >= min_events]


@dataclass(frozen=True)
class EventCloud:
    """Events as ``[points, 3]`` or ``[points, 4]`` float32: x, y, t, each in [0, 1], and polarity.

    ``x/(W-1), y/(H-1), (t - t_first)/(t_last - t_first)``, 0 where the divisor is 0. Points are drawn without
    replacement; of a recording with fewer events all are taken, and the rest is drawn from them again. They
    are in order of time.

    Args:
        points: number of points, >= 1. polarity: append -1 (OFF) or +1 (ON).

    Raises:
        ConfigError: a setting out of range, or a recording without events. InputTypeError: not Events.

    Times are subtracted as integers before they become float32, which has 24 bits.
    """

    points: int = 1024
    polarity: bool = False
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        integer("EventCloud.points", self.points)
        flag("EventCloud.polarity", self.polarity)
        LIMITS.check("frame_cells", 4 * self.points, "EventCloud: points*4")

    def __call__(self, events: Events, generator: torch.Generator | None = None) -> Tensor:
        """See the class; ``generator`` on the CPU, None: torch's global one."""
        n = len(recording(events, "EventCloud"))
        integer("EventCloud: number of events", n, 1, hint="Leave such windows out: windows(min_events=...).")
        chosen = torch.randperm(n, generator=generator)[: self.points]
        if n < self.points:
            chosen = torch.cat([chosen, torch.randint(n, (self.points - n,), generator=generator)])
        index = chosen.sort().values.numpy()
        width, height, polarities = events.sensor_size
        t = events.t - events.t[0]
        columns = [events.x / max(width - 1, 1), events.y / max(height - 1, 1), t / max(int(t[-1]), 1)]
        if self.polarity:
            columns.append(events.p * 2.0 - 1 if polarities == 2 else np.ones(n))
        return torch.from_numpy(np.stack([c[index] for c in columns], 1).astype(np.float32))
