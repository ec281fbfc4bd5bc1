"""Writes docs/models.md from the registry: ``python -m docs.make_model_table``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from snnkit.models import list_models, model_info
from snnkit.models.table import ModelRow, model_table

PAGE = Path(__file__).parent / "models.md"
COMMAND = "python -m docs.make_model_table"
HEAD = f"""# Models

<!-- Written by `{COMMAND}`; change snnkit/models instead. -->

Every size that `snnkit.create_model` knows; `snnkit models` prints the same. Parameters are those of this
library: layers of the published codes that take no part in the computation do not exist here. MACs are
multiply-adds of convolutions and classifier per step for the input given (steps x channels x height x
width), without the products of the attention, and with re-parameterised convolutions as they are trained.
Inside of spiking networks most of them are additions where a spike arrives: see [energy](energy.md).

**Accuracies are published ones, in per cent, with the place where they were read; none was reproduced here.**

## Making, loading, saving

```python
net = snnkit.create_model("qkformer_10_384", num_classes=100, neuron="klif")
net(torch.rand(2, 3, 224, 224))  # pictures, shown for net.T steps -> [B, 100]
net(torch.rand(4, 2, 3, 224, 224))  # sequences [T, B, C, H, W] -> [B, 100]

backbone = snnkit.create_model("meta_spikeformer_15m", features_only=True)
maps = backbone(torch.rand(2, 3, 224, 224))  # [T, B, C, H, W] each, fine to coarse
backbone.feature_channels, backbone.feature_strides  # [64, 128, 256, 360], [4, 8, 16, 16]

weights = torch.load("8_384.pth", map_location="cpu", weights_only=True)["state_dict"]  # of the public code
net, unused = snnkit.models.from_reference("sdt_8_384", weights)
snnkit.save_model(net, "sdt.safetensors")  # with its settings and a hash of every tensor
net = snnkit.load_model("sdt.safetensors", T=2)
```

`from_reference` and `load_model` take `features_only=True` too, and leave the weights of the classifier out.
`snnkit list quantized` names the networks with low-bit weights, see [quantization](quantization.md).
"""

LIVELY = """
## Attentions that begin silent or saturated

`snnkit.models.activity(net, x)` tells how often every layer fires. In training mode, with noise of the
published size as input, no layer of a fresh model is silent (no spike at all) or saturated (every neuron at
its maximum in every step), except an attention of the sizes below: with few tokens and narrow heads its sums
stay below the threshold, and in QSD-Transformer, whose learned scales begin the branch at almost nothing,
they are far above it. So it was published, and the public codes, run beside, have the same rates. To begin
with attentions that speak, use this setting, which `snnkit.models.model_info(name).lively` holds.

| name | setting |
| --- | --- |
"""


def page() -> str:
    """The text of docs/models.md."""
    parts = [HEAD]
    for paper, rows in groupby(
        sorted(model_table(), key=lambda r: (r.paper, r.parameters)), lambda r: r.paper
    ):
        parts.append(f"\n## {paper}\n\n| name | input | parameters | MACs per step | accuracy | read in |\n")
        parts.append("| --- | --- | ---: | ---: | --- | --- |\n")
        parts += [line(row) for row in rows]
    return "".join([*parts, LIVELY, *lively()])


def lively() -> list[str]:
    """Rows of the sizes that begin with a constant attention."""
    sizes = {name: model_info(name).lively for name in list_models()}
    pairs = {name: ", ".join(f"{k}={v:g}" for k, v in given.items()) for name, given in sizes.items()}
    return [f"| `{name}` | `{given}` |\n" for name, given in pairs.items() if given]


def line(row: ModelRow) -> str:
    """One row."""
    cells = (
        f"`{row.name}`",
        row.input,
        f"{row.parameters:,}",
        f"{row.macs / 1e9:.2f} G",
        row.accuracy or "-",
        row.source or "-",
    )
    return "| " + " | ".join(cells) + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
