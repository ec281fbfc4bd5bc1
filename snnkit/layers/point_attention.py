"""Attention of a point to its neighbours with weights by softmax: what Spiking Point Transformer does."""

from __future__ import annotations

import math

from torch import Tensor, nn

from ..neurons import NeuronFactory
from ..sequence import per_step
from .conv import SpikingConv
from .point_groups import map_at

__all__ = ["PointAttention"]


class PointAttention(nn.Module):
    r"""Vector attention over K neighbours (arXiv 2502.15811, after Point Transformer, arXiv 2012.09164).

    ::

        q, k, v = neuron(BN(W s));  s = neuron(BN(W neuron(x)))
        delta_ij = neuron(MLP(p_i - p_j));  a_ij = MLP(q_i - k_j + delta_ij)
        y_i = BN(W neuron(sum_j softmax_j(a_ij / sqrt(C)) * (v_j + delta_ij)))

    The weights are real numbers, by a softmax over differences of spikes: products and exponentials that
    are no spike-driven work; the energy estimator counts them as what they are.

    Args:
        width: channels of the points. inner: C, channels inside, 512 as published.
        neuron: factory; roles "in", "q", "k", "v", "attn", "proj".

    Shape:
        ``x [T, B, width, N, 1]``, ``index [S, B, N, K]``, ``offset [T, B, 3, N, K]`` -> as x (a branch: no
        shortcut inside).
    """

    def __init__(self, width: int, inner: int, neuron: NeuronFactory) -> None:
        super().__init__()
        self.fc = SpikingConv(width, inner, order="NCB", neuron=neuron, role="in")
        self.neuron = neuron("in", inner)
        self.q, self.k, self.v = (
            SpikingConv(inner, inner, neuron=neuron, role=role) for role in ("q", "k", "v")
        )
        self.position = nn.Sequential(
            SpikingConv(3, inner, order="NCB", neuron=neuron),
            SpikingConv(inner, inner, order="NCB", neuron=neuron),
            neuron("embed", inner),
        )
        self.weigh = nn.Sequential(
            SpikingConv(inner, inner, order="NCB", neuron=neuron, role="attn"),
            SpikingConv(inner, inner, order="NCB", neuron=neuron, role="attn"),
        )
        self.proj = SpikingConv(inner, width, order="NCB", neuron=neuron, role="proj")
        self.scale = 1 / math.sqrt(inner)

    def forward(self, x: Tensor, index: Tensor, offset: Tensor) -> Tensor:
        """See the class."""
        s = self.neuron(self.fc(x))
        q, k, v = self.q(s), map_at(self.k(s), index), map_at(self.v(s), index)
        delta = self.position(offset)
        weights = self.weigh(q - k + delta)
        return self.proj(per_step(self._mix, weights, v + delta, training=self.training))

    def _mix(self, weights: Tensor, values: Tensor) -> Tensor:
        return ((self.scale * weights).softmax(-1) * values).sum(-1, keepdim=True)
