"""Energy figures. matplotlib is imported when something is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import require
from .charges import TERMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .report import Report

__all__ = ["plot"]

# One hue per purpose (compute blue to green, memory orange to brown); told apart without colour by order.
COLORS = {
    "ac": "#08519c", "mac": "#3182bd", "bias": "#6baed6", "scale": "#9ecae1", "neuron": "#238b45",
    "other": "#74c476", "mem_w": "#a63603", "mem_p": "#e6550d", "mem_u": "#fd8d3c", "mem_i": "#fdbe85",
    "mem_s": "#d9b38c", "mem_a": "#8c6d31",
}  # fmt: skip
UNITS = ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))


def plot(report: Report, kind: str, ax: Axes | None) -> Axes:
    """See :meth:`Report.plot`."""
    require(kind in ("layers", "terms", "steps"), "Report.plot.kind", kind, '"layers", "terms" or "steps"')
    names = list(report.by_layer) if kind == "layers" else []
    own = ax is None
    if ax is None:
        import matplotlib.pyplot as plt

        height = max(3.5, 0.32 * len(names) + 1.6) if kind == "layers" else 4.0
        _, ax = plt.subplots(figsize=(8.5, height), layout="constrained")
    if kind == "terms":
        _terms(report, ax)
    else:
        _layers(report, names, ax) if kind == "layers" else _steps(report, ax)
        beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if own else {"loc": "best"}
        if ax.get_legend_handles_labels()[1]:
            ax.legend(fontsize=7, frameon=not own, **beside)
    ax.set_title(f"{report.model} ({report.kind.upper()}) on {report.hardware}", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _unit(largest: float) -> tuple[float, str]:
    return next((u for u in UNITS if largest >= u[0]), UNITS[-1])


def _layers(report: Report, names: list[str], ax: Axes) -> None:
    factor, unit = _unit(max(report.by_layer.values(), default=0.0))
    left = dict.fromkeys(names, 0.0)
    for term, label in TERMS.items():
        widths = dict.fromkeys(names, 0.0)
        for line in report.lines:
            if line.term == term:
                widths[line.layer] += line.pj / factor
        if any(widths.values()):
            ax.barh(
                range(len(names)),
                list(widths.values()),
                left=list(left.values()),
                color=COLORS[term],
                label=label,
            )
            left = {n: left[n] + widths[n] for n in names}
    ax.set_yticks(range(len(names)), [n or "(model)" for n in names], fontsize=8)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlim(0, 1.02 * max(left.values(), default=0.0) or 1.0)
    ax.set_xlabel(f"energy per inference / {unit}")


def _terms(report: Report, ax: Axes) -> None:
    values = report.by_term
    terms = [t for t in TERMS if t in values]
    factor, unit = _unit(max(values.values(), default=0.0))
    bars = ax.barh(range(len(terms)), [values[t] / factor for t in terms], color=[COLORS[t] for t in terms])
    whole = report.total_pj
    ax.bar_label(bars, [f" {100 * values[t] / whole:.1f} %" if whole else "" for t in terms], fontsize=8)
    ax.margins(x=0.12)
    ax.set_yticks(range(len(terms)), [TERMS[t] for t in terms], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlabel(f"energy per inference / {unit}")


def _steps(report: Report, ax: Axes) -> None:
    factor, unit = _unit(max(report.by_step, default=0.0))
    bottom = [0.0] * report.T
    for term, label in TERMS.items():
        values = [v / factor for v in report.step_pj.get(term, ())]
        if values:
            ax.bar(range(1, report.T + 1), values, bottom=bottom, color=COLORS[term], label=label)
            bottom = [b + v for b, v in zip(bottom, values, strict=True)]
    ax.set_xlabel("time step")
    ax.locator_params(axis="x", integer=True)
    ax.set_ylabel(f"energy per inference / {unit}")
