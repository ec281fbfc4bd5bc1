"""Clouds of points in 3-D with their centres and groups, standing still or turning."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import integer
from ..errors import require
from ..files import write_atomically
from .style import ALERT, GREY, PALETTE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["point_groups", "turn"]

_MAX_FRAMES, _MAX_CLOUDS, _COLOURS = 300, 8, 64


def point_groups(
    clouds: Any,
    *,
    groups: int = 64,
    k: int = 24,
    shown: int = 4,
    titles: Sequence[str] | None = None,
    azimuth: float = -60.0,
) -> Axes:
    """What a network on points sees of each cloud: its points, the centres, and a few groups.

    Centres are farthest points (:func:`snnkit.points.farthest_points`), a group is the k points nearest to
    its centre. The third coordinate, t of events, runs into the picture; the second one down.

    Args:
        clouds: ``[B, N, 3+]``, at most 8, drawn side by side.
        groups: number of centres. k: size of a group. shown: groups drawn in colour, spread over the centres.
        titles: one for each cloud. azimuth: from where one looks, in degrees.

    Returns:
        the first Axes, to :func:`save` its figure.

    Raises:
        ShapeError: no clouds. NumericsError: NaN or Inf. ConfigError: a setting out of range.
    """
    figure = _figure(clouds, groups, k, shown, titles)
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
    titles: Sequence[str] | None = None,
    frames: int = 40,
    milliseconds: int = 80,
) -> Path:
    """Write :func:`point_groups` as an animated GIF that turns once around.

    The file appears whole or not at all.

    Args:
        clouds, groups, k, shown, titles: as in :func:`point_groups`. path: of the file.
        frames: of a turn, 1..300. milliseconds: for which each is shown, >= 20.

    Raises: as :func:`point_groups`.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    integer("plot.turn.frames", frames, 1, _MAX_FRAMES)
    integer("plot.turn.milliseconds", milliseconds, 20, 60_000)
    figure, pages = _figure(clouds, groups, k, shown, titles), []
    try:
        for i in range(frames):
            for ax in figure.axes:
                ax.view_init(elev=20, azim=-60 + 360 * i / frames)
            page = io.BytesIO()
            figure.savefig(page, format="png", dpi=72)
            pages.append(Image.open(page).convert("RGB"))
    finally:
        plt.close(figure)
    # one palette of all, so that a group keeps its colour and only what turns is stored
    palette = _side_by_side(pages[:: max(1, len(pages) // 4)]).quantize(_COLOURS, Image.Quantize.MAXCOVERAGE)
    pictures = [page.quantize(palette=palette, dither=Image.Dither.NONE) for page in pages]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "GIF", save_all=True, append_images=pictures[1:], duration=milliseconds, loop=0, disposal=1
    )
    write_atomically(path, buffer.getvalue())
    return Path(path)


def _side_by_side(pages: Sequence[Any]) -> Any:
    from PIL import Image

    width, height = pages[0].size
    whole = Image.new("RGB", (width * len(pages), height))
    for i, page in enumerate(pages):
        whole.paste(page, (i * width, 0))
    return whole


def _figure(clouds: Any, groups: int, k: int, shown: int, titles: Sequence[str] | None) -> Any:
    import matplotlib.pyplot as plt

    from ..points import as_cloud, farthest_points, group_points

    clouds = as_cloud(clouds, "plot.point_groups")[..., :3]
    integer("plot.point_groups: clouds", len(clouds), 1, _MAX_CLOUDS)
    integer("plot.point_groups: coordinates", clouds.shape[2], 3)
    integer("plot.point_groups.shown", shown, 0, len(PALETTE))
    wanted = f"one for each of {len(clouds)} clouds"
    require(titles is None or len(titles) == len(clouds), "plot.point_groups.titles", titles, wanted)
    made = group_points(clouds, farthest_points(clouds, groups), k)
    low, high = clouds.amin((0, 1)), clouds.amax((0, 1))
    with style():
        # fixed margins: a layout made anew for every picture would make a turning cloud tremble
        figure = plt.figure(figsize=(4.2 * len(clouds), 4.0))
        figure.subplots_adjust(left=0.03 / len(clouds), right=0.95, bottom=0.1, top=0.98, wspace=0.1)
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
            ax.set_ylabel("z (events: t)")
            ax.set_zlabel("y")
            ax.set_title(titles[i] if titles else "", fontsize=9, y=0.97)
            for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
                axis.set_pane_color("white")
            ax.tick_params(labelsize=7)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
    return figure


def _dots(ax: Any, points: Any, **how: Any) -> None:
    x, y, z = points.numpy().T
    ax.scatter(x, z, y, depthshade=False, **how)
