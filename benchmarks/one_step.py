"""Accuracy of neurons that see one frame (T = 1): which of them send spikes, and what that costs.

    python -m benchmarks.one_step [--nmnist FOLDER] [--seeds 3] [--epochs 60]

Linear(pixels, 256) -> neuron -> Linear(256, 10), Adam, cosine, cross-entropy; frames are event counts divided
by their largest value. DigitsEvents: its test samples. N-MNIST: a held-out fifth of the training recordings.
"UltraLIF hard" is the soft network with one threshold per layer, chosen on training samples, untrained;
"ste" was trained with spikes. A real-valued output is no spike: the layer behind it multiplies.
"""

from __future__ import annotations

import argparse
from statistics import mean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import snnkit
from snnkit.data import NMNIST, DigitsEvents, holdout
from snnkit.neurons import calibrate_hard_threshold

from .harness import save, show

NEURONS: dict[str, dict[str, Any]] = {
    "LIF": {"name": "lif", "decay_input": False},
    "IE-LIF, counts 0..4": {"name": "ielif"},
    "UltraLIF soft": {"name": "ultra_lif"},
    "UltraLIF ste": {"name": "ultra_lif", "output": "ste"},
    "UltraDLIF soft": {"name": "ultra_dlif"},
}
Split = tuple[Tensor, Tensor, Tensor, Tensor]


def digits() -> Split:
    (x, y), (tx, ty) = (DigitsEvents(split, T=1).tensors() for split in ("train", "test"))
    return _scaled(x), y, _scaled(tx), ty


def nmnist(folder: str) -> Split:
    data = NMNIST(folder, "train", T=1)
    x, y = data.tensors()
    train, held = holdout(data)
    return _scaled(x[train]), y[train], _scaled(x[held]), y[held]


def _scaled(x: Tensor) -> Tensor:
    """``[N, 1, P, H, W]`` counts -> ``[N, features]`` in [0, 1]."""
    flat = x.float().flatten(1)
    return flat / flat.amax(1, keepdim=True).clamp(min=1)


class Net(nn.Module):
    """Two linear layers with a neuron between them, one step."""

    def __init__(self, features: int, neuron: dict[str, Any]) -> None:
        super().__init__()
        settings = {k: v for k, v in neuron.items() if k != "name"}
        self.neuron = snnkit.make_neuron(neuron["name"], **settings)
        self.fc1, self.fc2 = nn.Linear(features, 256), nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.neuron(self.fc1(x).unsqueeze(0))[0])


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    net.eval()
    with torch.no_grad():
        return 100 * (net(x).argmax(-1) == y).float().mean().item()


def train(net: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()


def activity(net: Net, x: Tensor) -> tuple[str, float]:
    """What the neuron sends, and its mean."""
    with torch.no_grad():
        out = net.neuron(net.fc1(x).unsqueeze(0))
    levels = net.neuron.spike_levels
    kind = "real values" if levels is None else "spikes" if levels == 1 else f"counts 0..{levels}"
    return kind, (out / getattr(net.neuron, "spike_unit", 1.0)).mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nmnist", metavar="FOLDER", help="recordings of N-MNIST")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()
    sets = {"DigitsEvents": digits()} | ({"N-MNIST": nmnist(args.nmnist)} if args.nmnist else {})
    rows: list[dict[str, Any]] = []
    for data, (x, y, tx, ty) in sets.items():
        for name, neuron in NEURONS.items():
            found: dict[str, list[float]] = {}
            kinds: dict[str, tuple[str, float]] = {}
            for seed in range(args.seeds):
                torch.manual_seed(seed)
                net = Net(x.shape[1], neuron)
                train(net, x, y, args.epochs)
                found.setdefault(name, []).append(accuracy(net, tx, ty))
                kinds[name] = activity(net, tx)
                if name == "UltraLIF soft":
                    calibrate_hard_threshold(net, x[:256])
                    found.setdefault("UltraLIF hard", []).append(accuracy(net, tx, ty))
                    kinds["UltraLIF hard"] = activity(net, tx)
            for label, values in found.items():
                kind, level = kinds[label]
                each = ", ".join(f"{v:.1f}" for v in values)
                rows.append(
                    {
                        "data": data,
                        "neuron": label,
                        "sends": kind,
                        "mean sent": level,
                        "accuracy, %": mean(values),
                        "each seed": each,
                    }
                )
    show("one step, test accuracy", rows)
    print(f"wrote {save('one_step', rows, seeds=args.seeds, epochs=args.epochs)}")


if __name__ == "__main__":
    main()
