"""Spike raster: who fired when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import require
from .style import INK, OFF, clean, legend, new_axes, to_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["raster"]


def raster(spikes: Any, *, sample: int = 0, color: str = INK, ax: Axes | None = None) -> Axes:
    """One row per neuron, one tick per spike.

    Args:
        spikes: ``[T, N]``, or ``[T, B, ...]`` with three or more axes, of which one sample is shown and
            its other axes are flattened. Every value that is not 0 is a spike; negative ones
            (off-spikes) are drawn in a second colour.
        sample: which of the B samples.
        color: of the ticks.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError, ShapeError: not an array of that shape. ConfigError: no such sample.
    """
    s = to_array(spikes, "raster", ndim=(2, 8), axes="[T, N] or [T, B, ...]")
    if s.ndim > 2:
        ok = isinstance(sample, int) and 0 <= sample < s.shape[1]
        require(ok, "plot.raster.sample", sample, f"an int in [0, {s.shape[1] - 1}]")
        s = s[:, sample].reshape(s.shape[0], -1)
    steps, neurons = s.shape
    ax = new_axes(ax, 6.0, min(1.4 + 0.12 * neurons, 4.0))
    height = max(0.4, neurons / 800)  # a tick stays visible among thousands of rows
    width = float(np.clip(200 / steps, 0.6, 2.0 if neurons <= 100 else 3.0))  # points
    signed = (s < 0).any()
    for chosen, ink, label in ((s > 0, color, "on"), (s < 0, OFF, "off"))[: 1 + signed]:
        t, n = np.nonzero(chosen)
        ax.vlines(
            t,
            n - height,
            n + height,
            colors=ink,
            linewidth=width,
            label=label,
            rasterized=len(t) > 20_000,  # keeps vector files small
        )
    if signed:
        legend(ax, columns=2)
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(-0.5 - (height - 0.4), neurons - 0.5 + (height - 0.4))
    ax.set_xlabel("time (steps)")
    ax.set_ylabel("neuron")
    ax.locator_params(axis="both", integer=True)
    clean(ax)
    return ax
