"""Clouds of points in 3-D with their centres and groups, standing still or turning."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import integer
from ..files import write_atomically
from .style import ALERT, GREY, PALETTE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["point_groups", "turn"]

_MAX_FRAMES, _MAX_CLOUDS = 300, 8


def point_groups(
    clouds: Any, *, groups: int = 64, k: int = 24, shown: int = 4, azimuth: float = -60.0
) -> Axes:
    """What a network on points sees of each cloud: its points, the centres, and a few groups.

    Centres are farthest points (:func:`snnkit.points.farthest_points`), a group is the k points nearest to
    its centre. The third coordinate, time of events, runs into the picture; the second one down.

    Args:
        clouds: ``[B, N, 3+]``, at most 8, drawn side by side.
        groups: number of centres. k: size of a group. shown: groups drawn in colour, spread over the centres.
        azimuth: from where one looks, in degrees.

    Returns:
        the first Axes, to :func:`save` its figure.

    Raises:
        ShapeError: no clouds. NumericsError: NaN or Inf. ConfigError: a setting out of range.
    """
    figure = _figure(clouds, groups, k, shown)
    for ax in figure.axes:
        ax.view_init(elev=20, azim=azimuth)
    return figure.axes[0]


def turn(
    clouds: Any,
    path: str | os.PathLike[str],
    *,
    groups: int = 64,
    k: int = 24,
    shown: int = 4,
    frames: int = 40,
    milliseconds: int = 80,
) -> Path:
    """Write :func:`point_groups` as an animated GIF that turns once around.

    The file appears whole or not at all.

    Args:
        clouds, groups, k, shown: as in :func:`point_groups`. path: of the file.
        frames: of a turn, 1..300. milliseconds: for which each is shown, >= 20.

    Raises: as :func:`point_groups`.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    integer("plot.turn.frames", frames, 1, _MAX_FRAMES)
    integer("plot.turn.milliseconds", milliseconds, 20, 60_000)
    figure, pictures = _figure(clouds, groups, k, shown), []
    try:
        for i in range(frames):
            for ax in figure.axes:
                ax.view_init(elev=20, azim=-60 + 360 * i / frames)
            page = io.BytesIO()
            figure.savefig(page, format="png", dpi=72)
            pictures.append(Image.open(page).convert("RGB").quantize(64))
    finally:
        plt.close(figure)
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, disposal=1
    )
    write_atomically(path, buffer.getvalue())
    return Path(path)


def _figure(clouds: Any, groups: int, k: int, shown: int) -> Any:
    import matplotlib.pyplot as plt

    from ..points import as_cloud, farthest_points, group_points

    clouds = as_cloud(clouds, "plot.point_groups")[..., :3]
    integer("plot.point_groups: clouds", len(clouds), 1, _MAX_CLOUDS)
    integer("plot.point_groups: coordinates", clouds.shape[2], 3)
    integer("plot.point_groups.shown", shown, 0, len(PALETTE))
    made = group_points(clouds, farthest_points(clouds, groups), k)
    low, high = clouds.amin((0, 1)), clouds.amax((0, 1))
    with style():
        figure = plt.figure(figsize=(4.2 * len(clouds), 4.2), layout="constrained")
        for i, cloud in enumerate(clouds):
            ax: Any = figure.add_subplot(1, len(clouds), i + 1, projection="3d")
            _dots(ax, cloud, s=2, color=GREY, alpha=0.35, label="points")
            _dots(ax, made.centre[i], s=12, color=ALERT, marker="x", linewidths=0.8, label="centres")
            for n, g in enumerate(np.linspace(0, groups - 1, min(shown, groups)).astype(int)):
                _dots(ax, cloud[made.neighbours[i, g]], s=14, color=PALETTE[n], label=f"group {g}")
            # x across, t into the picture, y down
            ax.set_xlim(float(low[0]), float(high[0]))
            ax.set_ylim(float(low[2]), float(high[2]))
            ax.set_zlim(float(high[1]), float(low[1]))
            ax.set_xlabel("x")
            ax.set_ylabel("t or z")
            ax.set_zlabel("y")
            ax.tick_params(labelsize=7)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _dots(ax: Any, points: Any, **how: Any) -> None:
    x, y, z = points.numpy().T
    ax.scatter(x, z, y, depthshade=False, **how)
