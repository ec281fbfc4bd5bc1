"""Event frames, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, ShapeError, require
from .style import GREY, INK, OFF, ON, legend, new_axes, to_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["brightness", "colours", "frames"]


def frames(events: Any, *, max_frames: int = 8, ax: Axes | None = None) -> Axes:
    """A strip of event frames; colour is polarity, saturation the count.

    Args:
        events: counts ``[T, P, H, W]``; P = 2: OFF, ON; P = 1: one colour.
        max_frames: if T is larger, that many evenly spaced steps are shown.
        ax: where to draw; None: a new figure.

    The darkest colour stands for the 99th percentile of the nonzero counts, so that one hot pixel does
    not bleach the rest.

    Raises:
        InputTypeError, ShapeError: not such an array. ConfigError: negative or non-finite counts.
    """
    from matplotlib.patches import Patch, Rectangle

    x = to_array(events, "frames", ndim=(4, 4), axes="[T, P, H, W]")
    if x.shape[1] > 2:
        raise ShapeError(f"plot.frames: got {x.shape[1]} polarities in {x.shape}, expected P = 1 or 2.")
    if not np.isfinite(x).all() or x.min() < 0:
        raise ConfigError("plot.frames: got negative or non-finite values, expected event counts >= 0.")
    ok = isinstance(max_frames, int) and max_frames > 0
    require(ok, "plot.frames.max_frames", max_frames, "an int > 0")
    steps, polarities, height, width = x.shape
    shown = np.unique(np.linspace(0, steps - 1, min(steps, max_frames)).round().astype(int))
    counts = x[shown]

    gap = max(1, round(0.06 * width))
    strip = np.ones((height, len(shown) * (width + gap) - gap, 3))
    centres = []
    for i, frame in enumerate(colours(brightness(counts), polarities)):
        left = i * (width + gap)
        strip[:, left : left + width] = frame
        centres.append(left + (width - 1) / 2)

    side = min(2.0, max(1.0, 10 / len(shown)))  # inches of one frame
    ax = new_axes(ax, side * len(shown) + 0.2, side * height / width + (0.8 if polarities == 2 else 0.55))
    ax.imshow(strip, interpolation="nearest")
    for centre in centres:
        corner = (centre - width / 2, -0.5)
        ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=GREY, linewidth=0.6))
    ax.set_xticks(centres, [str(t) for t in shown])
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("time (steps)")
    if polarities == 2:
        legend(ax, [Patch(color=ON), Patch(color=OFF)], ["ON", "OFF"], columns=2)
    return ax


def brightness(counts: np.ndarray) -> np.ndarray:
    """Counts -> [0, 1]; full at their 99th percentile, and a single event is seen."""
    full = np.percentile(counts[counts > 0], 99) if counts.any() else 1.0
    return np.where(counts > 0, 0.15 + 0.85 * np.clip(counts / full, 0, 1), 0)


def colours(level: np.ndarray, polarities: int) -> np.ndarray:
    """``[T, P, H, W]`` in [0, 1] -> RGB ``[T, H, W, 3]``: white takes on the colour of each polarity."""
    from matplotlib.colors import to_rgb

    inks = (OFF, ON) if polarities == 2 else (INK,)
    rgb = np.ones((level.shape[0], *level.shape[2:], 3))
    for channel, ink in enumerate(inks):
        rgb -= level[:, channel, ..., None] * (1 - np.array(to_rgb(ink)))
    return rgb.clip(0, 1)
