"""Energy per inference: by layer, and of one network against another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .style import PALETTE, clean, color, legend, need_rows, new_axes, note, to_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["energy_breakdown", "energy_comparison"]

Terms = Mapping[str, Mapping[str, Any]]
_UNITS = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


def energy_breakdown(layers: Terms, *, ax: Axes | None = None) -> Axes:
    """Energy of every layer, stacked by term; layers from top to bottom, totals at the bars.

    Args:
        layers: layer name -> term ("synaptic", "neuron", "memory", ...) -> energy per inference in pJ.
        ax: where to draw; None: a new figure whose height follows the number of layers.

    The axis is in the largest unit (pJ, nJ, µJ, mJ, J) that keeps the longest bar >= 1.

    Raises:
        InputTypeError: not dicts of numbers. ConfigError: empty, or a negative or non-finite energy.
    """
    return _stacked(layers, "energy_breakdown", "layer -> term -> pJ", 0.26, False, ax)


def energy_comparison(networks: Terms, *, ax: Axes | None = None) -> Axes:
    """Energy per inference of a few networks, stacked by term; each total also relative to the first.

    Args:
        networks: name ("SNN", "ANN", "quantised ANN") -> term -> energy per inference in pJ.
        ax: where to draw; None: a new figure.

    Raises:
        as :func:`energy_breakdown`.
    """
    return _stacked(networks, "energy_comparison", "name -> term -> pJ", 0.42, True, ax)


def _stacked(bars: Terms, where: str, what: str, row_height: float, relative: bool, ax: Axes | None) -> Axes:
    need_rows(bars, where, what)
    terms: list[str] = []
    for name, parts in bars.items():
        need_rows(parts, f"{where}[{name!r}]", "term -> pJ")
        terms += [term for term in parts if term not in terms]
    picojoules = np.array(
        [
            [to_number(parts.get(term, 0.0), f"{where}[{name!r}][{term!r}]") for term in terms]
            for name, parts in bars.items()
        ]
    )
    totals = picojoules.sum(1)
    scale, unit = _unit(totals.max())

    ax = new_axes(ax, 6.4, 1.25 + row_height * len(bars))
    rows = np.arange(len(bars))
    left = np.zeros(len(bars))
    for i, term in enumerate(terms):
        width = picojoules[:, i] / scale
        hatch = "////" if i >= len(PALETTE) else None  # colours start again
        ax.barh(
            rows,
            width,
            left=left,
            height=0.66,
            color=color(i),
            hatch=hatch,
            edgecolor="white",
            linewidth=0.5,
            label=term,
        )
        left += width
    for row, total in enumerate(totals):
        text = f"{total / scale:.3g}"
        if relative and row > 0 and totals[0] > 0:
            text += f"  ({total / totals[0]:.3g}×)"
        note(ax, text, (total / scale, row))
    ax.set_yticks(rows, list(bars))
    ax.set_ylim(len(bars) - 0.4, -0.6)
    ax.set_xlim(0, (totals.max() / scale or 1.0) * (1.25 if relative else 1.12))
    against = f", × relative to {next(iter(bars))}" if relative and len(bars) > 1 else ""
    ax.set_xlabel(f"energy per inference ({unit}){against}")
    legend(ax, columns=min(len(terms), 4))
    clean(ax, row_ticks=False)
    return ax


def _unit(picojoules: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in _UNITS if picojoules >= scale), (1.0, "pJ"))
