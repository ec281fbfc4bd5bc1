"""The trained demo network, its ANN and its quantised ANN under several profiles and data-flows.

snnkit demo && python -m benchmarks.demo_energy runs/demo

Prints the tables of docs/energy.md, in Markdown. One trace of 64 test samples serves all of them.
"""

from __future__ import annotations

import sys

from snnkit.energy import Report, Trace, price
from snnkit.energy.render import joules
from snnkit.train.bill import trace_of
from snnkit.train.evaluate import open_data, open_model

PROFILES = ("sop-rule", "45nm-fp32", "45nm-int8", "lemaire-2022")
FLOWS = ("event", "output_stationary", "weight_stationary", "time_batched", "compulsory")
HARDWARE = "45nm-int8"  # integers for all three networks
SAMPLES = 64


def row(name: str, report: Report) -> str:
    """One line: totals, ratios to the spiking network, break-even rate against the quantised ANN."""
    ann, qann = report.counterpart("ann"), report.counterpart("qann")
    low, high = report.ci95_pj or (report.total_pj, report.total_pj)
    cells = [name, f"{joules(report.total_pj)} ({joules(low)} to {joules(high)})"]
    cells += [f"{joules(r.total_pj)} ({r.total_pj / report.total_pj:.2f} x)" for r in (ann, qann)]
    edge = report.break_even(qann)
    cells.append(f"{edge.rate:.3f}" if edge.verdict == "below" else edge.verdict)
    return "| " + " | ".join(cells) + " |"


def tables(counted: Trace) -> list[str]:
    """Both tables as lines."""
    rate = price(counted).firing_rate or 0.0
    head = ["SNN (95 % interval)", "ANN", "quantised ANN", "break-even rate"]
    lines = [f"T = {counted.T}, {counted.samples} test samples, mean firing rate {rate:.3f}", ""]
    for first, names in (("profile", PROFILES), (f"data-flow, {HARDWARE}", FLOWS)):
        lines += ["| " + " | ".join([first, *head]) + " |", "|---" * 5 + "|"]
        for name in names:
            of_profile = first == "profile"
            lines.append(
                row(name, price(counted, name) if of_profile else price(counted, HARDWARE, dataflow=name))
            )
        lines.append("")
    return lines


def main(folder: str) -> None:
    """Print the tables for the run in ``folder``."""
    net, described = open_model(folder)
    frames = open_data(described, None).tensors()[0][:SAMPLES]
    print("\n".join(tables(trace_of(net, frames))))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")
