"""QK attention of QKFormer (NeurIPS 2024, arXiv 2403.16552): one map of spikes masks the other."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sequence import per_step
from .attention import SpikingAttention, channel_sums
from .mixer import MIXERS

__all__ = ["QKChannel", "QKToken"]


@MIXERS.register("qk_token")
class QKToken(SpikingAttention):
    """Token attention: ``neuron(sum of Q over the channels of a head) * K``, one gate per token and head."""

    projections = ("q", "k")

    def gates(self, inner: int) -> int:
        return self.heads

    def mix(self, q: Tensor, k: Tensor) -> Tensor:  # type: ignore[override]
        gate = self.attn(per_step(self._head_sums, q, training=self.training))  # [T, B, h, H, W]
        by_head = k.unflatten(2, (self.heads, -1))
        return (gate.unsqueeze(3) * by_head).flatten(2, 3)

    def _head_sums(self, q: Tensor) -> Tensor:
        wide = q if q.dtype == torch.float64 else q.float()
        return wide.unflatten(1, (self.heads, -1)).sum(2).to(q.dtype)


@MIXERS.register("sdsa2")
@MIXERS.register("qk_channel")
class QKChannel(SpikingAttention):
    """Channel attention: ``neuron(sum of Q over tokens) * K``, one gate per channel.

    Also registered as ``sdsa2``, the attention of Meta-SpikeFormer (arXiv 2404.03663) with two operands;
    which of them is summed there is not published in code, and inferred here.
    """

    projections = ("q", "k")

    def mix(self, q: Tensor, k: Tensor) -> Tensor:  # type: ignore[override]
        return self.attn(per_step(channel_sums, q, training=self.training)) * k
