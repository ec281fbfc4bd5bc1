"""Firing rate of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import ALERT, PALETTE, clean, need_rows, new_axes, note, to_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["firing_rates"]


def firing_rates(rates: Mapping[str, Any], *, ax: Axes | None = None) -> Axes:
    """One horizontal bar per layer, in the given order from top to bottom; silent layers are marked.

    Args:
        rates: layer name -> spikes per neuron and step (number or tensor of one element).
        ax: where to draw; None: a new figure whose height follows the number of layers.

    Raises:
        InputTypeError: not a dict of numbers. ConfigError: empty, or a rate that is negative or NaN.
    """
    need_rows(rates, "firing_rates", "layer -> rate")
    names = list(rates)
    values = [to_number(rate, f"firing_rates[{name!r}]") for name, rate in rates.items()]
    ax = new_axes(ax, 6.0, 0.9 + 0.26 * len(names))
    rows = np.arange(len(names))
    ax.barh(rows, values, height=0.66, color=PALETTE[0])
    top = max(values) or 1.0
    for row, value in enumerate(values):
        if value == 0:
            note(ax, "silent", (value, row), color=ALERT, fontweight="bold")
        else:
            note(ax, f"{value:.3g}", (value, row))
    ax.set_yticks(rows, names)
    for label, value in zip(ax.get_yticklabels(), values, strict=True):
        if value == 0:
            label.set(color=ALERT, fontweight="bold")
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, top * 1.12)
    ax.set_xlabel("firing rate (spikes per neuron and step)")
    clean(ax, row_ticks=False)
    return ax
