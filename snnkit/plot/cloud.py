"""Events as points in space and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputTypeError, require
from .style import GREY, INK, OFF, ON, legend, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cloud", "event_raster", "need_events"]

_SLANT = (0.32, 0.22)  # how far the x axis of the sensor leans into the picture


def cloud(events: Any, *, max_events: int = 20_000, ax: Axes | None = None) -> Axes:
    """A recording as a cloud over (t, x, y), drawn in a slanted parallel projection; colour is polarity.

    Time runs to the right, y down, x into the picture. The box is recording interval times sensor.

    Args:
        events: ``Events``. max_events: of more, every n-th is drawn.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError: not Events. ConfigError: max_events < 1.
    """
    from matplotlib.ticker import MaxNLocator

    _check(events, "cloud", max_events)
    ax = new_axes(ax, 6.4, 3.6)
    width, height, polarities = events.sensor_size
    start, end = events.t_span
    length = max(end - start, 1)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])  # of the sensor, and back
    for when in (0.0, 1.0):
        ax.plot(*_project(np.full(5, when), *corners.T), color=GREY, linewidth=0.6, zorder=0)
    for corner in corners[:4]:
        ax.plot(
            *_project(np.array([0.0, 1.0]), *np.tile(corner, (2, 1)).T), color=GREY, linewidth=0.6, zorder=0
        )
    shown = slice(None, None, max(1, -(-len(events) // max_events)))
    t, x, y = (events.t[shown] - start) / length, events.x[shown] / width, events.y[shown] / height
    _dots(ax, *_project(t, x, y), events.p[shown], polarities)
    marks = [m for m in MaxNLocator(6).tick_values(start / 1000, end / 1000) if start <= 1000 * m <= end]
    ax.set_xticks([_project((1000 * m - start) / length, 0, 1)[0] for m in marks], [f"{m:g}" for m in marks])
    ax.set_yticks([])
    ax.set_xlabel("time (ms)")
    ax.spines[:].set_visible(False)
    note: dict[str, Any] = {"textcoords": "offset points", "color": GREY, "fontsize": 9}
    ax.annotate(f"x 0..{width - 1}", _project(1.0, 0.5, 1.0), (6, -9), **note)
    y_axis = _project(0.0, 0.0, 0.5)
    ax.annotate(f"y 0..{height - 1}", y_axis, (-4, 0), rotation=90, ha="right", va="center", **note)
    return ax


def event_raster(events: Any, *, max_events: int = 100_000, ax: Axes | None = None) -> Axes:
    """Address over time: y of the sensor, or the unit of a 1-D sensor, one dot per event.

    Args:
        events: ``Events``. max_events: of more, every n-th is drawn.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError: not Events. ConfigError: max_events < 1.
    """
    _check(events, "event_raster", max_events)
    ax = new_axes(ax, 6.4, 2.8)
    width, height, polarities = events.sensor_size
    shown = slice(None, None, max(1, -(-len(events) // max_events)))
    address = (events.x if height == 1 else events.y)[shown]
    _dots(ax, events.t[shown] / 1000, address, events.p[shown], polarities)
    start, end = events.t_span
    ax.set_xlim(start / 1000, max(end, start + 1) / 1000)
    ax.set_xlabel("time (ms)")
    if height == 1:
        ax.set_ylim(-0.5, width - 0.5)
        ax.set_ylabel("unit")
    else:
        ax.set_ylim(height - 0.5, -0.5)
        ax.set_ylabel("y (pixel)")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _project(t: Any, x: Any, y: Any) -> tuple[Any, Any]:
    return t + _SLANT[0] * (x - 0.5), -y + _SLANT[1] * x


def _dots(ax: Axes, across: np.ndarray, up: np.ndarray, p: np.ndarray, polarities: int) -> None:
    """One dot per event, the smaller the more there are; pixels even in vector files."""
    from matplotlib.patches import Patch

    size = float(np.clip(6000 / max(len(p), 1), 0.3, 6))
    inks = ((ON, 1), (OFF, 0)) if polarities == 2 else ((INK, 0),)
    for ink, value in inks:
        dots: dict[str, Any] = {"s": size, "color": ink, "linewidths": 0, "alpha": 0.6, "rasterized": True}
        ax.scatter(across[p == value], up[p == value], **dots)
    if polarities == 2:
        legend(ax, [Patch(color=ON), Patch(color=OFF)], ["ON", "OFF"], columns=2)


def need_events(events: Any, where: str) -> None:
    """Refuse anything but Events; torch, which comes with them, is imported here and not before."""
    from ..data import Events

    if not isinstance(events, Events):
        raise InputTypeError(f"plot.{where}: got {type(events).__name__}, expected snnkit.data.Events.")


def _check(events: Any, where: str, max_events: int) -> None:
    need_events(events, where)
    ok = isinstance(max_events, int) and max_events > 0
    require(ok, f"plot.{where}.max_events", max_events, "an int > 0")
