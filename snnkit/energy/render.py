"""The energy table for terminals, at home in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from .report import Report

__all__ = ["joules", "table"]

GROUPS = {
    "synaptic": ("ac", "mac", "bias", "scale"),
    "neuron": ("neuron",),
    "other": ("other",),
    "memory": ("mem_w", "mem_p", "mem_u", "mem_i", "mem_s", "mem_a"),
}
UNITS = ((1e9, "mJ"), (1e6, "uJ"), (1e3, "nJ"), (1.0, "pJ"))


def joules(pj: float) -> str:
    """``12345.6`` -> ``"12.35 nJ"``."""
    factor, unit = next((u for u in UNITS if abs(pj) >= u[0]), UNITS[-1])
    return f"{pj / factor:.4g} {unit}"


def _short(value: float) -> str:
    return "" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _operations(number: float, name: str) -> str:
    factor, letter = next((u for u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= u[0]), (1.0, ""))
    return f"{number / factor:.3g}{letter} {name}" if number else ""


def table(report: Report, *others: Report, layers: bool = True) -> Table:
    """See :meth:`Report.to_table`."""
    from rich import box
    from rich.table import Table

    factor, unit = next((u for u in UNITS if report.total_pj >= 100 * u[0]), UNITS[-1])
    total = joules(report.total_pj) + (f" +- {joules(report.std_pj)} (std)" if report.std_pj else "")
    caption = [f"{total}, T = {report.T}, mean of {report.samples} samples"]
    caption += [f"warning: {text}" for text in report.warnings]
    if report.uncounted:
        names = sorted({f"{u.op} ({u.layer or 'model'})" for u in report.uncounted})
        caption.append(f"not counted: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}")
    result = Table(
        title=f"{report.model}: {unit} per inference on {report.hardware}, data-flow {report.dataflow}",
        caption="\n".join(caption),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    result.add_column("layer", overflow="fold", min_width=18)
    for name in ("operations", *GROUPS, "total", "%"):
        result.add_column(name, justify="right", no_wrap=True)
    if layers:
        for layer in report.by_layer:
            _row(result, report, layer or "(model)", factor, report.total_pj, layer)
        result.add_section()
    for each in (report, *others):
        _row(result, each, each.kind.upper(), factor, report.total_pj)
    return result


def _row(
    result: Table, report: Report, name: str, factor: float, whole: float, layer: str | None = None
) -> None:
    lines = [line for line in report.lines if layer is None or line.layer == layer]
    counts = {term: sum(line.count for line in lines if line.term == term) for term in ("ac", "mac")}
    done = [_operations(number, term.upper()) for term, number in counts.items()]
    groups = [sum(line.pj for line in lines if line.term in terms) for terms in GROUPS.values()]
    result.add_row(
        name,
        "\n".join(filter(None, done)),
        *(_short(pj / factor) for pj in groups),
        _short(sum(groups) / factor),
        f"{100 * sum(groups) / whole:.1f}" if whole else "",
    )
