r"""A still image in front of a moving camera, as N-MNIST was recorded.

Three moves of 105 ms along (0, 0) -> (a/2, a) -> (a, 0) -> (0, 0) pixels, position within a move
e(s) = 1/2 - 1/2 cos(pi s), s in [0, 1]: a bell-shaped speed. The image, enlarged ``up`` times, has its
corner at (margin + dx, margin + dy) and is sampled bilinearly: half-pixel centres, dark outside.

Source: Orchard et al. 2015, "Converting static image datasets to spiking neuromorphic datasets using
saccades" (the path); the bell is inferred from the event rate of its recordings.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DURATION_US", "MOVE_US", "Saccades"]

MOVE_US = 105_000
DURATION_US = 3 * MOVE_US


@dataclass(frozen=True)
class Saccades:
    """Scene ``time in µs -> intensity [N, size, size]`` of the images ``[N, h, w]``, intensity in [0, 1].

    Args:
        images: what is seen. size: side of the sensor.
        up: enlargement. margin, travel: distance from the rim and amplitude a, in sensor pixels.
    """

    images: NDArray[np.float64]
    size: int
    up: int
    margin: float
    travel: float

    def __call__(self, t_us: int) -> NDArray[np.float64]:
        """Intensity at time 0 <= t_us <= DURATION_US."""
        dx, dy = self.position(t_us)
        _, height, width = self.images.shape
        rows, share = self._taps(dy, height)
        framed = np.pad(self.images, ((0, 0), (1, 1), (1, 1)))  # index 0 and -1: dark
        seen = framed[:, rows[0]] * (1 - share)[:, None] + framed[:, rows[1]] * share[:, None]
        columns, share = self._taps(dx, width)
        return seen[:, :, columns[0]] * (1 - share) + seen[:, :, columns[1]] * share

    def position(self, t_us: int) -> tuple[float, float]:
        """(dx, dy) in pixels."""
        corners = ((0.0, 0.0), (self.travel / 2, self.travel), (self.travel, 0.0), (0.0, 0.0))
        move = min(t_us // MOVE_US, 2)
        way = 0.5 - 0.5 * math.cos(math.pi * (t_us - move * MOVE_US) / MOVE_US)
        (x0, y0), (x1, y1) = corners[move], corners[move + 1]
        return x0 + way * (x1 - x0), y0 + way * (y1 - y0)

    def _taps(self, shift: float, side: int) -> tuple[tuple[NDArray, NDArray], NDArray]:
        """Per sensor pixel: the two image pixels it lies between, and the share of the second."""
        place = (np.arange(self.size) + 0.5 - self.margin - shift) / self.up - 0.5
        low = np.floor(place)
        first = low.astype(np.int64) + 1  # + 1: the dark rim
        taps = (np.clip(first, 0, side + 1), np.clip(first + 1, 0, side + 1))
        return taps, place - low
