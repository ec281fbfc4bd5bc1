"""Writes docs/spike_driven.md, what drives the products of a family: ``python -m docs.make_spike_table``."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from snnkit.layers import fuse_rep
from snnkit.models import Backbone, create_model, list_models
from snnkit.quant import product_inputs

PAGE = Path(__file__).parent / "spike_driven.md"
COMMAND = "python -m docs.make_spike_table"
HEAD = f"""# What drives the products

<!-- Written by `{COMMAND}`; change snnkit/models instead. -->

A convolution or linear layer behind a neuron adds weights where a spike arrives; one that reads real
numbers multiplies. `snnkit.quant.product_inputs(net, x)` tells for every product of a network which of the
two it is, and `snnkit.quant.assert_spike_driven` refuses the second kind. Here are all families of
`snnkit.models`, in their smallest size, in evaluation, on event frames; paths without numbers of stages and
blocks. The first convolution reads the input, so it stands in no column.

Counts are sums of spikes ("sew" residuals: the number is the largest seen in these small networks, and grows
with the depth) or the levels of an integer neuron: an input of 3 is three additions, or one multiplication.

| family | binary spikes | counts (largest) | real numbers |
| --- | --- | --- | --- |
"""


def families() -> list[str]:
    """The micro sizes of the models of images and event frames."""
    return [name for name in list_models("*_test") if isinstance(create_model(name), Backbone)]


def lively(name: str) -> tuple[Backbone, torch.Tensor]:
    """A network whose batch norms have seen data, so that neurons at any depth fire, and event frames."""
    torch.manual_seed(1)
    net, x = create_model(name), torch.poisson(0.3 * torch.ones(4, 4, 2, 16, 16))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.5, 3.0)
            nn.init.uniform_(module.bias, 0.0, 0.8)
            module.momentum = None
    with torch.no_grad():
        net(x)
    net.embeds[0].convs[0].affine[0].encoder = True  # type: ignore[union-attr,index]
    return net.eval(), x


def plain(path: str) -> str:
    """A path without numbers and names that every layer has."""
    kept = [p for p in path.split(".") if not p.isdigit() and p not in ("blocks", "branch", "affine")]
    return ".".join(kept) or "attention"


def row(name: str, net: nn.Module, x: torch.Tensor) -> str:
    """One line of the table."""
    seen = product_inputs(net, x)
    binary = {plain(path) for path, kind in seen.layers.items() if kind == "binary"}
    counts: dict[str, int] = {}
    for path, kind in seen.layers.items():
        if kind == "integer":
            counts[plain(path)] = max(seen.counts[path], counts.get(plain(path), 0))
    real = {plain(offence.path) for offence in seen.offences}
    cells = (
        f"`{name}`",
        " ".join(sorted(binary - counts.keys() - real)),
        " ".join(f"{path} ({most})" for path, most in sorted(counts.items()) if path not in real),
        " ".join(sorted(real)),
    )
    return "| " + " | ".join(cell or "-" for cell in cells) + " |\n"


def rows(name: str) -> list[str]:
    """Lines of a family: as it is trained and, where that differs, after ``fuse_rep``."""
    net, x = lively(name)
    found = [row(name.removesuffix("_test"), net, x)]
    fused = fuse_rep(net)
    if len(list(fused.modules())) < len(list(net.modules())):
        found.append(row(name.removesuffix("_test") + ", fused", fused, x))
    return found


def page() -> str:
    """The text of docs/spike_driven.md."""
    return HEAD + "".join(line for name in families() for line in rows(name))


if __name__ == "__main__":
    PAGE.write_text(page())
