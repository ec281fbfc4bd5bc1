"""Patch embeddings with a convolution on their shortcut: of Max-Former, QKFormer and SGLFormer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from ..checks import choice, is_integer
from ..errors import require
from ..neurons import NeuronFactory
from .conv import SpikingConv
from .embed import EMBEDS, PatchEmbed

__all__ = ["halve_membrane", "halve_spikes", "orig", "spike_chain", "stem_membrane_8"]

Pooling = Literal["max", "avg"]


@EMBEDS.register("orig")
def orig(
    in_channels: int, width: int, neuron: NeuronFactory, *, reduce: Literal["", "stride", "pool"] = ""
) -> PatchEmbed:
    """First stage of Max-Former (arXiv 2505.18608), membranes out.

    ``y = BN(3x3 conv)`` to C/2 channels, ``BN(3x3 conv(neuron(y)))`` to C, and a 1x1 convolution with norm on
    the shortcut, with a neuron of its own. With ``reduce`` (ImageNet, /4) the first two have stride 2
    ("stride": Max-Former) or max pooling behind their norms ("pool": QKFormer with membrane shortcuts),
    another ``BN(3x3 conv(neuron))`` follows, and the shortcut (stride 2) reads the spikes of y.
    """
    choice("orig.reduce", reduce, ("", "stride", "pool"))
    require(width % 2 == 0, "width", width, "an even number")
    half, to = width // 2, partial(SpikingConv, order="NCB", neuron=neuron)
    if not reduce:
        chain: list[nn.Module] = [SpikingConv(in_channels, half, 3, order="CB"), to(half, width, 3)]
        return PatchEmbed(chain, reduction=1, shortcut_from=0, shortcut=to(half, width))
    pool: Literal["norm"] | None = "norm" if reduce == "pool" else None
    stride = 1 if pool else 2
    chain = [
        SpikingConv(in_channels, half, 3, stride=stride, order="CB", pool=pool),
        neuron("embed", half),
        SpikingConv(half, width, 3, stride=stride, order="CB", pool=pool),
        to(width, width, 3),
    ]
    return PatchEmbed(chain, reduction=4, shortcut_from=1, shortcut=_point(half, width, stride=2))


@EMBEDS.register("stem_8")
def stem_membrane_8(in_channels: int, width: int, neuron: NeuronFactory) -> PatchEmbed:
    """First stage of Max-Former for 128x128 events (/8): three max poolings of the membrane.

    ``BN(3x3 conv)`` to C/8, then ``pool(BN(3x3 conv(neuron)))`` to C/4, C/2 and C; shortcut with stride 4
    from the spikes at C/4.
    """
    require(width % 8 == 0, "width", width, "a multiple of 8")
    w8, w4, w2 = width // 8, width // 4, width // 2
    chain = [
        SpikingConv(in_channels, w8, 3, order="CB"),
        SpikingConv(w8, w4, 3, order="NCB", neuron=neuron, pool="norm"),
        neuron("embed", w4),
        SpikingConv(w4, w2, 3, order="CB", pool="norm"),
        SpikingConv(w2, width, 3, order="NCB", neuron=neuron, pool="norm"),
    ]
    return PatchEmbed(chain, reduction=8, shortcut_from=2, shortcut=_point(w4, width, stride=4))


@EMBEDS.register("halve")
def halve_membrane(
    in_channels: int,
    width: int,
    neuron: NeuronFactory,
    *,
    pool: Literal["both", "first", "second", "none"] = "both",
    pooling: Pooling = "max",
) -> PatchEmbed:
    """Later stages of Max-Former and of QKFormer with membrane shortcuts (/2).

    ``s = neuron(x)``; ``BN(3x3 conv(neuron(BN(3x3 conv(s)))))`` and a 1x1 convolution with norm of s.

    Args:
        pool: where the map is halved by pooling behind a norm: first convolution and shortcut ("both":
            Max-Former), the first or the second convolution with a shortcut of stride 2 (QKFormer on
            ImageNet, on small images), or by strides alone ("none", an ablation).
        pooling: "max"; "avg" is an ablation.
    """
    choice("halve.pool", pool, ("both", "first", "second", "none"))
    first: Literal["norm"] | None = "norm" if pool in ("both", "first") else None
    second: Literal["norm"] | None = "norm" if pool == "second" else None
    chain = [
        neuron("embed", in_channels),
        SpikingConv(in_channels, width, 3, order="CB", pool=first, pooling=pooling),
        SpikingConv(
            width,
            width,
            3,
            stride=2 if pool == "none" else 1,
            order="NCB",
            neuron=neuron,
            pool=second,
            pooling=pooling,
        ),
    ]
    shortcut = (
        SpikingConv(in_channels, width, order="CB", pool="norm", pooling=pooling)
        if pool == "both"
        else _point(in_channels, width, stride=2)
    )
    return PatchEmbed(chain, reduction=2, shortcut_from=0, shortcut=shortcut)


@EMBEDS.register("halve_spikes")
def halve_spikes(
    in_channels: int, width: int, neuron: NeuronFactory, *, pool: Literal["first", "second"] = "first"
) -> PatchEmbed:
    """Later stages of QKFormer (arXiv 2403.16552) with "sew" residuals (/2): counts in, counts 0..2 out.

    Two ``neuron(BN(3x3 conv))``, one of them with max pooling behind its norm, plus
    ``neuron(BN(1x1 conv with stride 2))`` of the input.
    """
    choice("halve_spikes.pool", pool, ("first", "second"))
    pools: list[Literal["norm"] | None] = ["norm", None] if pool == "first" else [None, "norm"]
    chain = [
        SpikingConv(in_channels, width, 3, neuron=neuron, pool=pools[0]),
        SpikingConv(width, width, 3, neuron=neuron, pool=pools[1]),
    ]
    shortcut = SpikingConv(in_channels, width, 1, stride=2, neuron=neuron)
    return PatchEmbed(chain, reduction=2, shortcut_from=-1, shortcut=shortcut)


@EMBEDS.register("spike_chain")
def spike_chain(
    in_channels: int,
    width: int,
    neuron: NeuronFactory,
    *,
    divisors: Sequence[int],
    pools: str | Sequence[int],
    shortcut_from: int | None = None,
) -> PatchEmbed:
    """First stage of QKFormer and SGLFormer: a chain of ``neuron([pool] BN(3x3 conv))``.

    Args:
        divisors: layer i has ``width // divisors[i]`` channels.
        pools: which layers halve the map by max pooling behind the norm, as "110".
        shortcut_from: layer whose spikes a ``neuron(BN(1x1 conv))`` adds to the output; None for none.
    """
    flags = [str(flag) == "1" for flag in pools]
    require(
        len(flags) == len(divisors) and all(str(flag) in "01" for flag in pools),
        "pools",
        pools,
        f"{len(divisors)} characters 0 or 1, one for each layer",
    )
    require(
        all(is_integer(d) and 0 < d <= width for d in divisors), "divisors", divisors, f"ints in [1, {width}]"
    )
    widths = [in_channels, *(width // d for d in divisors)]
    chain = [
        SpikingConv(
            widths[i],
            widths[i + 1],
            3,
            neuron=neuron,
            role="stem" if i == 0 else "embed",
            pool="norm" if halved else None,
        )
        for i, halved in enumerate(flags)
    ]
    if shortcut_from is None:
        return PatchEmbed(chain, reduction=2 ** sum(flags))
    stride = 2 ** sum(flags[shortcut_from + 1 :])
    shortcut = SpikingConv(widths[shortcut_from + 1], width, stride=stride, neuron=neuron)
    return PatchEmbed(chain, reduction=2 ** sum(flags), shortcut_from=shortcut_from, shortcut=shortcut)


def _point(cin: int, cout: int, stride: int) -> SpikingConv:
    """1x1 convolution and norm of spikes, the shortcut around a reduction."""
    return SpikingConv(cin, cout, stride=stride, order="CB")
