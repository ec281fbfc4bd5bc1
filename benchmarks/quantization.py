"""Accuracy, bytes and energy of a network with low-bit weights beside itself in float: three seeds, two sets.

The float network is trained by its recipe, "digits" or "nmnist", once per seed; from its weights every other
one is trained on by the recipe "qat". DigitsEvents is tested on its test set (360 samples), N-MNIST on the
fifth of the recordings that the seed holds out. Energy is that of the test samples, mean of 64 of them.

SNNKIT_DATA=... python -m benchmarks.quantization      (finished runs are kept: start it again to go on)
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn

from snnkit.data import holdout
from snnkit.energy import price
from snnkit.quant import size_report
from snnkit.train import train
from snnkit.train.bill import trace_of
from snnkit.train.evaluate import open_data, open_model, predict

from .harness import save, show

FOLDS, TRACED = 5, 64
NETWORKS: dict[str, dict[str, Any] | None] = {
    "float": None,
    "float, trained on": {"weight_bits": 32},
    "8 bit": {"weight_bits": 8},
    "4 bit": {"weight_bits": 4},
    "3 bit": {"weight_bits": 3},
    "2 bit": {"weight_bits": 2},
    "ternary": {"scheme": "ternary"},
    "binary": {"scheme": "binary"},
}
# sums of low-bit weights are integers of 32 bits; the float network adds in floating point where it is priced
PROFILES: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "45nm": {"float": ("45nm-fp32", {}), "low-bit": ("45nm-int8", {"state_bits": 32})},
    "7nm": {"float": ("7nm-fp32", {}), "low-bit": ("7nm-int8", {"state_bits": 32})},
    "lemaire-2022": {"float": ("lemaire-2022", {}), "low-bit": ("lemaire-2022", {})},
}


def told(data: str, seed: int) -> list[str]:
    """What the recipe of a data set is told."""
    if data == "digits":
        return []
    return [f"--data.root={Path(os.environ['SNNKIT_DATA']) / 'nmnist_mini'}", f"--data.fold={seed}"]


def test_samples(data: str, seed: int, described: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Frames ``[N, T, P, H, W]`` and labels that the runs of a seed have not trained with."""
    if data == "digits":
        return open_data(described, None).tensors()
    frames, labels = open_data(described, None, "train").tensors()
    held_out = holdout(labels, seed, FOLDS)[1]
    return frames[held_out], labels[held_out]


def measure(net: nn.Module, low_bit: bool, frames: Tensor, labels: Tensor) -> dict[str, Any]:
    """One cell of the table."""
    size, counted = size_report(net), trace_of(net, frames[:TRACED])
    row = {
        "right": int((predict(net, frames) == labels).sum()),
        "samples": len(labels),
        "bytes": size.packed_bytes if low_bit else size.float_bytes,
        "rate": price(counted).firing_rate,
    }
    for name, kinds in PROFILES.items():
        hardware, options = kinds["low-bit" if low_bit else "float"]
        row[name] = price(counted, hardware, **options).total_pj
    return row


def run(data: str, seed: int, name: str, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Train one network and measure it."""
    start, out, settings = time.process_time(), folder / name.replace(" ", "_"), NETWORKS[name]
    overrides = [f"--seed_everything={seed}", *told(data, seed), *overrides]
    if settings is None:
        train(data, out, overrides, overwrite=True)
    else:
        quant = json.dumps({"weight_bits": 4, "scheme": "lsq"} | settings)
        chosen = [f"--model.quant={quant}", f"--model.start_from={folder / 'float'}"]
        train(f"{data}+qat", out, [*overrides, *chosen], overwrite=True)
    seconds = time.process_time() - start
    net, described = open_model(out)
    low_bit = settings is not None and settings.get("weight_bits") != 32
    cell = measure(net, low_bit, *test_samples(data, seed, described))
    return {"data": data, "seed": seed, "network": name, **cell, "seconds": seconds}


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean over seeds; differences are taken seed by seed."""
    rows = []
    for data in dict.fromkeys(c["data"] for c in cells):
        of_data = [c for c in cells if c["data"] == data]
        accuracy = {(c["network"], c["seed"]): 100 * c["right"] / c["samples"] for c in of_data}
        for name in NETWORKS:
            these = [c for c in of_data if c["network"] == name]
            if not these:
                continue
            values = [accuracy[name, c["seed"]] for c in these]
            loss = [accuracy["float", c["seed"]] - accuracy[name, c["seed"]] for c in these]
            row = {
                "data": data,
                "network": name,
                "seeds": len(these),
                "accuracy %": f"{mean(values):.1f} ± {stdev(values) if len(values) > 1 else 0:.1f}",
                "below float": f"{mean(loss):+.1f} ({min(loss):+.1f} to {max(loss):+.1f})",
                "bytes": round(mean(c["bytes"] for c in these)),
            }
            row |= {f"uJ, {p}": round(mean(c[p] for c in these) / 1e6, 2) for p in PROFILES}
            rows.append(row | {"CPU minutes": round(mean(c["seconds"] for c in these) / 60, 1)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=["digits", "nmnist"], choices=["digits", "nmnist"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--out", type=Path, default=Path("runs/quantization"))
    args, overrides = parser.parse_known_args()  # further --key=value go to every training
    torch.set_num_threads(1)
    for seed in args.seeds:
        for data in args.data:
            for name in args.networks:
                folder = args.out / data / str(seed)
                cell = folder / f"{name}.json"
                if not cell.is_file():
                    row = run(data, seed, name, folder, overrides)
                    cell.write_text(json.dumps(row))
                    print(row, flush=True)
    cells = [json.loads(path.read_text()) for path in sorted(args.out.glob("*/?/*.json"))]
    rows = summary([c for c in cells if "network" in c])
    show("Low-bit weights: mean and standard deviation over seeds", rows)
    print(f"wrote {save('quantization', rows, cells=cells)}")


if __name__ == "__main__":
    main()
