"""Spoken digits with and without learned delays, on real recordings through the cochlea model.

2700 recordings: four fifths to train, one fifth to choose the epoch (by rounded delays); 120 to test, once.
Two hidden layers of 64, delays of up to 300 ms in steps of 20 ms, no memory but the delays (tau 1.005).

SNNKIT_DATA=... python -m benchmarks.delay_spoken      (finished runs are kept: start it again to go on)
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from snnkit.data import SpokenDigits, holdout
from snnkit.energy import price, trace
from snnkit.losses import sum_softmax
from snnkit.models import DelayMLP
from snnkit.neurons import fractional_delays
from snnkit.train.delays import DelayOptimizers

from .harness import save, show

STEPS, MAX_DELAY, WIDTH, BATCH = 50, 15, 64, 64
Sets = dict[str, tuple[Tensor, Tensor]]
MODES: dict[str, dict[str, Any]] = {
    "no delay": {"interp": "fixed", "max_delay": 0},
    "fixed random": {"interp": "fixed"},
    "gauss": {"interp": "gauss"},
    "ste": {"interp": "ste"},
    "ste, axonal": {"interp": "ste", "kind": "axonal"},
}


def data() -> Sets:
    """``[T, N, 64]`` spike counts and labels of train, val and test."""
    root = Path(os.environ["SNNKIT_DATA"]) / "fsdd"
    sets = {}
    for split in ("train", "test"):
        frames, labels = SpokenDigits(root, split, T=STEPS).tensors()
        sets[split] = frames.flatten(2).transpose(0, 1).contiguous(), labels
    x, y = sets["train"]
    train, val = holdout(y, 0, 5)
    return {"train": (x[:, train], y[train]), "val": (x[:, val], y[val]), "test": sets["test"]}


def build(mode: str) -> DelayMLP:
    settings = {"kind": "synaptic", "max_delay": MAX_DELAY, **MODES[mode]}
    return DelayMLP(64, 10, width=WIDTH, depth=2, tau=1.005, dropout=0.2, **settings)


def accuracy(net: DelayMLP, x: Tensor, y: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        votes = torch.cat([net(part).softmax(-1).sum(0) for part in x.split(128, 1)])
    return (votes.argmax(-1) == y).float().mean().item()


def run(
    mode: str, seed: int, epochs: int, sets: dict[str, tuple[Tensor, Tensor]], out: Path
) -> dict[str, Any]:
    start = time.perf_counter()
    torch.manual_seed(seed)
    net = build(mode)
    optimizers = DelayOptimizers(net, epochs)
    x, y = sets["train"]
    best, chosen = -1.0, copy.deepcopy(net)
    for epoch in range(epochs):
        net.train()
        for index in torch.randperm(len(y)).split(BATCH):
            optimizers.step(sum_softmax(net(x[:, index]), y[index]))
        optimizers.end_epoch()
        val = accuracy(net, *sets["val"])
        if val >= best:
            best, chosen = val, copy.deepcopy(net)
        print(f"{mode}, seed {seed}, epoch {epoch + 1}: {100 * val:.1f} %", flush=True)
    row = {"mode": mode, "seed": seed, "val": best, "test": accuracy(chosen, *sets["test"])}
    with fractional_delays():
        row |= {f"{s}, fractional": accuracy(chosen, *sets[s]) for s in ("val", "test")}
    torch.save(chosen.state_dict(), out / f"{mode}_{seed}.pt")
    return {**row, "seconds": time.perf_counter() - start}


def bill(mode: str, seed: int, sets: Sets, out: Path) -> dict[str, float]:
    """Synaptic operations, energy and delay memory of one recording, mean over the test set."""
    net = build(mode)
    net.load_state_dict(torch.load(out / f"{mode}_{seed}.pt"))
    counted = trace(net.eval(), [sets["test"][0]], T=STEPS)
    report = price(counted)
    memories = [memory for record in counted.records for memory in record.delays if memory.max_delay]
    return {
        "SOPs": report.counts["sop"],
        "energy, nJ": report.total_pj / 1e3,
        "inputs held": sum(m.held for m in memories if m.place == "input"),
        "sums held": sum(m.held for m in memories if m.place != "input"),
    }


def summary(sets: Sets, out: Path) -> list[dict[str, Any]]:
    """Means over the seeds that are done."""
    rows = []
    for mode in MODES:
        runs = [json.loads(path.read_text()) for path in sorted(out.glob(f"{mode}_?.json"))]
        if not runs:
            continue
        for run_ in runs:
            run_ |= bill(mode, run_["seed"], sets, out)
        learned = sum(p.numel() for p in build(mode).parameters() if p.requires_grad)
        row: dict[str, Any] = {"delays": mode, "seeds": len(runs), "learned parameters": learned}
        for key in ("val", "val, fractional", "test", "test, fractional"):
            values = [100 * r[key] for r in runs]
            row[f"{key} %"] = f"{mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"
        row |= {
            k: round(mean(r[k] for r in runs)) for k in ("SOPs", "energy, nJ", "inputs held", "sums held")
        }
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--out", type=Path, default=Path("runs/delay_spoken"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    sets = data()
    for seed in range(args.seeds):
        for mode in MODES:
            part = args.out / f"{mode}_{seed}.json"
            if not part.is_file():
                part.write_text(json.dumps(run(mode, seed, args.epochs, sets, args.out)))
    rows = summary(sets, args.out)
    show("Spoken digits, delays rounded unless said: mean and range over seeds", rows)
    print(f"wrote {save('delay_spoken', rows, epochs=args.epochs)}")


if __name__ == "__main__":
    main()
