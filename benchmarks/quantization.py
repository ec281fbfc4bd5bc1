"""Accuracy, bytes and energy of a network with low-bit weights beside itself in float: three seeds, two sets.

The float network is trained by its recipe, "digits" or "nmnist", once per seed; from its weights every other
one is trained on by the recipe "qat", 120 to 135 steps, the first of them with float weights, to see what
longer training does. "calibrated" are the same weights before that: quantised, with steps and norms fitted to
training samples. DigitsEvents is tested on its test set (360 samples), N-MNIST on the fifth of the recordings
that the seed holds out. Energies are of integers with sums of 32 bits, mean of 64 test samples.

SNNKIT_DATA=... python -m benchmarks.quantization      (finished runs are kept: start it again to go on)
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor, nn

from snnkit.data import holdout, time_first
from snnkit.energy import price
from snnkit.quant import calibrate, quantize, quantized_layers, size_report
from snnkit.train import train
from snnkit.train.bill import trace_of
from snnkit.train.compress import as_stored
from snnkit.train.evaluate import open_data, open_model, predict

from .harness import RESULTS, save, show

FOLDS, TRACED = 5, 64
PROFILES = ("45nm-int8", "7nm-int8", "lemaire-2022")
NETWORKS: dict[str, dict[str, Any] | None] = {
    "float": None,
    "float, longer": {"weight_bits": 32},
    "8 bit": {"weight_bits": 8},
    "4 bit": {"weight_bits": 4},
    "3 bit": {"weight_bits": 3},
    "2 bit": {"weight_bits": 2},
    "ternary": {"scheme": "ternary"},
    "binary": {"scheme": "binary"},
}
EPOCHS = {"digits": 3, "nmnist": 6}  # of "qat": 135 and 120 steps
BEGIN, END = "<!-- table -->\n", "<!-- end -->"
PAGE = RESULTS.parents[1] / "docs" / "quantization.md"
Samples = tuple[Tensor, Tensor]


def told(data: str, seed: int) -> list[str]:
    """What the recipe of a data set is told."""
    if data == "digits":
        return []
    return [f"--data.root={Path(os.environ['SNNKIT_DATA']) / 'nmnist_mini'}", f"--data.fold={seed}"]


def samples(data: str, seed: int, described: dict[str, Any]) -> dict[str, Samples]:
    """Frames ``[N, T, P, H, W]`` and labels with which the runs of a seed train, and others to test."""
    train_set = open_data(described, None, "train").tensors()
    if data == "digits":
        return {"train": train_set, "test": open_data(described, None).tensors()}
    parts = zip(("train", "test"), holdout(train_set[1], seed, FOLDS), strict=True)
    return {name: (train_set[0][part], train_set[1][part]) for name, part in parts}


def right(net: nn.Module, test: Samples) -> int:
    return int((predict(net, test[0]) == test[1]).sum())


def calibrated(folder: Path, settings: dict[str, Any], data: str, seed: int) -> int:
    """Right answers of the float network with low-bit weights, without further training."""
    net, described = open_model(folder / "float")
    parts = samples(data, seed, described)
    small = quantize(net, **settings).eval()
    if any(True for _ in quantized_layers(small)):
        calibrate(small, (time_first(part) for part in parts["train"][0].split(64)))
    return right(small, parts["test"])


def measure(net: nn.Module, test: Samples) -> dict[str, Any]:
    """One cell of the table."""
    low_bit = any(True for _ in quantized_layers(net))
    size, counted = size_report(net), trace_of(net, test[0][:TRACED])
    return {
        "right": right(net, test),
        "samples": len(test[1]),
        "bytes": size.packed_bytes if low_bit else size.float_bytes,
        **{name: price(counted, name, **as_stored(net)).total_pj for name in PROFILES},
    }


def run(data: str, seed: int, name: str, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """Train one network and measure it."""
    start, out, settings = time.process_time(), folder / name.replace(" ", "_"), NETWORKS[name]
    overrides = [f"--seed_everything={seed}", *told(data, seed), *overrides]
    if settings is None:
        train(data, out, overrides, overwrite=True)
    else:
        chosen = [
            f"--model.quant={json.dumps(settings)}",
            f"--model.start_from={folder / 'float'}",
            f"--trainer.max_epochs={EPOCHS[data]}",
        ]
        train(f"{data}+qat", out, [*overrides, *chosen], overwrite=True)
    seconds = time.process_time() - start
    net, described = open_model(out)
    cell = measure(net, samples(data, seed, described)["test"])
    before = cell["right"] if settings is None else calibrated(folder, settings, data, seed)
    return {"data": data, "seed": seed, "network": name, **cell, "calibrated": before, "seconds": seconds}


def summary(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds; differences to float are taken seed by seed."""
    rows = []
    for data in dict.fromkeys(c["data"] for c in cells):
        of_data = [c for c in cells if c["data"] == data]
        base = {c["seed"]: _percent(c) for c in of_data if c["network"] == "float"}
        for name in NETWORKS:
            these = [c for c in of_data if c["network"] == name]
            if not these:
                continue
            row = {
                "data": data,
                "network": name,
                "calibrated %": _spread(_percent(c, "calibrated") for c in these),
                "trained %": _spread(map(_percent, these)),
                "to float": _spread((_percent(c) - base[c["seed"]] for c in these), "+.1f"),
                "kB": f"{mean(c['bytes'] for c in these) / 1e3:.1f}",
            }
            row |= {f"{p}, uJ": _spread((c[p] / 1e6 for c in these), ".0f") for p in PROFILES}
            rows.append(row | {"CPU minutes": f"{mean(c['seconds'] for c in these) / 60:.1f}"})
    return rows


def _percent(cell: dict[str, Any], key: str = "right") -> float:
    return 100 * cell[key] / cell["samples"]


def _spread(values: Iterable[float], form: str = ".1f") -> str:
    values = list(values)
    return f"{mean(values):{form}} ± {stdev(values) if len(values) > 1 else 0:.1f}"


def table(rows: list[dict[str, Any]]) -> str:
    """In Markdown."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[key]) for key in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def write_page(rows: list[dict[str, Any]]) -> None:
    """Renew the table of docs/quantization.md."""
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + table(rows) + END + rest.split(END)[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=["digits", "nmnist"], choices=["digits", "nmnist"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--out", type=Path, default=Path("runs/quantization"))
    args, overrides = parser.parse_known_args()  # further --key=value go to every training
    torch.set_num_threads(1)
    for data, seed, name in ((d, s, n) for s in args.seeds for d in args.data for n in args.networks):
        folder = args.out / data / str(seed)
        cell = folder / f"{name}.json"
        if not cell.is_file():
            row = run(data, seed, name, folder, overrides)
            cell.write_text(json.dumps(row))
            print(row, flush=True)
    cells = [json.loads(path.read_text()) for path in sorted(args.out.glob("*/?/*.json"))]
    rows = summary(cells)
    show("Low-bit weights: mean and standard deviation over seeds", rows)
    write_page(rows)
    print(f"wrote {save('quantization', rows, cells=cells)} and {PAGE}")


if __name__ == "__main__":
    main()
