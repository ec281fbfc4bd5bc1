"""Energy per inference: by layer, by time step, and of one network against another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import require
from .style import GREY, PALETTE, clean, color, legend, need_rows, new_axes, note, to_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["energy_breakdown", "energy_comparison", "energy_over_rate", "energy_over_time"]

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


def energy_over_time(steps: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Energy of every time step, stacked by term.

    Args:
        steps: term -> energy of every step of one inference in pJ, all of one length.
        ax: where to draw; None: a new figure.

    Raises:
        as :func:`energy_breakdown`.
    """
    need_rows(steps, "energy_over_time", "term -> pJ of every step")
    values = [[to_number(v, f"energy_over_time[{term!r}]") for v in row] for term, row in steps.items()]
    lengths = sorted({len(row) for row in values})
    require(len(lengths) == 1, "energy_over_time: steps", lengths, "one number of steps for all terms")
    heights = np.array(values)
    scale, unit = _unit(heights.sum(0).max(initial=0.0))
    ax = new_axes(ax, 6.4, 3.4)
    times = np.arange(heights.shape[1])
    bottom = np.zeros(heights.shape[1])
    for i, term in enumerate(steps):
        look: dict[str, Any] = {"color": color(i), "hatch": _hatch(i), "edgecolor": "white", "label": term}
        ax.bar(times, heights[i] / scale, bottom=bottom, **look)
        bottom += heights[i] / scale
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("time step")
    ax.set_ylabel(f"energy per inference ({unit})")
    legend(ax, columns=_columns(steps))
    clean(ax)
    return ax


def energy_over_rate(
    rates: Sequence[float],
    energies: Sequence[float],
    others: Mapping[str, float],
    *,
    marks: Mapping[str, float] | None = None,
    measured: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Energy of a spiking network over its mean firing rate, beside networks that do not depend on it.

    Args:
        rates, energies: points of the curve, pJ per inference.
        others: name -> energy of a network without spikes: a horizontal line; where the curve
            crosses it, a dot, and the rate in the legend.
        marks: name -> rate: a thin vertical line ("traced").
        measured: name -> energy of something else that was measured: a thin horizontal line.
        ax: where to draw; None: a new figure.

    Raises:
        as :func:`energy_breakdown`; ConfigError: lengths that differ, fewer than two points.
    """
    where = "energy_over_rate"
    x = np.array([to_number(r, f"{where}.rates") for r in rates])
    y = np.array([to_number(e, f"{where}.energies") for e in energies])
    require(
        len(x) == len(y) >= 2, f"{where}: rates, energies", (len(x), len(y)), "two or more points of a curve"
    )
    need_rows(others, where, "name -> pJ")
    levels = {name: to_number(pj, f"{where}[{name!r}]") for name, pj in others.items()}
    beside = {name: to_number(pj, f"{where}.measured[{name!r}]") for name, pj in (measured or {}).items()}
    scale, unit = _unit(max(float(y.max()), *levels.values(), *beside.values()))
    ax = new_axes(ax, 6.4, 3.6)
    ax.plot(x, y / scale, color=color(0), label="SNN", linewidth=2)
    for i, (name, pj) in enumerate(levels.items(), 1):
        crossing = np.flatnonzero((y[1:] >= pj) & (y[:-1] < pj))
        for at in crossing[:1]:
            rate = x[at] + (x[at + 1] - x[at]) * (pj - y[at]) / (y[at + 1] - y[at])
            ax.plot([rate], [pj / scale], "o", color=color(i))
            name += f", equal at {rate:.3g}"
        ax.axhline(pj / scale, color=color(i), linestyle="--", label=name)
    for i, (name, pj) in enumerate(beside.items()):
        style = ("-.", (0, (1, 1)), (0, (5, 1)))[i % 3]
        ax.axhline(pj / scale, color=GREY, linewidth=1, linestyle=style, label=name)
    for name, rate in (marks or {}).items():
        rate = to_number(rate, f"{where}.marks[{name!r}]")
        ax.axvline(rate, color=GREY, linewidth=0.8, linestyle=":", label=f"{name}: {rate:.3g}")
    ax.set_xlim(float(x.min()), float(x.max()))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("mean firing rate")
    ax.set_ylabel(f"energy per inference ({unit})")
    legend(ax, columns=2)
    clean(ax)
    return ax


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
        ax.barh(
            rows,
            width,
            left=left,
            height=0.66,
            color=color(i),
            hatch=_hatch(i),
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
    legend(ax, columns=_columns(terms))
    clean(ax, row_ticks=False)
    return ax


def _hatch(index: int) -> str | None:
    """Stripes where the colours start again."""
    return "////" if index >= len(PALETTE) else None


def _columns(labels: Iterable[str]) -> int:
    """As many columns of a legend as fit the width of a figure."""
    widths = [len(label) for label in labels]
    return max(1, min(len(widths), 4, 84 // (max(widths) + 8)))


def _unit(picojoules: float) -> tuple[float, str]:
    return next(((scale, unit) for scale, unit in _UNITS if picojoules >= scale), (1.0, "pJ"))
