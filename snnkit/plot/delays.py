"""Delays: how long they are, and what a layer does with an input over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import require
from .style import INK, clean, color, legend, need_rows, new_axes, to_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["delay_histogram", "delay_kernels"]


def delay_histogram(
    delays: Mapping[str, Any], max_delay: int, *, dt_ms: float | None = None, ax: Axes | None = None
) -> Axes:
    """Share of connections by their delay in whole steps, one outline per name.

    Args:
        delays: name -> delays in steps, of any shape, as ``{"before": d0, "after": layer.delay}``.
        max_delay: largest delay in steps, the right end of the axis.
        dt_ms: length of a step, to show milliseconds; None: steps.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError: not a dict of numbers. ConfigError: no entry, or a delay outside of [0, max_delay].
    """
    need_rows(delays, "delay_histogram", "name -> delays")
    ax = new_axes(ax, 5.0, 2.8)
    scale = 1.0 if dt_ms is None else dt_ms
    edges = (np.arange(max_delay + 2) - 0.5) * scale
    for i, (name, values) in enumerate(delays.items()):
        steps = np.round(
            to_array(values, f"delay_histogram[{name!r}]", ndim=(0, 8), axes="of delays")
        ).ravel()
        inside = bool(((steps >= 0) & (steps <= max_delay)).all())
        require(inside, f"plot.delay_histogram[{name!r}]", steps[:4].tolist(), f"delays in [0, {max_delay}]")
        share = 100 * np.bincount(steps.astype(int), minlength=max_delay + 1) / len(steps)
        look: dict[str, Any] = {"alpha": 1.0} if i else {"alpha": 0.4, "fill": True}
        ax.stairs(share, edges, label=name, color=color(i), linewidth=1.5, **look)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(bottom=0)
    ax.set_xlabel("delay (steps)" if dt_ms is None else "delay (ms)")
    ax.set_ylabel("connections (%)")
    clean(ax)
    legend(ax, columns=len(delays))
    return ax


def delay_kernels(kernel: Any, *, output: int = 0, ax: Axes | None = None) -> Axes:
    """Weights of one output over inputs and lags: blue excites, red inhibits.

    Args:
        kernel: ``[out, in, D + 1]``, as :meth:`DelayLinear.kernel` returns it. output: which output.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError: not numbers. ShapeError: another rank. ConfigError: no such output.
    """
    values = to_array(kernel, "delay_kernels", ndim=(3, 3), axes="[out, in, lags]")
    require(0 <= output < len(values), "plot.delay_kernels.output", output, f"an int in [0, {len(values)})")
    ax = new_axes(ax, 5.0, 3.0)
    far = float(np.abs(values[output]).max()) or 1.0
    look: dict[str, Any] = {"cmap": "RdBu", "vmin": -far, "vmax": far, "origin": "lower"}
    image = ax.imshow(values[output], aspect="auto", interpolation="nearest", **look)
    ax.set_xlabel("lag (steps)")
    ax.set_ylabel("input")
    ax.set_title(f"output {output}", color=INK, loc="left")
    ax.figure.colorbar(image, ax=ax, label="weight")
    return ax
