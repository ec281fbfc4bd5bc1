"""Part 4: channel mixers, ``[T, B, C, H, W] -> [T, B, C, H, W]``, each position by itself."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from ..neurons import NeuronFactory
from ..registry import Registry
from .attention import ResidualKind
from .conv import SpikingConv

__all__ = ["CHANNEL_MIXERS", "MLP"]

CHANNEL_MIXERS: Registry = Registry("channel mixer")


@CHANNEL_MIXERS.register("mlp")
class MLP(nn.Module):
    """Two 1x1 convolutions with biases, hidden width ``ratio * width``.

    "sew": ``neuron(BN(fc2(neuron(BN(fc1(x))))))``; "ms": ``BN(fc2(neuron(BN(fc1(neuron(x))))))``.
    """

    def __init__(
        self, width: int, neuron: NeuronFactory, *, residual: ResidualKind, ratio: float = 4.0
    ) -> None:
        super().__init__()
        hidden = int(width * ratio)
        order: Literal["NCB", "CBN"] = "NCB" if residual == "ms" else "CBN"
        self.fc1 = SpikingConv(width, hidden, bias=True, order=order, neuron=neuron, role="mlp1")
        self.fc2 = SpikingConv(hidden, width, bias=True, order=order, neuron=neuron, role="mlp2")

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        return self.fc2(self.fc1(x))
