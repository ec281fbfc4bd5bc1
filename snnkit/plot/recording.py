"""A recording on one page, and as a moving picture."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import integer
from ..files import write_atomically
from .cloud import cloud, event_raster, need_events
from .events import brightness, colours, frames
from .style import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["animate", "overview"]

_SIDE = 256  # pixels that a picture has at least
_MAX_FRAMES = 300


def overview(events: Any, *, title: str = "") -> Axes:
    """Frames, raster and cloud of a recording on a new figure, one above the other.

    A 1-D sensor has no frames and no cloud: only its raster is drawn.

    Returns:
        the first Axes, to :func:`save` its figure.

    Raises:
        InputTypeError: not Events.
    """
    import matplotlib.pyplot as plt

    from ..data import to_frames

    need_events(events, "overview")
    if events.sensor_size[1] == 1:
        ax = event_raster(events)
        ax.figure.suptitle(title, fontsize=10)
        return ax
    width, height, _ = events.sensor_size
    strip = max(1.2, 8.6 / 8 * height / width + 0.7)
    with style():
        figure, axes = plt.subplots(
            3, 1, figsize=(9, strip + 6), layout="constrained", height_ratios=[strip, 2.4, 3.6]
        )
    frames(to_frames(events, T=8), ax=axes[0])
    event_raster(events, ax=axes[1])
    cloud(events, ax=axes[2])
    figure.suptitle(title, fontsize=10)
    return axes[0]


def animate(events: Any, path: str | os.PathLike[str], *, T: int = 40, milliseconds: int = 60) -> Path:
    """Write an animated GIF of the T frames of a recording; colour is polarity, saturation the count.

    Small sensors are enlarged by a whole factor. The file appears whole or not at all.

    Args:
        events: ``Events`` of a 2-D sensor. path: of the file.
        T: number of frames, 1..300. milliseconds: for which each is shown, >= 20.

    Raises:
        InputTypeError: not Events. ConfigError: a setting out of range, or a 1-D sensor.
    """
    from PIL import Image

    from ..data import to_frames

    need_events(events, "animate")
    integer("plot.animate.T", T, 1, _MAX_FRAMES)
    integer("plot.animate.milliseconds", milliseconds, 20, 60_000)
    integer("plot.animate: rows of the sensor", events.sensor_size[1], 2, hint="Draw plot.event_raster.")
    counts = to_frames(events, T=T).numpy().astype(np.float64)
    rgb = (255 * colours(brightness(counts), counts.shape[1])).round().astype(np.uint8)
    factor = max(1, _SIDE // max(rgb.shape[1:3]))
    pictures = [
        Image.fromarray(np.kron(frame, np.ones((factor, factor, 1), np.uint8))).quantize(64) for frame in rgb
    ]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, disposal=1
    )
    write_atomically(path, buffer.getvalue())
    return Path(path)
