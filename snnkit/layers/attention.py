"""Part 3: token mixers by attention, ``[T, B, C, H, W] -> [T, B, C, H, W]``, without softmax."""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar, Required, TypedDict, Unpack

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import flag, integer, number
from ..neurons import NeuronFactory, Role
from ..sequence import per_step
from .conv import Order, SpikingConv
from .mixer import MIXERS, Place, ResidualKind, TokenMixer
from .rep import RepConv

__all__ = ["SDSA1", "SSA", "AttentionArgs", "SSAArgs", "SpikingAttention", "channel_sums"]


class AttentionArgs(TypedDict, total=False):
    """What every attention passes on to :class:`SpikingAttention` as it is, with its defaults."""

    residual: Required[ResidualKind]
    qkv_bias: bool
    proj_bias: bool
    rep: bool
    value_ratio: int


class SSAArgs(AttentionArgs, total=False):
    """What variants of :class:`SSA` pass on to it."""

    scale: float


class SpikingAttention(TokenMixer):
    """Projections that all spiking attentions share: [neuron] -> q, k, v -> mix -> projection.

    Args:
        width, heads: channels and heads; the head dimension is ``width / heads``.
        neuron: factory; roles "in" (ms only), "q", "k", "v", "attn", "proj" (sew only).
        residual: "sew" or "ms".
        qkv_bias, proj_bias: biases of q, k and v, and of the projection.
        rep: projections are :class:`snnkit.layers.RepConv` in place of 1x1 convolutions.
        value_ratio: channels of v are ``value_ratio * width``.

    Attributes:
        projections: which of q, k and v there are.
    """

    attends = True
    projections: ClassVar[tuple[Role, ...]] = ("q", "k", "v")

    def __init__(
        self,
        width: int,
        heads: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        qkv_bias: bool = False,
        proj_bias: bool = True,
        rep: bool = False,
        value_ratio: int = 1,
    ) -> None:
        super().__init__(width, heads, neuron, residual=residual)
        name = type(self).__name__
        for key, value in (("qkv_bias", qkv_bias), ("proj_bias", proj_bias), ("rep", rep)):
            flag(f"{name}.{key}", value)
        inner = width * integer(f"{name}.value_ratio", value_ratio)
        self.neuron = neuron("in", width) if residual == "ms" else None
        for role in self.projections:
            cout = inner if role == "v" else width
            conv = RepConv(width, cout) if rep else None
            setattr(self, role, SpikingConv(width, cout, bias=qkv_bias, neuron=neuron, role=role, conv=conv))
        self.attn = neuron("attn", self.gates(inner))
        order: Order = "CB" if residual == "ms" else "CBN"
        conv = RepConv(inner, width) if rep else None
        self.proj = SpikingConv(
            inner, width, bias=proj_bias, order=order, neuron=neuron, role="proj", conv=conv
        )

    def gates(self, inner: int) -> int:
        """Channels of what enters the attention neuron."""
        return inner

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        s = x if self.neuron is None else self.neuron(x)
        return self.proj(self.mix(*(getattr(self, role)(s) for role in self.projections)))

    def mix(self, *maps: Tensor) -> Tensor:
        """Combine the spike maps of the projections; returns spikes."""
        raise TypeError(f"{type(self).__name__} must implement mix(q, k, v)")


@MIXERS.register("ssa")
class SSA(SpikingAttention):
    """Spiking self-attention of Spikformer (arXiv 2209.15425, eq. 5-7): ``neuron(scale * Q K^T V)``.

    The product is associative, and exact on spikes: all sums are integers below 2^24, computed in
    float32 also under autocast. The cheaper order is taken: ``Q (K^T V)`` where there are more tokens
    than channels per head, else ``(Q K^T) V``.

    Args:
        scale: factor of the product; 0.125 as published, whatever the head dimension.
        and those of :class:`SpikingAttention`.
    """

    def __init__(self, *place: *Place, scale: float = 0.125, **attention: Unpack[AttentionArgs]) -> None:
        super().__init__(*place, **attention)
        self.scale: float | Tensor = number(f"{type(self).__name__}.scale", scale)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        return self.attn(per_step(self.attend, q, k, v, training=self.training))

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """``scale Q K^T V`` of rows ``[N, C, H, W]``, each head by itself, in the cheaper order."""
        dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        # the meta device has no autocast to switch off
        with nullcontext() if q.device.type == "meta" else torch.autocast(q.device.type, enabled=False):
            # [B, h, d, N]: tokens last, so products need no transposed copies of the maps
            qh, kh, vh = (z.to(dtype).flatten(2).unflatten(1, (self.heads, -1)) for z in (q, k, v))
            tokens, dim, values = qh.shape[-1], qh.shape[-2], vh.shape[-2]
            token_first = tokens * (dim + values) > 2 * dim * values
            out = (vh @ kh.mT) @ qh if token_first else vh @ (kh.mT @ qh)
            return (self.scale * out).flatten(1, 2).unflatten(2, q.shape[2:]).to(q.dtype)


@MIXERS.register("sdsa1")
class SDSA1(SpikingAttention):
    """Spike-driven self-attention of SDT-V1 (arXiv 2307.01694): ``Q * neuron(sum over tokens of K * V)``.

    Masks and column sums only, no multiplication. The paper masks V by ``neuron(sum(Q * K))``; this
    follows the published code, which is the same up to renaming the projections.

    Args:
        max_filter: K and V pass a spatial 3x3 max filter; ``K * V`` and the output pass one over the
            plane (token, channel of the head), which is what the published code does for event data.
        and those of :class:`SpikingAttention`.
    """

    residuals = ("ms",)

    def __init__(self, *place: *Place, max_filter: bool = False, **attention: Unpack[AttentionArgs]) -> None:
        super().__init__(*place, **attention)
        self.max_filter = flag("SDSA1.max_filter", max_filter)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        if self.max_filter:
            k, v = _max3x3(k), _max3x3(v)
        kv = self._over_tokens(k * v)
        gate = self.attn(per_step(channel_sums, kv, training=self.training))
        return self._over_tokens(q * gate)

    def _over_tokens(self, x: Tensor) -> Tensor:
        if not self.max_filter:
            return x
        by_head = x.flatten(3).unflatten(2, (self.heads, -1))  # [T, B, h, d, N]
        return _max3x3(by_head).flatten(2, 3).unflatten(3, x.shape[3:])


def _max3x3(x: Tensor) -> Tensor:
    """3x3 maximum at stride 1 over the last two of five axes."""
    return F.max_pool2d(x.flatten(0, 1), 3, stride=1, padding=1).unflatten(0, x.shape[:2])


def channel_sums(x: Tensor) -> Tensor:
    """``[N, C, H, W] -> [N, C, 1, 1]``: sums over tokens, counted in float32 at least."""
    wide = x if x.dtype == torch.float64 else x.float()
    return wide.sum((-2, -1), keepdim=True).to(x.dtype)
