"""Token mixers by convolution and pooling."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import flag, integer
from ..errors import require
from ..neurons import NeuronFactory
from ..sequence import per_step
from .conv import SpikingConv
from .mixer import MIXERS, ResidualKind, TokenMixer, branch_order
from .rep import DepthwiseSeparable

__all__ = ["DWC3", "DWC5", "DWC7", "AvgPoolMixer", "ConvBranch", "IdentityMixer", "MaxPoolMixer", "SepConv"]


class DepthwiseMixer(TokenMixer):
    """Depthwise convolution with bias, of Max-Former (arXiv 2505.18608): ``BN(dwconv(neuron(x)))`` with "ms".

    A subclass sets the ``kernel``. Arguments: those of :class:`snnkit.layers.TokenMixer`.
    """

    kernel: int

    def __init__(self, width: int, heads: int, neuron: NeuronFactory, *, residual: ResidualKind) -> None:
        super().__init__(width, heads, neuron, residual=residual)
        order = branch_order(residual)
        self.conv = SpikingConv(
            width, width, self.kernel, groups=width, bias=True, order=order, neuron=neuron, role="in"
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return self.conv(x)


@MIXERS.register("dwc3")
class DWC3(DepthwiseMixer):
    """Depthwise 3x3 convolution."""

    kernel = 3


@MIXERS.register("dwc5")
class DWC5(DepthwiseMixer):
    """Depthwise 5x5 convolution."""

    kernel = 5


@MIXERS.register("dwc7")
class DWC7(DepthwiseMixer):
    """Depthwise 7x7 convolution."""

    kernel = 7


@MIXERS.register("sepconv")
class SepConv(TokenMixer):
    """Separable convolution of Meta-SpikeFormer (arXiv 2404.03663): pointwise, depthwise, pointwise.

    ``BN(pw(dw(neuron(BN(pw(neuron(x)))))))``: the second pointwise convolution reads real numbers, until
    :func:`snnkit.layers.fuse_rep` makes it one dense convolution with the depthwise one. With
    ``spike_between`` (E-SpikeFormer, arXiv 2411.16061) a norm and a neuron stand between them.

    Args:
        kernel: odd size of the depthwise convolution. ratio: expansion between the pointwise ones.
        spike_between: see above.
        and those of :class:`snnkit.layers.TokenMixer`.
    """

    residuals = ("ms",)

    def __init__(
        self,
        width: int,
        heads: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        kernel: int = 7,
        ratio: int = 2,
        spike_between: bool = False,
    ) -> None:
        super().__init__(width, heads, neuron, residual=residual)
        _odd("SepConv.kernel", kernel)
        flag("SepConv.spike_between", spike_between)
        inner = width * integer("SepConv.ratio", ratio)
        convs = [SpikingConv(width, inner, order="NCB", neuron=neuron, role="in")]
        if spike_between:
            convs += [
                SpikingConv(inner, inner, kernel, groups=inner, order="NCB", neuron=neuron, role="mlp1"),
                SpikingConv(inner, width, order="NCB", neuron=neuron, role="mlp2"),
            ]
        else:
            conv = DepthwiseSeparable(inner, width, kernel)
            convs.append(SpikingConv(inner, width, order="NCB", neuron=neuron, role="mlp1", conv=conv))
        self.convs = nn.Sequential(*convs)

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return self.convs(x)


@MIXERS.register("conv_branch")
class ConvBranch(TokenMixer):
    """Convolution branch of SGLFormer (Frontiers in Neuroscience 2024), with "sew".

    ``y = x + dw(x)``, then ``y + pw(dw(pw(y)))`` with four times the channels inside; every convolution
    (3x3 depthwise or 1x1, without bias) is followed by norm and neuron.
    """

    residuals = ("sew",)

    def __init__(self, width: int, heads: int, neuron: NeuronFactory, *, residual: ResidualKind) -> None:
        super().__init__(width, heads, neuron, residual=residual)
        inner = 4 * width
        self.near = SpikingConv(width, width, 3, groups=width, neuron=neuron, role="in")
        self.inverted = nn.Sequential(
            SpikingConv(width, inner, neuron=neuron, role="mlp1"),
            SpikingConv(inner, inner, 3, groups=inner, neuron=neuron, role="mlp1"),
            SpikingConv(inner, width, neuron=neuron, role="mlp2"),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        x = x + self.near(x)
        return x + self.inverted(x)


@MIXERS.register("maxpool")
class MaxPoolMixer(TokenMixer):
    """3x3 max pooling at stride 1 in place of the stream, no shortcut (Max-Former, arXiv 2505.18608)."""

    shortcut = False
    pool = staticmethod(partial(F.max_pool2d, kernel_size=3, stride=1, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return per_step(self.pool, x, training=True)


@MIXERS.register("avgpool")
class AvgPoolMixer(MaxPoolMixer):
    """As :class:`MaxPoolMixer` with averages of the values in the map: the low-pass of the ablation."""

    pool = staticmethod(partial(F.avg_pool2d, kernel_size=3, stride=1, padding=1, count_include_pad=False))


@MIXERS.register("identity")
class IdentityMixer(TokenMixer):
    """No mixing at all: the block is its channel mixer. Max-Former starts with one; a baseline elsewhere."""

    shortcut = False

    def forward(self, x: Tensor) -> Tensor:
        """``x``."""
        return x


def _odd(where: str, kernel: int) -> None:
    require(integer(where, kernel) % 2 == 1, where, kernel, "an odd int")
