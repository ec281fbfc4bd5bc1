"""The energy table for terminals."""

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


def joules(pj: float) -> str:
    """``12345.6`` -> ``"12.35 nJ"``."""
    for factor, unit in ((1e9, "mJ"), (1e6, "uJ"), (1e3, "nJ")):
        if abs(pj) >= factor:
            return f"{pj / factor:.4g} {unit}"
    return f"{pj:.4g} pJ"


def _number(value: float) -> str:
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g}"


def table(report: Report, *others: Report, layers: bool = True) -> Table:
    """See :meth:`Report.to_table`."""
    from rich.table import Table

    title = f"{report.model}: energy per inference on {report.hardware}, data-flow {report.dataflow}"
    spread = "" if not report.std_pj else f" +- {joules(report.std_pj)} (std)"
    caption = [f"T = {report.T}, mean of {report.samples} samples{spread}"]
    caption += [f"warning: {text}" for text in report.warnings]
    if report.uncounted:
        names = sorted({f"{u.op} ({u.layer or 'model'})" for u in report.uncounted})
        caption.append(f"not counted: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}")
    result = Table(title=title, caption="\n".join(caption), caption_justify="left")
    result.add_column("layer", overflow="fold")
    result.add_column("input")
    for name in ("AC", "MAC", *GROUPS, "energy", "share"):
        result.add_column(name, justify="right", no_wrap=True)
    if layers:
        for layer, pj in report.by_layer.items():
            _row(result, report, layer or "(model)", layer, pj)
        result.add_section()
    for each in (report, *others):
        _row(result, each, each.kind.upper(), None, each.total_pj, report.total_pj)
    return result


def _row(
    result: Table, report: Report, name: str, layer: str | None, pj: float, whole: float | None = None
) -> None:
    lines = [line for line in report.lines if layer is None or line.layer == layer]
    counts = [sum(line.count for line in lines if line.term == term) for term in ("ac", "mac")]
    groups = [sum(line.pj for line in lines if line.term in terms) for terms in GROUPS.values()]
    whole = report.total_pj if whole is None else whole
    result.add_row(
        name,
        "" if layer is None else report.operands.get(layer, ""),
        *(_number(c) if c else "" for c in counts),
        *(joules(g) if g else "" for g in groups),
        joules(pj),
        f"{100 * pj / whole:.1f} %" if whole else "",
    )
