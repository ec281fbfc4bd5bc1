r"""A small event-camera simulator for moving images.

After ESIM (Rebecq et al., CoRL 2018) and v2e (arXiv 2006.07722), with the camera motion of N-MNIST (Orchard
et al. 2015): log intensity ``L = ln(f + (1 - f) I)``, a floor f in place of v2e's lin-log map; a pixel
emits ``floor(|L - L_ref| / C)`` events of the sign of the change per step, the j-th at the linearly
interpolated time at which L crosses ``L_ref +- j C``; then ``L_ref`` moves by as many thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Saccades", "interpolation", "simulate"]


@dataclass(frozen=True)
class Saccades:
    """Motion of the image: straight moves of equal duration with bell-shaped speed.

    Attributes:
        corners: positions (dx, dy) in pixels at the ends of the moves.
        move_ms: duration of one move.
    """

    corners: tuple[tuple[float, float], ...]
    move_ms: float = 105.0

    @property
    def duration_ms(self) -> float:
        """Length of the recording."""
        return self.move_ms * (len(self.corners) - 1)

    def position(self, t_ms: float) -> tuple[float, float]:
        """Shift at time t; within a move ``e(s) = (1 - cos(pi s)) / 2``."""
        move = min(int(t_ms // self.move_ms), len(self.corners) - 2)
        e = 0.5 - 0.5 * np.cos(np.pi * (t_ms / self.move_ms - move))
        (x0, y0), (x1, y1) = self.corners[move], self.corners[move + 1]
        return x0 + (x1 - x0) * e, y0 + (y1 - y0) * e


def interpolation(size: int, source: int, scale: float, shift: float) -> np.ndarray:
    """Matrix ``[size, source]`` that samples a line of pixels, enlarged and shifted, at pixel centres.

    Linear interpolation with half-pixel centres, zero outside.
    """
    where = (np.arange(size) + 0.5 - shift) / scale - 0.5
    left = np.floor(where).astype(int)
    weights = np.zeros((size, source))
    for index, weight in ((left, 1 - (where - left)), (left + 1, where - left)):
        inside = (index >= 0) & (index < source)
        weights[np.flatnonzero(inside), index[inside]] += weight[inside]
    return weights


def simulate(
    images: np.ndarray,
    *,
    size: int,
    scale: float,
    margin: float,
    motion: Saccades,
    dt_ms: float,
    floor: float,
    on_threshold: np.ndarray,
    off_threshold: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Events of many moving images at once.

    Args:
        images: ``[N, h, w]`` intensities in [0, 1].
        size: sensor width and height. scale: enlargement. margin: position of the image's corner.
        motion: of the image. dt_ms: step of the simulation. floor: f in the equation above.
        on_threshold, off_threshold: C per pixel ``[size, size]``.

    Returns:
        ``(sample, t, x, y, p)``: int64 arrays sorted by sample, then stably by t in microseconds.
    """
    n, h, w = images.shape

    def log_intensity(t_ms: float) -> np.ndarray:
        dx, dy = motion.position(t_ms)
        rows = interpolation(size, h, scale, margin + dy)
        columns = interpolation(size, w, scale, margin + dx)
        return np.log(floor + (1 - floor) * (rows @ images @ columns.T))

    parts: list[tuple[np.ndarray, ...]] = []
    before = reference = log_intensity(0.0)
    steps = round(motion.duration_ms / dt_ms)
    for step in range(1, steps + 1):
        now = log_intensity(step * dt_ms)
        for sign, threshold, p in ((1, on_threshold, 1), (-1, off_threshold, 0)):
            number = np.floor(np.maximum(sign * (now - reference), 0) / threshold).astype(np.int64)
            sample, y, x = np.nonzero(number)
            count = number[sample, y, x]
            if not len(sample):
                continue
            # the j-th event, j = 1..count, of every pixel that fires
            owner = np.repeat(np.arange(len(sample)), count)
            j = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count) + 1
            s, row, column = sample[owner], y[owner], x[owner]
            start = before[s, row, column]
            change = now[s, row, column] - start
            level = reference[s, row, column] + sign * j * threshold[row, column]
            share = np.clip((level - start) / np.where(change == 0, 1, change), 0, 1)
            t = np.rint((step - 1 + share) * dt_ms * 1000).astype(np.int64)
            parts.append((s, t, column, row, np.full(len(s), p)))
            reference = reference + sign * number * threshold
        before = now
    if not parts:
        return tuple(np.zeros(0, np.int64) for _ in range(5))
    s, t, x, y, p = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((t, s))  # stable
    return s[order], t[order], x[order], y[order], p[order]
