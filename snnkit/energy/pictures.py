"""Which numbers of a report go into which picture of :mod:`snnkit.plot`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..checks import choice
from ..errors import ConfigError, require
from .references import reference_pj
from .terms import TERMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .report import Report

__all__ = ["PICTURES", "draw"]

_POINTS = 33


def draw(report: Report, kind: str, ax: Axes | None, references: Mapping[str, float | None]) -> Axes:
    """See :meth:`Report.plot`."""
    choice("Report.plot.kind", kind, PICTURES)
    hint = 'Use kind="breakeven", whose axis is energy.'
    require(not references or kind == "breakeven", "Report.plot.references", references, "none here", hint)
    ax = _break_even(report, ax, references) if references else PICTURES[kind](report, ax)
    ax.set_xlabel(f"{ax.get_xlabel()}\n{report.model} ({report.kind.upper()}) on {report.hardware}")
    return ax


def _layers(report: Report, ax: Axes | None) -> Axes:
    from .. import plot

    used = [label for term, label in TERMS.items() if term in report.by_term]
    layers: dict[str, dict[str, float]] = {}
    for line in report.lines:
        terms = layers.setdefault(line.layer or "(model)", dict.fromkeys(used, 0.0))
        terms[TERMS[line.term]] += line.pj
    return plot.energy_breakdown(layers, ax=ax)


def _terms(report: Report, ax: Axes | None) -> Axes:
    from .. import plot

    of_term = report.by_term
    return plot.energy_breakdown({TERMS[t]: {"": of_term[t]} for t in TERMS if t in of_term}, ax=ax)


def _steps(report: Report, ax: Axes | None) -> Axes:
    from .. import plot

    return plot.energy_over_time({TERMS[t]: report.step_pj[t] for t in TERMS if t in report.step_pj}, ax=ax)


def _break_even(
    report: Report, ax: Axes | None, references: Mapping[str, float | None] | None = None
) -> Axes:
    from .. import plot

    measured = dict(reference_pj(name, latency) for name, latency in (references or {}).items())

    edges = {kind.upper(): report.break_even(kind) for kind in ("ann", "qann")}
    first = edges["ANN"]
    highest = max((e.rate for e in edges.values() if e.verdict == "below"), default=0.0)
    top = min(1.0, 1.3 * max(first.traced_rate, highest))
    rates = [top * i / (_POINTS - 1) for i in range(_POINTS)]
    return plot.energy_over_rate(
        rates,
        [first.energy_pj(rate) for rate in rates],
        {name: edge.other_pj for name, edge in edges.items()},
        marks={"traced": first.traced_rate},
        measured=measured,
        ax=ax,
    )


def _sparsity(report: Report, ax: Axes | None) -> Axes:
    from .. import plot

    if not report.activity:
        raise ConfigError("Report.plot.kind: this report has no activity of weight layers to draw.")
    rows = {layer or "(model)": [1 - share for share in shares] for layer, shares in report.activity.items()}
    steps = [str(t) for t in range(report.T)]
    words = {"across": "time step", "down": "layer", "label": "share of zero inputs"}
    return plot.heat_map(rows, steps, span=(0, 1), ax=ax, **words)  # type: ignore[arg-type]


def _sweep(report: Report, ax: Axes | None) -> Axes:
    from .. import plot

    grid = report.sweep()
    rows = {str(t): row for t, row in zip(grid.steps, grid.ratios, strict=True)}
    against = f"energy / {grid.against.upper()}"
    words = {"across": "mean firing rate", "down": "time steps T", "label": against}
    return plot.heat_map(rows, [f"{r:g}" for r in grid.rates], even=1.0, ax=ax, **words)  # type: ignore[arg-type]


PICTURES: dict[str, Callable[[Report, Axes | None], Axes]] = {
    "layers": _layers,
    "terms": _terms,
    "steps": _steps,
    "breakeven": _break_even,
    "sparsity": _sparsity,
    "sweep": _sweep,
}
