"""Patch embeddings by strided convolution: of Meta-SpikeFormer, SpikingResformer and Spikformer V2."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ..checks import choice, flag, integer
from ..errors import require
from ..neurons import NeuronFactory
from .block import Residual
from .conv import SpikingConv
from .embed import EMBEDS, PatchEmbed
from .mlp import ChannelConv

__all__ = ["NoEmbed", "conv_stem", "down", "residual_down", "scs"]


@EMBEDS.register("none")
class NoEmbed(nn.Module):
    """No embedding: the stage goes on where the one before it ended."""

    reduction = 1

    def __init__(self, in_channels: int, width: int, neuron: NeuronFactory) -> None:
        super().__init__()
        require(width == in_channels, "width", width, f"{in_channels}, that of the stage before")

    def forward(self, x: Tensor) -> Tensor:
        """``x``."""
        return x


@EMBEDS.register("stem")
def conv_stem(
    in_channels: int,
    width: int,
    neuron: NeuronFactory,
    *,
    kernel: int = 7,
    stride: int = 2,
    bias: bool = False,
    pool: bool = False,
) -> PatchEmbed:
    """``BN(conv(x))`` of the image, without a neuron; with ``pool`` a 3x3 max pooling behind it."""
    integer("stem.kernel", kernel)
    conv = SpikingConv(
        in_channels,
        width,
        kernel,
        stride=integer("stem.stride", stride),
        bias=flag("stem.bias", bias),
        order="CB",
        pool="norm" if flag("stem.pool", pool) else None,
    )
    return PatchEmbed([conv], reduction=stride * (2 if pool else 1))


@EMBEDS.register("down")
def down(
    in_channels: int, width: int, neuron: NeuronFactory, *, stride: int = 2, bias: bool = True
) -> PatchEmbed:
    """``BN(3x3 conv(neuron(x)))`` with a stride, of Meta-SpikeFormer (arXiv 2404.03663)."""
    conv = SpikingConv(
        in_channels,
        width,
        3,
        stride=integer("down.stride", stride),
        bias=flag("down.bias", bias),
        order="NCB",
        neuron=neuron,
    )
    return PatchEmbed([conv], reduction=stride)


@EMBEDS.register("scs")
def scs(in_channels: int, width: int, neuron: NeuronFactory, *, stages: int = 4) -> PatchEmbed:
    """Spiking convolutional stem of Spikformer V2 (arXiv 2401.02020). Inferred: no code was published.

    ``stages`` times (widths C/8, C/4, C/2, C for four) a 2x2 convolution with stride 2 and norm, then a
    residual pair of 3x3 convolutions with four times the channels. This reproduces the published numbers of
    parameters; the order of neurons (in front of convolutions, none in front of the first) is a decision.
    """
    integer("scs.stages", stages)
    factor = 2 ** (stages - 1)
    require(width % factor == 0, "width", width, f"a multiple of {factor}")
    layers: list[nn.Module] = []
    cin = in_channels
    for i in range(stages):
        cout = width // 2 ** (stages - 1 - i)
        order: Literal["CB", "NCB"] = "NCB" if i else "CB"
        layers.append(SpikingConv(cin, cout, 2, stride=2, order=order, neuron=neuron))
        layers.append(Residual(ChannelConv(cout, neuron, residual="ms")))
        cin = cout
    return PatchEmbed(layers, reduction=2**stages)


@EMBEDS.register("residual_down")
def residual_down(
    in_channels: int,
    width: int,
    neuron: NeuronFactory,
    *,
    stem: int = 0,
    reduce: Literal["none", "pool", "stride"] = "pool",
) -> PatchEmbed:
    """First block of a stage of (Max-)ResNet (arXiv 2505.18608): two 3x3 convolutions and a 1x1 shortcut.

    ``BN(conv(neuron([pool] BN(conv(neuron(x))))))  + BN(1x1 conv(x))``: the shortcut reads the stream as it
    is, real numbers.

    Args:
        stem: channels of a convolution in front, for the first stage; 0 for none.
        reduce: halve the map by max pooling behind the first norm ("pool", a max block), by the stride of the
            first convolution ("stride", MS-ResNet), or not.
    """
    choice("residual_down.reduce", reduce, ("none", "pool", "stride"))
    layers: list[nn.Module] = []
    if integer("residual_down.stem", stem, at_least=0):
        layers.append(SpikingConv(in_channels, stem, 3, order="CB"))
    cin, stride = stem or in_channels, 1 if reduce == "none" else 2
    first = SpikingConv(
        cin,
        width,
        3,
        stride=2 if reduce == "stride" else 1,
        order="NCB",
        neuron=neuron,
        pool="norm" if reduce == "pool" else None,
    )
    second = SpikingConv(width, width, 3, order="NCB", neuron=neuron)
    shortcut = SpikingConv(cin, width, stride=stride, order="CB")
    return PatchEmbed(
        [*layers, first, second], reduction=stride, shortcut_from=len(layers) - 1, shortcut=shortcut
    )
