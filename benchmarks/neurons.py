"""LIF over a whole sequence: snnkit beside spikingjelly and snntorch.

    python -m benchmarks.neurons [--repeats 9] [--out benchmarks/results/neurons.json]

Protocol: one process, one thread, calls interleaved; spikes are compared before anything is timed;
each figure is the peer's time divided by ours, call by call: median, and (min, max) over the repeats.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import snnkit

GRID = [(4, 10_000), (4, 100_000), (16, 10_000), (16, 100_000), (100, 10_000)]


def peers() -> dict[str, Callable[[Tensor], Tensor]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import snntorch
        from spikingjelly.activation_based import functional, neuron, surrogate

    node = neuron.LIFNode(2.0, surrogate_function=surrogate.ATan(), detach_reset=True, step_mode="m")
    leaky = snntorch.Leaky(0.5, reset_mechanism="zero", reset_delay=True)

    def spikingjelly(x: Tensor) -> Tensor:
        functional.reset_net(node)
        return node(x)

    def snntorch_loop(x: Tensor) -> Tensor:
        out, mem = [], torch.zeros_like(x[0])
        for x_t in x.unbind(0):
            spikes, mem = leaky(x_t / 2, mem)
            out.append(spikes)
        return torch.stack(out)

    return {"spikingjelly": spikingjelly, "snntorch": snntorch_loop}


def seconds(call: Callable[[], None]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def job(layer: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> Callable[[], None]:
    def forward_only() -> None:
        with torch.no_grad():
            layer(x)

    def both() -> None:
        y = x.detach().requires_grad_()
        layer(y).sum().backward()

    return both if backward else forward_only


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/neurons.json"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours = snnkit.LIF(tau=2.0, detach_reset=True)
    others, rows = peers(), []
    for steps, neurons in GRID:
        x = torch.randn(steps, neurons) + 0.5
        for name, layer in others.items():
            same = (layer(x) == ours(x[:, None])[:, 0]).float().mean().item()
            if (name == "spikingjelly" and same < 1) or same < 0.9999:
                raise SystemExit(f"{name}: only {same:.6f} of the spikes agree; not timed")
        for backward in (False, True):
            mine = job(lambda z: ours(z[:, None])[:, 0], x, backward)
            theirs = {name: job(layer, x, backward) for name, layer in others.items()}
            mine()
            for call in theirs.values():
                call()
            ratios: dict[str, list[float]] = {name: [] for name in theirs}
            own: list[float] = []
            for _ in range(args.repeats):
                own.append(seconds(mine))
                for name, call in theirs.items():
                    ratios[name].append(seconds(call) / own[-1])
            rows.append(
                {
                    "T": steps,
                    "N": neurons,
                    "pass": "forward+backward" if backward else "forward",
                    "ns_per_neuron_step": median(own) / (steps * neurons) * 1e9,
                    **{
                        name: {"median": median(r), "min": min(r), "max": max(r)}
                        for name, r in ratios.items()
                    },
                }
            )
    table = Table(
        "T", "N", "pass", "ours, ns", *(f"{n} / ours" for n in others), title="LIF, 1 thread, CPU time"
    )
    for row in rows:
        cells = [f"{row[n]['median']:.1f} ({row[n]['min']:.1f} to {row[n]['max']:.1f})" for n in others]
        table.add_row(str(row["T"]), f"{row['N']:,}", row["pass"], f"{row['ns_per_neuron_step']:.2f}", *cells)
    Console(width=110).print(table)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    versions = {"torch": torch.__version__, "python": platform.python_version(), "cpu": platform.processor()}
    args.out.write_text(json.dumps({"versions": versions, "rows": rows}, indent=1) + "\n")
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
