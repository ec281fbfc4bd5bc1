"""Part 7: classification head."""

from __future__ import annotations

from torch import Tensor, nn

from ..neurons import NeuronFactory
from ..readout import READOUTS
from ..sequence import per_step

__all__ = ["Head"]


class Head(nn.Module):
    """Mean over tokens -> [neuron] -> Linear -> read-out over time.

    Args:
        width, num_classes: channels in, classes out.
        neuron: factory (role "head"), or None for models whose head reads the mean directly.
        readout: name of a read-out: "mean", "per_step", "sum", "max", "last", ...

    Shape:
        ``[T, B, C, H, W] -> [B, num_classes]``, or ``[T, B, num_classes]`` with "per_step".
    """

    def __init__(
        self, width: int, num_classes: int, neuron: NeuronFactory | None, readout: str = "mean"
    ) -> None:
        super().__init__()
        self.neuron = neuron("head", width) if neuron else None
        self.readout = READOUTS.get(readout)()
        self.linear = nn.Linear(width, num_classes * self.readout.group)
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = per_step(_token_mean, x, training=self.training)
        if self.neuron is not None:
            x = self.neuron(x)
        return self.readout(per_step(self.linear, x))


def _token_mean(x: Tensor) -> Tensor:
    return x.flatten(2).mean(2)
