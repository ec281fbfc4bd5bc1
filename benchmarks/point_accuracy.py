"""Clouds against frames: accuracy, parameters, synaptic operations and energy, by the shipped recipes.

    SNNKIT_DATA=... python -m benchmarks.point_accuracy      (finished runs are kept: start it again to go on)

Shapes and DigitsEvents: seeds 0, 1, 2 on the test set. The excerpt of N-MNIST has too few test recordings:
seed s is tested on fold s + 1 of five, which took no part in its training. Settings of clouds were chosen on
fold 0 of the training samples. The last weights count, no epoch is chosen. Figures are of one recording:
where it is several clouds, the sum of their operations, and the mean of their logits.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from snnkit.data import all_items, holdout
from snnkit.energy import Report, price, trace
from snnkit.train import EventData, train
from snnkit.train.bill import trace_of
from snnkit.train.evaluate import by_recording, logits_of, open_model

from .harness import save, show

RECIPES = {
    ("ShapesDataset", "clouds"): "shapes",
    ("DigitsEvents", "clouds"): "digits_clouds",
    ("DigitsEvents", "frames"): "digits",
    ("N-MNIST", "clouds"): "nmnist_clouds",
    ("N-MNIST", "frames"): "nmnist",
}
BILLED = 32  # samples of the energy bill


def run(recipe: str, seed: int, out: Path) -> dict[str, Any]:
    """Train, test and price one cell."""
    folded = recipe.startswith("nmnist")
    overrides = [f"--seed_everything={seed}", "--trainer.accelerator=cpu"]
    if folded:
        root = Path(os.environ["SNNKIT_DATA"]) / "nmnist_mini"
        overrides += [f"--data.root={root}", f"--data.fold={seed + 1}"]
    start = time.process_time()
    _, data = train(recipe, out, overrides, overwrite=True)
    seconds = time.process_time() - start
    net = open_model(out)[0].eval()
    x, y, recordings = tested(data)
    logits, labels = by_recording(logits_of(net, x), y, recordings)
    clouds = len(y) // len(labels)
    report = price(trace_of(net, x[:BILLED]))
    return {
        "seed": seed,
        "correct": int((logits.argmax(1) == labels).sum()),
        "tested": len(labels),
        "clouds": clouds,
        "CPU minutes": seconds / 60,
        "parameters": sum(p.numel() for p in net.parameters()),
        "SOPs": clouds * report.counts["sop"],
        "energy, nJ": clouds * report.total_pj / 1e3,
        "energy as ANN, nJ": clouds * report.counterpart("ann").total_pj / 1e3,
        "preprocessing, nJ": clouds * ahead(net, x[:BILLED]) if x.ndim == 3 else 0.0,
    }


def tested(data: EventData) -> tuple[Tensor, Tensor, Tensor | None]:
    """Samples, labels and recordings of the held-out fold, or of the test set where there are no folds."""
    source = data.open("train" if data.folds else "test")
    chosen = holdout(source, data.fold, data.folds)[1] if data.folds else torch.arange(len(source)).tolist()
    recordings = getattr(source, "recordings", None)
    return *all_items(source, chosen), None if recordings is None else recordings[chosen]


def ahead(net: Any, clouds: Tensor) -> float:
    """Energy of sampling and neighbour search, which the bill leaves out."""
    with torch.no_grad():
        full: Report = price(trace(net, clouds, preprocessing=True))
    return sum(line.pj for line in full.lines if line.layer == "preprocessing") / 1e3


def summary(out: Path) -> list[dict[str, Any]]:
    """Means over the seeds that are done."""
    rows = []
    for (data, kind), recipe in RECIPES.items():
        cells = [json.loads(path.read_text()) for path in sorted(out.glob(f"{recipe}_?.json"))]
        if not cells:
            continue
        shares = [100 * c["correct"] / c["tested"] for c in cells]
        row: dict[str, Any] = {"data": data, "input": kind, "recipe": recipe}
        row["accuracy, %"] = f"{mean(shares):.1f} ({', '.join(f'{s:.1f}' for s in shares)})"
        row["tested"] = sum(c["tested"] for c in cells)
        row["parameters"] = cells[0]["parameters"]
        for key in ("SOPs", "energy, nJ", "energy as ANN, nJ", "preprocessing, nJ"):
            row[key] = round(mean(c[key] for c in cells))
        row["CPU minutes"] = round(mean(c["CPU minutes"] for c in cells), 1)
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/point_accuracy"))
    parser.add_argument("--only", nargs="+", choices=RECIPES.values(), default=list(RECIPES.values()))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        for recipe in args.only:
            part = args.out / f"{recipe}_{seed}.json"
            if not part.is_file():
                cell = run(recipe, seed, args.out / f"{recipe}_{seed}")
                part.write_text(json.dumps(cell, indent=1))
                print(json.dumps({"recipe": recipe, **cell}), flush=True)
    rows = summary(args.out)
    show("Clouds and frames, one recording: means over three seeds, 1 thread", rows)
    print(f"wrote {save('point_accuracy', rows)}")


if __name__ == "__main__":
    main()
