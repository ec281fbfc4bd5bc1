"""The published recipes of learned delays (arXiv 2306.17670) on SHD or SSC, for who has the recordings.

ROOT holds shd_train.h5 and shd_test.h5, or ssc_train.h5, ssc_valid.h5 and ssc_test.h5. As published: counts
in frames of 10 ms, sums of 5 neighbouring units, padded in the batch with silence. ``test-selected`` takes
the best epoch on the test set; ``val-split`` the best on the validation file, or on a fifth of the training
set, and measures the test set once. Epochs are chosen by rounded delays. There is no loader of GSC here.

python -m benchmarks.delay_heidelberg ROOT --recipe shd --protocol val-split [--interp ste]
"""

from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from snnkit.data import DATASETS, Events, holdout
from snnkit.errors import ConfigError
from snnkit.losses import sum_softmax
from snnkit.models import DelayMLP
from snnkit.neurons import fractional_delays
from snnkit.train.delay_recipes import DELAY_RECIPES, DelayRecipe, Protocol
from snnkit.train.delays import warn_of_rounding

UNITS, GROUP = 700, 5
Set = tuple[list[Tensor], Tensor]


def frames(events: Events, dt_ms: float) -> Tensor:
    """Counts ``[T, 140]`` uint8 of one recording, T up to its last spike."""
    channels = UNITS // GROUP
    step, channel = torch.as_tensor(events.t // int(1000 * dt_ms)), torch.as_tensor(events.x // GROUP)
    steps = int(step.max()) + 1 if len(step) else 1
    counts = torch.bincount(step.long() * channels + channel.long(), minlength=steps * channels)
    return counts.clamp(max=255).byte().view(steps, channels)


def load(recipe: DelayRecipe, root: Path, protocol: Protocol) -> dict[str, Set]:
    """Frames and labels to train with, to choose the epoch with, and to test with."""
    recipe.check_protocol(protocol)
    if recipe.dataset is None:
        raise ConfigError(
            "delay_heidelberg: there is no loader of GSC. Compute its 140 mel bands yourself, and train "
            'DELAY_RECIPES["gsc"].network() on [T, B, 140] with its optimizers().'
        )

    def read(split: str) -> Set:
        data = DATASETS.get(recipe.dataset)(root, split)
        return [frames(data.events(i), recipe.dt_ms) for i in range(len(data))], data.labels

    sets = {"train": read("train"), "test": read("test")}
    if protocol == "test-selected":
        return {**sets, "choose": sets["test"]}
    if recipe.dataset == "ssc":
        return {**sets, "choose": read("valid")}
    x, y = sets["train"]
    parts = [([x[i] for i in part], y[part]) for part in holdout(y, 0, 5)]
    return {**sets, "train": parts[0], "choose": parts[1]}


def accuracy(net: DelayMLP, data: Set, batch: int) -> float:
    """Share of right answers, by the sum of softmaxes over time."""
    x, y = data
    net.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(y), batch):
            votes = net(pad_sequence(x[start : start + batch]).float()).softmax(-1).sum(0)
            right += int((votes.argmax(-1) == y[start : start + batch]).sum())
    return right / len(y)


def train(
    recipe: DelayRecipe, sets: dict[str, Set], epochs: int, seed: int, **settings: Any
) -> dict[str, Any]:
    """Accuracies of the best epoch, and which that is."""
    torch.manual_seed(seed)
    net = recipe.network(**settings)
    optimizers = recipe.optimizers(net, epochs)
    x, y = sets["train"]
    best, row = net, {"epoch": 0, "chosen by": -1.0}
    for epoch in range(1, epochs + 1):
        net.train()
        for index in torch.randperm(len(y)).split(recipe.batch_size):
            batch = pad_sequence([x[i] for i in index.tolist()]).float()
            optimizers.step(sum_softmax(net(batch), y[index]))
        optimizers.end_epoch()
        found = accuracy(net, sets["choose"], recipe.batch_size)
        print(f"epoch {epoch}: {100 * found:.2f} %", flush=True)
        if found > row["chosen by"]:
            best, row = copy.deepcopy(net), {"epoch": epoch, "chosen by": found}
    row["test"] = accuracy(best, sets["test"], recipe.batch_size)
    with fractional_delays():
        row["test, fractional"] = accuracy(best, sets["test"], recipe.batch_size)
    warn_of_rounding(row["test"], row["test, fractional"])
    return row


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--recipe", choices=list(DELAY_RECIPES), default="shd")
    parser.add_argument("--protocol", choices=["val-split", "test-selected"], default="val-split")
    parser.add_argument("--interp", choices=["gauss", "ste", "triangle", "fixed"], default="gauss")
    parser.add_argument("--epochs", type=int, help="default: as published")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/delay_heidelberg.json"))
    args = parser.parse_args(arguments)
    recipe = DELAY_RECIPES[args.recipe]
    sets = load(recipe, args.root, args.protocol)
    row = train(recipe, sets, args.epochs or recipe.epochs, args.seed, interp=args.interp)
    asked = {name: getattr(args, name) for name in ("recipe", "protocol", "interp", "seed")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({**asked, **row}, indent=1))
    print(f"wrote {args.out}: {row}")


if __name__ == "__main__":
    main()
