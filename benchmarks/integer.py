"""Integer layers and integer networks against float32, 1 thread; 4 bits, several densities of spikes.

python -m benchmarks.integer [runs/demo]      with the run of ``snnkit demo``, also its trained network

The float network is the fast path of the library: batch norm and neuron are one native operation. The integer
network has 4 bits, 8 in the first and last layer, without training at them: only its time counts.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F

import snnkit
from snnkit import quant
from snnkit.data.collate import time_first
from snnkit.kernels import IntLayer
from snnkit.neurons import Neuron
from snnkit.train.evaluate import open_data, open_model
from snnkit.train.run import recipe_path

from .harness import race, save, show

DENSITIES = (0.02, 0.1, 0.3, 1.0)
LAYERS: tuple[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], ...] = (
    ((6, 256), (256, 256), {}),
    ((384, 512), (512, 512), {}),
    ((6, 1024), (1024, 1024), {}),
    ((6, 128, 16, 16), (128, 128, 1, 1), {}),
    ((6, 64, 16, 16), (64, 64, 3, 3), {"padding": (1, 1)}),
    ((96, 128, 8, 8), (128, 128, 3, 3), {"padding": (1, 1)}),
)
RATES = (0.05, 0.1, 0.3)
BATCHES = (1, 64)


def spikes(shape: tuple[int, ...], density: float) -> Tensor:
    return (torch.rand(shape) < density).float()


def layers() -> list[dict[str, object]]:
    rows = []
    for shape, weight, settings in LAYERS:
        codes = torch.randint(-8, 8, weight)
        made, floats = IntLayer(codes, 1, settings), codes.float()
        row: dict[str, object] = {"input": shape, "weight": weight}
        for density in DENSITIES:
            x = spikes(shape, density)
            dense = partial(F.linear if len(weight) == 2 else F.conv2d, x, floats, **settings)
            ours = partial(made, x.to(torch.uint8))
            if not torch.equal(ours(), dense().int()):
                raise SystemExit(f"{shape}: results differ; not timed")
            row[f"{density:.0%} active"] = race({"ours": ours, "float32": dense}, "ours", 15)[1]["float32"]
        rows.append(row)
    return rows


def rates(net: nn.Module, x: Tensor) -> list[float]:
    """The share of values that are not zero behind every neuron."""
    found: list[float] = []

    def note(module: nn.Module, args: Any, out: Tensor) -> None:
        found.append(float((out != 0).float().mean()))

    hooks = [m.register_forward_hook(note) for m in net.modules() if isinstance(m, Neuron)]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def firing_at(rate: float, x: Tensor) -> nn.Module:
    """The network of the recipe "digits", untrained: norms with the statistics of ``x`` and one bias for all,
    chosen so that on average a share ``rate`` of the values behind the neurons is not zero."""
    recipe = yaml.safe_load(Path(recipe_path("digits")).read_text())["model"]
    torch.manual_seed(0)
    net = snnkit.create_model(recipe["name"], num_classes=10, neuron=recipe["neuron"], **recipe["settings"])
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    low, high = -4.0, 4.0
    for _ in range(12):
        bias = (low + high) / 2
        for norm in norms:
            nn.init.constant_(norm.bias, bias)
            norm.momentum = 1.0
        rates(net.train(), x)
        low, high = (bias, high) if mean(rates(net.eval(), x)) < rate else (low, bias)
    return net


def networks(folder: str | None) -> list[dict[str, object]]:
    """Untrained networks of given firing rates and, if there is one, the trained one on test samples."""
    x = spikes((6, max(BATCHES), 2, 16, 16), 0.1)
    nets = [(f"firing at {rate:.0%}", firing_at(rate, x), x) for rate in RATES]
    if folder is not None:
        net, described = open_model(folder)
        frames = open_data(described, None).tensors()[0][: max(BATCHES)]
        nets.append(("trained, on test samples", net.eval(), time_first(frames)))
    rows = []
    for name, net, x in nets:
        made = quant.convert_to_integer(quant.quantize(net, 4), x[:1, :1])
        fired = rates(net, x)
        share = f"{mean(fired):.0%} ({min(fired):.0%} to {max(fired):.0%})"
        row: dict[str, object] = {"network": name, "values behind neurons not zero": share}
        for batch in BATCHES:
            part = x[:, :batch].contiguous()
            with torch.no_grad():
                calls = {"integer": partial(made, part), "float32": partial(net, part)}
                seconds, ratios = race(calls, "integer", 31 if batch == 1 else 15)
            row |= {f"batch {batch}": ratios["float32"], f"batch {batch}: integer, ms": 1e3 * seconds}
        rows.append(row)
    return rows


def main(folder: str | None = None) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    of_layers, of_networks = layers(), networks(folder)
    show("float32 layer / integer layer", of_layers)
    show("float32 network / integer network", of_networks)
    print(f"wrote {save('integer_layers', of_layers)} and {save('integer_networks', of_networks)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
