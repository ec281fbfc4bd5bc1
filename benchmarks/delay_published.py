"""The published recipes of learned delays (arXiv 2306.17670) on SHD, SSC or GSC, for who has the recordings.

ROOT holds shd_train.h5 and shd_test.h5; ssc_train.h5, ssc_valid.h5 and ssc_test.h5; or the folders and lists
of Speech Commands. As published: counts in frames of 10 ms, sums of 5 neighbouring units, padded in the
batch with silence; of GSC 140 mel bands in dB, see :mod:`snnkit.data.mel`. ``test-selected`` takes the best
epoch on the test set; ``val-split`` the best on the published validation set, of SHD on a fifth of the
training set, and measures the test set once. Epochs are chosen by rounded delays.

python -m benchmarks.delay_published ROOT --recipe shd --protocol val-split [--interp ste]
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from snnkit.data import DATASETS, Events, LogMel, SpeechCommands, holdout
from snnkit.losses import sum_softmax
from snnkit.models import DelayMLP
from snnkit.neurons import fractional_delays
from snnkit.train.delay_recipes import DELAY_RECIPES, DelayRecipe, Protocol
from snnkit.train.delays import warn_of_rounding

UNITS, GROUP = 700, 5
PUBLISHED_MEL = LogMel(high_hz=14_000)
Set = tuple[Sequence[Tensor], Tensor]


class Features(Sequence[Tensor]):
    """Those of Speech Commands, computed whenever they are asked for: they do not fit into memory."""

    def __init__(self, data: SpeechCommands) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> Any:
        return self.data.features(index)


def frames(events: Events, dt_ms: float) -> Tensor:
    """Counts ``[T, 140]`` uint8 of one recording, T up to its last spike."""
    channels = UNITS // GROUP
    step, channel = torch.as_tensor(events.t // int(1000 * dt_ms)), torch.as_tensor(events.x // GROUP)
    steps = int(step.max()) + 1 if len(step) else 1
    counts = torch.bincount(step.long() * channels + channel.long(), minlength=steps * channels)
    return counts.clamp(max=255).byte().view(steps, channels)


def load(recipe: DelayRecipe, root: Path, protocol: Protocol, mel: LogMel | None = None) -> dict[str, Set]:
    """Frames and labels to train with, to choose the epoch with, and to test with. mel: of GSC."""
    recipe.check_protocol(protocol)

    def read(split: str) -> Set:
        if recipe.dataset == "gsc":
            words = SpeechCommands(root, split, mel=mel)
            return Features(words), words.labels
        data = DATASETS.get(recipe.dataset)(root, split)
        return [frames(data.events(i), recipe.dt_ms) for i in range(len(data))], data.labels

    sets = {"train": read("train"), "test": read("test")}
    if protocol == "test-selected":
        return {**sets, "choose": sets["test"]}
    if recipe.dataset != "shd":
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
            part = range(start, min(start + batch, len(y)))
            votes = net(pad_sequence([x[i] for i in part]).float()).softmax(-1).sum(0)
            right += int((votes.argmax(-1) == y[part.start : part.stop]).sum())
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
    parser.add_argument(
        "--published-bands", action="store_true", help="GSC: bands up to 14 kHz, of which 53 hear nothing"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/delay_published.json"))
    args = parser.parse_args(arguments)
    recipe = DELAY_RECIPES[args.recipe]
    sets = load(recipe, args.root, args.protocol, PUBLISHED_MEL if args.published_bands else None)
    row = train(recipe, sets, args.epochs or recipe.epochs, args.seed, interp=args.interp)
    asked = {name: value for name, value in vars(args).items() if name not in ("root", "epochs", "out")}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({**asked, **row}, indent=1))
    print(f"wrote {args.out}: {row}")


if __name__ == "__main__":
    main()
