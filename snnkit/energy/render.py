"""The energy table, headed by its assumptions: for terminals (at home in 80 columns) and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .comparison import same_ground
from .terms import TERMS

if TYPE_CHECKING:
    from rich.table import Table

    from .report import Report

__all__ = ["joules", "markdown", "table"]

GROUPS = {
    "synaptic": ("ac", "mac", "synop", "bias", "scale"),
    "neuron": ("neuron",),
    "other": ("other", "address", "noc", "static"),
    "memory": tuple(term for term in TERMS if term.startswith("mem_")),
}
UNITS = ((1e9, "mJ"), (1e6, "uJ"), (1e3, "nJ"), (1.0, "pJ"))
_WORK = {"ac": "AC", "mac": "MAC", "synop": "SOP"}


def joules(pj: float) -> str:
    """``12345.6`` -> ``"12.35 nJ"``."""
    factor, unit = next((u for u in UNITS if abs(pj) >= u[0]), UNITS[-1])
    return f"{pj / factor:.4g} {unit}"


def table(report: Report, *others: Report, layers: bool = True) -> Table:
    """See :meth:`Report.to_table`."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    same_ground(report, *others)
    title = [_title(report), *(f"- {line}" for line in report.assumptions)]
    result = Table(
        title=escape("\n".join(title)),
        title_justify="left",
        caption=escape("\n".join(_footer(report))),
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    result.add_column("layer", overflow="fold", min_width=_WIDTH)
    for name in _HEAD[1:]:
        result.add_column(name, justify="right", no_wrap=True)
    if layers:
        for row in _layer_rows(report):
            result.add_row(escape(_folded(row[0])), *map(escape, row[1:]))
        result.add_section()
    for row in _totals(report, others):
        result.add_row(*row)
    return result


def markdown(report: Report, *others: Report, layers: bool = True) -> str:
    """See :meth:`Report.to_markdown`."""
    same_ground(report, *others)
    rows = [*(_layer_rows(report) if layers else []), *_totals(report, others)]
    cells = [
        _HEAD,
        ["---", *["---:"] * (len(_HEAD) - 1)],
        *([c.replace("\n", ", ") for c in row] for row in rows),
    ]
    parts = [
        f"**{_title(report)}**\n",
        *(f"- {line}" for line in report.assumptions),
        "",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells),
        "",
        *(f"{line}  " for line in _footer(report)),
    ]
    return "\n".join(parts) + "\n"


_WIDTH = 18  # of the names of layers, in 80 columns
_HEAD = ["layer", "operations", *GROUPS, "total", "%"]


def _unit(report: Report) -> tuple[float, str]:
    return next((u for u in UNITS if report.total_pj >= 100 * u[0]), UNITS[-1])


def _title(report: Report) -> str:
    unit = _unit(report)[1]
    return f"{report.model}: {unit} per inference on {report.hardware}, data-flow {report.dataflow}"


def _footer(report: Report) -> list[str]:
    """Total, its two kinds of uncertainty, what is missing."""
    interval = report.ci95_pj
    spread = ""
    if report.std_pj and interval is not None:
        low, high = (joules(pj) for pj in interval)
        spread = f" +- {joules(report.std_pj)} (std), 95 % interval of the mean {low} to {high}"
    lines = [f"{joules(report.total_pj)}{spread}, T = {report.T}, mean of {report.samples} samples"]
    if report.band_pj is not None and report.band_pj[0] < report.band_pj[1]:
        low, high = (joules(pj) for pj in report.band_pj)
        lines.append(f"with the prices at the ends of their published ranges: {low} to {high}")
    lines += [f"warning: {text}" for text in report.warnings]
    if report.uncounted:
        names = sorted({f"{u.op} ({u.layer or 'model'})" for u in report.uncounted})
        lines.append(f"not counted: {', '.join(names[:6])}{' ...' if len(names) > 6 else ''}")
    return lines


def _layer_rows(report: Report) -> list[list[str]]:
    factor, whole = _unit(report)[0], report.total_pj
    return [_row(report, layer or "(model)", factor, whole, layer) for layer in report.by_layer]


def _totals(report: Report, others: tuple[Report, ...]) -> list[list[str]]:
    factor, whole = _unit(report)[0], report.total_pj
    return [_row(each, each.kind.upper(), factor, whole) for each in (report, *others)]


def _row(report: Report, name: str, factor: float, whole: float, layer: str | None = None) -> list[str]:
    lines = [line for line in report.lines if layer is None or line.layer == layer]
    counts = {term: sum(line.count for line in lines if line.term == term) for term in _WORK}
    done = [_operations(number, _WORK[term]) for term, number in counts.items()]
    groups = [sum(line.pj for line in lines if line.term in terms) for terms in GROUPS.values()]
    return [
        name,
        "\n".join(filter(None, done)),
        *(_short(pj / factor) for pj in groups),
        _short(sum(groups) / factor),
        f"{100 * sum(groups) / whole:.1f}" if whole else "",
    ]


def _short(value: float) -> str:
    if 0 < value < 0.01:
        return "<0.01"
    return "" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _folded(path: str) -> str:
    """A long path on several lines, broken at its dots."""
    lines = [""]
    for i, name in enumerate(path.split(".")):
        part = f".{name}" if i else name
        if lines[-1] and len(lines[-1]) + len(part) > _WIDTH:
            lines.append("  ")
        lines[-1] += part
    return "\n".join(lines)


def _operations(number: float, name: str) -> str:
    factor, letter = next((u for u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= u[0]), (1.0, ""))
    return f"{number / factor:.3g}{letter} {name}" if number else ""
