"""Part 2: patch embeddings, from an image or event frame to a map of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from ..errors import require
from ..neurons import NeuronFactory
from ..registry import Registry
from .conv import SpikingConv

__all__ = ["EMBEDS", "PatchEmbed", "ms_sps", "sps", "sps_ms_order"]

EMBEDS: Registry = Registry("patch embedding")
Pools = str | Sequence[int]


class PatchEmbed(nn.Module):
    """A chain of layers, and at most one shortcut that ends at the output.

    ``y_i = layer_i(y_{i-1})``; output ``y_last + shortcut(y_from)``.

    Args:
        layers: the chain: :class:`SpikingConv`, and neurons whose spikes both ways read.
        reduction: factor between input and output map size.
        shortcut_from: index of the layer whose output the shortcut takes, -1 for the input; None for none.
        shortcut: what the shortcut passes, None for nothing.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        reduction: int,
        shortcut_from: int | None = None,
        shortcut: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(layers)
        self.shortcut_from, self.shortcut, self.reduction = shortcut_from, shortcut, reduction

    def forward(self, x: Tensor, repeat: int = 1) -> Tensor:
        """``[T, B, C, H, W]`` (or T = 1 and ``repeat`` steps) -> ``[T, B, width, H', W']``."""
        kept = x if self.shortcut_from == -1 else None
        for i, layer in enumerate(self.convs):
            x = layer(x, repeat=repeat) if i == 0 and repeat > 1 else layer(x)
            if i == self.shortcut_from:
                kept = x
        if kept is None:
            return x
        return x + (kept if self.shortcut is None else self.shortcut(kept))


def _stages(
    in_channels: int, width: int, pools: Pools
) -> tuple[list[int], list[Literal["spike"] | None], int]:
    flags = "".join(map(str, pools)) if isinstance(pools, str | Sequence) else ""
    require(
        len(flags) == 4 and set(flags) <= {"0", "1"},
        "pools",
        pools,
        'four characters 0 or 1, one for each stage, as "0011", or the list [0, 0, 1, 1]',
        "In YAML write a list: there 0011 is a number.",
    )
    require(width % 8 == 0, "width", width, "a multiple of 8 (the stem widens from width/8)")
    widths = [in_channels, width // 8, width // 4, width // 2, width]
    return widths, ["spike" if flag == "1" else None for flag in flags], 2 ** flags.count("1")


@EMBEDS.register("sps")
def sps(in_channels: int, width: int, neuron: NeuronFactory, *, pools: Pools = "1111") -> PatchEmbed:
    """Spiking patch splitting of Spikformer (arXiv 2209.15425, section 3.2).

    Four times ``3x3 conv -> BN -> neuron -> [max pool]`` of width C/8, C/4, C/2, C, then
    ``x + neuron(BN(3x3 conv(x)))``: the output counts 0, 1 or 2 spikes.

    Args:
        pools: which stages halve the map, "1111" (/16), "0011" (/4) or a list as [0, 0, 1, 1].
    """
    widths, pooled, reduction = _stages(in_channels, width, pools)
    convs = [
        SpikingConv(widths[i], widths[i + 1], 3, neuron=neuron, role="stem" if i == 0 else "embed", pool=pool)
        for i, pool in enumerate(pooled)
    ]
    convs.append(SpikingConv(width, width, 3, neuron=neuron))
    return PatchEmbed(convs, reduction=reduction, shortcut_from=3)


@EMBEDS.register("ms_sps")
def ms_sps(in_channels: int, width: int, neuron: NeuronFactory, *, pools: Pools = "1111") -> PatchEmbed:
    """Membrane-shortcut patch splitting of Spike-driven Transformer V1 (arXiv 2307.01694).

    As :func:`sps`, but the fourth stage leaves (and pools) the membrane, and the position
    convolution adds to it: ``f + BN(3x3 conv(neuron(f)))``.
    """
    widths, pooled, reduction = _stages(in_channels, width, pools)
    convs = [
        SpikingConv(widths[i], widths[i + 1], 3, neuron=neuron, role="stem" if i == 0 else "embed", pool=pool)
        for i, pool in enumerate(pooled[:3])
    ]
    convs.append(SpikingConv(widths[3], width, 3, order="CB", pool="norm" if pooled[3] else None))
    convs.append(SpikingConv(width, width, 3, order="NCB", neuron=neuron))
    return PatchEmbed(convs, reduction=reduction, shortcut_from=3)


@EMBEDS.register("sps_ms_order")
def sps_ms_order(in_channels: int, width: int, neuron: NeuronFactory, *, pools: Pools = "1111") -> PatchEmbed:
    """Tokenizer of Spikingformer (arXiv 2304.11954): widths of :func:`sps`, neurons in front of convolutions.

    ``BN(3x3 conv(x))``, then four times ``BN(3x3 conv([max pool](neuron(x))))``, without a shortcut.
    """
    widths, pooled, reduction = _stages(in_channels, width, pools)
    convs = [SpikingConv(in_channels, widths[1], 3, order="CB")]
    convs += [
        SpikingConv(cin, cout, 3, order="NCB", neuron=neuron, pool=pool)
        for cin, cout, pool in zip(widths[1:], [*widths[2:], width], pooled, strict=True)
    ]
    return PatchEmbed(convs, reduction=reduction)
