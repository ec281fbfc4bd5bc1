"""Part 4: channel mixers, ``[T, B, C, H, W] -> [T, B, C, H, W]``."""

from __future__ import annotations

from typing import Required, TypedDict, Unpack

from torch import Tensor, nn

from ..checks import flag, integer
from ..errors import require
from ..neurons import NeuronFactory
from ..registry import Registry
from .conv import SpikingConv
from .mixer import ResidualKind, branch_order

__all__ = ["CHANNEL_MIXERS", "GWFFN", "MLP", "ChannelConv", "ResidualMLP"]

CHANNEL_MIXERS: Registry = Registry("channel mixer")


class _Args(TypedDict, total=False):
    residual: Required[ResidualKind]
    bias: bool


class _TwoConvs(nn.Module):
    """Two convolutions of one kernel size, hidden width ``ratio * width``."""

    kernel = 1

    def __init__(
        self,
        width: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        ratio: float = 4.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        hidden, order = int(width * ratio), branch_order(residual)
        flag(f"{type(self).__name__}.bias", bias)
        k = self.kernel
        self.fc1 = SpikingConv(width, hidden, k, bias=bias, order=order, neuron=neuron, role="mlp1")
        self.fc2 = SpikingConv(hidden, width, k, bias=bias, order=order, neuron=neuron, role="mlp2")

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return self.fc2(self.fc1(x))


@CHANNEL_MIXERS.register("mlp")
class MLP(_TwoConvs):
    """Two 1x1 convolutions, with biases by default, hidden width ``ratio * width``.

    "sew": ``neuron(BN(fc2(neuron(BN(fc1(x))))))``; "ms": ``BN(fc2(neuron(BN(fc1(neuron(x))))))``.
    """


@CHANNEL_MIXERS.register("residual_mlp")
class ResidualMLP(_TwoConvs):
    """MLP of ratio 1 with a shortcut around each of its layers, of the event models of Max-Former."""

    shortcut = False

    def __init__(
        self, width: int, neuron: NeuronFactory, *, ratio: float = 1.0, **convs: Unpack[_Args]
    ) -> None:
        require(ratio == 1, "ResidualMLP.ratio", ratio, "1: its shortcuts join equal widths")
        super().__init__(width, neuron, ratio=ratio, **convs)

    def forward(self, x: Tensor) -> Tensor:
        """``y = x + fc1(x)``, then ``y + fc2(y)``."""
        x = x + self.fc1(x)
        return x + self.fc2(x)


@CHANNEL_MIXERS.register("channelconv")
class ChannelConv(_TwoConvs):
    """Two 3x3 convolutions without biases (Meta-SpikeFormer, arXiv 2404.03663); ratio 1 is a basic block."""

    kernel = 3

    def __init__(
        self, width: int, neuron: NeuronFactory, *, residual: ResidualKind, ratio: float = 4.0
    ) -> None:
        super().__init__(width, neuron, residual=residual, ratio=ratio, bias=False)


@CHANNEL_MIXERS.register("gwffn")
class GWFFN(nn.Module):
    """Group-wise feed-forward network of SpikingResformer (CVPR 2024, arXiv 2403.14302), with "ms".

    ``y = BN(1x1(neuron(x)))`` of ``ratio * width`` channels, ``z = y + BN(3x3 in groups(neuron(y)))``,
    then ``BN(1x1(neuron(z)))``; no biases.

    Args:
        group: channels of a group.
        and width, neuron, residual, ratio of the other channel mixers.
    """

    def __init__(
        self,
        width: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        ratio: float = 4.0,
        group: int = 64,
    ) -> None:
        super().__init__()
        require(residual == "ms", "GWFFN.residual", residual, '"ms"')
        hidden = int(width * ratio)
        ok = hidden % integer("GWFFN.group", group) == 0
        require(ok, "GWFFN.group", group, f"a divisor of {hidden} = ratio * width")
        self.up = SpikingConv(width, hidden, order="NCB", neuron=neuron, role="mlp1")
        self.near = SpikingConv(
            hidden, hidden, 3, groups=hidden // group, order="NCB", neuron=neuron, role="mlp2"
        )
        self.down = SpikingConv(hidden, width, order="NCB", neuron=neuron, role="mlp2")

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        x = self.up(x)
        return self.down(x + self.near(x))
