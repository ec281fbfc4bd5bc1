"""Write docs/benchmarks.md from the results of ``make bench``.

python -m benchmarks.report
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .harness import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
TITLES = {
    "neurons_kept_1": "LIF over a sequence, 1 thread, `snnkit.keep_memory()` for everybody",
    "neurons_kept_2": "The same, 2 threads",
    "neurons_stock_1": "LIF over a sequence, 1 thread, memory as the system hands it out",
    "neurons_stock_2": "The same, 2 threads",
    "open_neuromorphic_512_float32": "Linear(512, 512) + LIF, batch 16, T = 500, 1 thread",
    "open_neuromorphic_512_bfloat16": "The same, ours in bfloat16, peers in float32",
    "norm": "Batch norm + LIF in training, T = 4, 1 thread: one operation against two",
    "transformer": "Training step of a Spikformer (2 blocks of width 256, 32x32, T = 4, batch 16), 1 thread",
    "transformer_families": "Spiking transformers at micro width on DigitsEvents, the same short schedule",
    "token_mixers": "The same with and without token mixers, and with random ones, all trained alike",
    "streaming": "Three layers Linear(n, n) + LIF, one step, batch 1, 1 thread; ours: `snnkit.StepEngine`",
    "event_linear": "Linear layers on spikes: the dense product against gathered weights, 1 thread",
    "integer_layers": "Layers of 4-bit weights on spikes: float32 against the integer kernel, 1 thread",
    "integer_networks": "The network of the demo: float32 against its 4-bit integer form, T = 6, 1 thread",
    "delays": "Layers with learned delays, forward and backward, batch 32, 1 thread",
    "delay_rounding": "Learned delays on a task of exact times: test accuracy, mean of three seeds",
    "delay_spoken": "Spoken digits through a cochlea with learned delays; rounded unless said",
    "one_step": "One frame (T = 1), Linear - neuron - Linear: test accuracy, mean of three seeds",
    "energy_overhead": "Counting operations: time over the plain forward, T = 4, batch 8, 1 thread",
    "readers": "Event files to arrays, 1 thread; ours checks every event, the peers none",
    "frames": "Recordings to frames of counts and to voxel grids, 1 thread",
    "points": "Farthest points and nearest neighbours: the other forms against ours, 2 threads",
    "point_accuracy": "Clouds beside frames, one recording: means over the seeds that were run, 1 thread",
    "imports": "Import on top of torch, and the first call of a neuron, in seconds",
}
FACTS = {
    "means": "Geometric means against spikingjelly",
    "memory_mb": "Peak memory in MB",
    "compiled": "torch.compile of spikingjelly, warm, T = 4",
}
HEAD = """# Benchmarks

Written by `make bench`, which runs all libraries in one process with their calls interleaved. A figure is
the time of the peer divided by ours: median, and the range over the rounds. Equality of the spikes is checked
before anything is timed, of the gradients too against spikingjelly. Small layers are mostly
Python on both sides.
"""


def main() -> None:
    parts, machine = [HEAD], ""
    for name, title in TITLES.items():
        path = RESULTS / f"{name}.json"
        if not path.is_file():
            continue
        result = json.loads(path.read_text())
        machine = ", ".join(f"{k} {v}" for k, v in result["environment"].items())
        parts += [f"## {title}\n", _table(result["rows"])]
        for fact, label in FACTS.items():
            if fact in result:
                values = ", ".join(f"{k} {v:.1f}" for k, v in result[fact].items())
                parts.append(f"{label}: {values}.\n")
    parts.insert(1, f"Machine and versions: {machine}.\n")
    PAGE.write_text("\n".join(parts))
    print(f"wrote {PAGE}")


def _table(rows: list[dict[str, Any]]) -> str:
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([_cell(row[key]) for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['median']:.1f} ({value['low']:.1f} to {value['high']:.1f})"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
