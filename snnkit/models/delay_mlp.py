"""A feed-forward network of delay layers, the model of learned synaptic delays (arXiv 2306.17670)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from ..checks import integer, number
from ..layers import PerStep, SequenceDropout
from ..neurons import LIF, DelayLinear, LeakyIntegrator
from ..sequence import as_sequence
from ..surrogate import ATan

__all__ = ["DelayMLP"]


class DelayMLP(nn.Module):
    """``[delays - batch norm - LIF - dropout] x depth - delays - leaky integrator``.

    Args:
        in_features: inputs per step. num_classes: outputs.
        width, depth: neurons of a hidden layer, and number of hidden layers.
        max_delay: largest delay in steps. tau: time constant of all membranes in steps.
        dropout: share of neurons left out in training, each for a whole sequence.
        delays: further arguments of every :class:`DelayLinear`, as ``kind`` or ``interp``.

    Shape:
        ``x [T, B, ...]``, flattened to ``in_features`` per step -> potentials ``[T, B, num_classes]``.

    Reference:
        Hassani et al. 2023, arXiv 2306.17670, and its code: no bias, input not scaled by 1/tau, threshold 1,
        hard reset to 0 without gradient, surrogate ATan(5); the read-out does not fire. Its sequences grow in
        every layer: ``pad="extend"``.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        width: int = 256,
        depth: int = 2,
        max_delay: int = 24,
        tau: float = 2.0,
        dropout: float = 0.0,
        **delays: Any,
    ) -> None:
        super().__init__()
        integer("DelayMLP.width", width)
        integer("DelayMLP.depth", depth)
        number("DelayMLP.dropout", dropout, at_least=0, below=1)
        sizes = [in_features, *[width] * depth]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                DelayLinear(a, b, max_delay, **delays),
                PerStep(nn.BatchNorm1d(b)),
                LIF(tau, decay_input=False, detach_reset=True, surrogate=ATan(5.0)),
                SequenceDropout(dropout),
            )
            for a, b in pairwise(sizes)
        )
        self.readout = DelayLinear(width, num_classes, max_delay, **delays)
        self.membrane = LeakyIntegrator(tau, decay_input=False)

    def forward(self, x: Tensor) -> Tensor:
        """Potentials of the read-out at every step."""
        x = as_sequence(x, "DelayMLP", 3, "[T, B, ...]").flatten(2)
        for block in self.blocks:
            x = block(x)
        return self.membrane(self.readout(x))
