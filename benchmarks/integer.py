"""Integer layers and the integer demo model against float32, 1 thread; 4 bits, several densities of spikes.

python -m benchmarks.integer
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.nn import functional as F

import snnkit
from snnkit import quant
from snnkit.kernels.int_layer import int_layer, int_weights
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


def spikes(shape: tuple[int, ...], density: float) -> Tensor:
    return (torch.rand(shape) < density).float()


def layers() -> list[dict[str, object]]:
    rows = []
    for shape, weight, settings in LAYERS:
        codes = torch.randint(-8, 8, weight)
        made, floats = int_weights(codes), codes.float()
        assert made is not None
        row: dict[str, object] = {"input": shape, "weight": weight}
        for density in DENSITIES:
            x = spikes(shape, density)
            n = x.int()
            dense = partial(F.linear if len(weight) == 2 else F.conv2d, x, floats, **settings)
            ours = partial(int_layer, n, made, **settings)
            if not torch.equal(ours(), dense().int()):
                raise SystemExit(f"{shape}: results differ; not timed")
            row[f"{density:.0%} active"] = race({"ours": ours, "float32": dense}, "ours", 15)[1]["float32"]
        rows.append(row)
    return rows


def models() -> list[dict[str, object]]:
    """The network of the recipe "digits"."""
    recipe = yaml.safe_load(Path(recipe_path("digits")).read_text())["model"]
    net = snnkit.create_model(
        recipe["name"], num_classes=10, neuron=recipe["neuron"], **recipe["settings"]
    ).eval()
    made = quant.convert_to_integer(quant.quantize(net, 4), spikes((1, 1, 2, 16, 16), 0.1))
    rows = []
    for batch in (1, 64):
        row: dict[str, object] = {"batch": batch}
        for density in (0.1, 0.3):
            x = spikes((6, batch, 2, 16, 16), density)
            with torch.no_grad():
                calls = {"integer": partial(made, x), "float32": partial(net, x)}
                row[f"{density:.0%} active"] = race(calls, "integer", 15)[1]["float32"]
        rows.append(row)
    return rows


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    of_layers, of_models = layers(), models()
    show("float32 layer / integer layer", of_layers)
    show("float32 network / integer network, with its neurons", of_models)
    print(f"wrote {save('integer_layers', of_layers)} and {save('integer_networks', of_models)}")


if __name__ == "__main__":
    main()
