"""Every family of spiking transformers at micro width: accuracy, synaptic operations, energy.

    python -m benchmarks.transformer_families [--seeds 3] [--epochs 8] [--only 'max_former*'] [--seed 1]

Recipe "micro": DigitsEvents 16x16, T = 4, the published neuron of each family, one schedule for all, tested
once at the end. The sizes are the registered "*_test" ones; Max-Former also with average in place of max
pooling. Counts and energy (45nm-fp32) are means over 64 test samples. Finished runs in --out are kept: start
it again to go on.
"""

from __future__ import annotations

import argparse
import json
import time
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from snnkit.models import list_models
from snnkit.train import evaluate, open_model, train
from snnkit.train.bill import energy_of
from snnkit.train.evaluate import open_data

from .harness import save, show

AVERAGE = "max_former_test, average pooling"
TRACED = 64


def variants() -> dict[str, list[str]]:
    """Name of a row -> overrides of the recipe."""
    found = {name: [f"--model.name={name}"] for name in list_models("*_test")}
    return found | {AVERAGE: [*found["max_former_test"], "--model.settings={pooling: avg}"]}


def run(overrides: list[str], seed: int, epochs: int, out: Path) -> dict[str, Any]:
    """Train, test and price one network."""
    start = time.process_time()
    train(
        "micro", out, [*overrides, f"--seed_everything={seed}", f"--trainer.max_epochs={epochs}"], resume=True
    )
    seconds = time.process_time() - start
    net, described = open_model(out)
    frames = open_data(described, None).tensors()[0][:TRACED]
    report = energy_of(net, frames, twins=())["snn"]
    return {
        "seed": seed,
        "epochs": epochs,
        "accuracy": evaluate(out).accuracy,
        "parameters": sum(p.numel() for p in net.parameters()),
        "SOPs": report.counts["sop"],
        "pj": report.total_pj,
        "rate": report.firing_rate,
        "seconds": seconds,
    }


def summary(out: Path) -> list[dict[str, Any]]:
    """Means over the seeds that are done."""
    rows = []
    for name in variants():
        runs = [json.loads(path.read_text()) for path in sorted(out.glob(f"{name}_[0-9]*.json"))]
        if not runs:
            continue
        each = [100 * r["accuracy"] for r in runs]
        rows.append(
            {
                "model": name,
                "parameters": runs[0]["parameters"],
                "seeds": len(runs),
                "accuracy %": f"{mean(each):.1f} ({min(each):.1f} to {max(each):.1f})",
                "SOPs, k": round(mean(r["SOPs"] for r in runs) / 1e3),
                "energy, nJ": round(mean(r["pj"] for r in runs) / 1e3),
                "spikes / neuron / step": mean(r["rate"] for r in runs),
                "CPU s / run": round(mean(r["seconds"] for r in runs)),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seed", type=int, help="this one only, as one of several processes")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", default="*", help="shell-style pattern of models")
    parser.add_argument("--out", type=Path, default=Path("runs/transformer_families"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds) if args.seed is None else [args.seed]:
        for name, overrides in variants().items():
            part = args.out / f"{name}_{seed}.json"
            if fnmatchcase(name, args.only) and not part.is_file():
                part.write_text(json.dumps(run(overrides, seed, args.epochs, args.out / f"{name}_{seed}")))
    rows = summary(args.out)
    show("Spiking transformers on DigitsEvents: mean and range over seeds", rows)
    print(f"wrote {save('transformer_families', rows, epochs=args.epochs)}")


if __name__ == "__main__":
    main()
