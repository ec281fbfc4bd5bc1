"""Part 3: token mixers, ``[T, B, C, H, W] -> [T, B, C, H, W]``, without softmax.

Residual kinds: "sew" branches take and return spikes (or their sums), "ms" branches take and return
the membrane.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import flag, is_integer, number
from ..errors import ConfigError, require
from ..neurons import NeuronFactory
from ..registry import Registry
from ..sequence import per_step
from .conv import SpikingConv

__all__ = ["MIXERS", "SDSA1", "SSA", "ResidualKind"]

MIXERS: Registry = Registry("token mixer")
ResidualKind = Literal["sew", "ms"]


class _Attention(nn.Module):
    """Projections that all spiking attentions share: [neuron] -> q, k, v -> mix -> projection.

    Args:
        width, heads: channels and heads; the head dimension is ``width / heads``.
        neuron: factory; roles "in" (ms only), "q", "k", "v", "attn", "proj" (sew only).
        residual: "sew" or "ms".
        qkv_bias: biases of q, k and v.
    """

    residuals: tuple[ResidualKind, ...] = ("sew", "ms")

    def __init__(
        self,
        width: int,
        heads: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        qkv_bias: bool = False,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        ok = is_integer(heads) and heads > 0 and width % heads == 0
        require(ok, f"{name}.heads", heads, f"a divisor of width = {width}")
        if residual not in self.residuals:
            raise ConfigError(
                f"{name}: residual={residual!r} is not defined for this mixer, allowed: {self.residuals}. "
                "Choose another mixer or residual."
            )
        flag(f"{name}.qkv_bias", qkv_bias)
        self.heads = heads
        self.neuron = neuron("in", width) if residual == "ms" else None
        self.q, self.k, self.v = (
            SpikingConv(width, width, bias=qkv_bias, neuron=neuron, role=role) for role in ("q", "k", "v")
        )
        self.attn = neuron("attn", width)
        order: Literal["CB", "CBN"] = "CB" if residual == "ms" else "CBN"
        self.proj = SpikingConv(width, width, bias=True, order=order, neuron=neuron, role="proj")

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        s = x if self.neuron is None else self.neuron(x)
        return self.proj(self.mix(self.q(s), self.k(s), self.v(s)))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Combine the three spike maps; returns spikes."""
        raise TypeError(f"{type(self).__name__} must implement mix(q, k, v)")


@MIXERS.register("ssa")
class SSA(_Attention):
    """Spiking self-attention of Spikformer (arXiv 2209.15425, eq. 5-7): ``neuron(scale * Q K^T V)``.

    The product is associative, and exact on spikes: all sums are integers below 2^24, computed in
    float32 also under autocast. The cheaper order is taken: ``Q (K^T V)`` where there are more tokens
    than channels per head, else ``(Q K^T) V``.

    Args:
        scale: factor of the product; 0.125 as published, whatever the head dimension.
        and those of the other mixers: width, heads, neuron, residual, qkv_bias.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        qkv_bias: bool = False,
        scale: float = 0.125,
    ) -> None:
        super().__init__(width, heads, neuron, residual=residual, qkv_bias=qkv_bias)
        self.scale = number("SSA.scale", scale)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.attn(per_step(self._attend, q, k, v, training=self.training))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        dtype = torch.float64 if q.dtype == torch.float64 else torch.float32
        # the meta device has no autocast to switch off
        with nullcontext() if q.device.type == "meta" else torch.autocast(q.device.type, enabled=False):
            # [B, h, d, N]: tokens last, so products need no transposed copies of the maps
            qh, kh, vh = (z.to(dtype).flatten(2).unflatten(1, (self.heads, -1)) for z in (q, k, v))
            tokens, dim = qh.shape[-1], qh.shape[-2]
            out = (vh @ kh.mT) @ qh if tokens > dim else vh @ (kh.mT @ qh)
            return (self.scale * out).flatten(1, 2).unflatten(2, q.shape[2:]).to(q.dtype)


@MIXERS.register("sdsa1")
class SDSA1(_Attention):
    """Spike-driven self-attention of SDT-V1 (arXiv 2307.01694): ``Q * neuron(sum over tokens of K * V)``.

    Masks and column sums only, no multiplication. The paper masks V by ``neuron(sum(Q * K))``; this
    follows the published code, which is the same up to renaming the projections.

    Args:
        max_filter: K and V pass a spatial 3x3 max filter; ``K * V`` and the output pass one over the
            plane (token, channel of the head), which is what the published code does for event data.
        and those of the other mixers: width, heads, neuron, residual, qkv_bias.
    """

    residuals = ("ms",)

    def __init__(
        self,
        width: int,
        heads: int,
        neuron: NeuronFactory,
        *,
        residual: ResidualKind,
        qkv_bias: bool = False,
        max_filter: bool = False,
    ) -> None:
        super().__init__(width, heads, neuron, residual=residual, qkv_bias=qkv_bias)
        self.max_filter = flag("SDSA1.max_filter", max_filter)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self.max_filter:
            k, v = _max3x3(k), _max3x3(v)
        kv = self._over_tokens(k * v)
        gate = self.attn(per_step(_token_sum, kv, training=self.training))
        return self._over_tokens(q * gate)

    def _over_tokens(self, x: Tensor) -> Tensor:
        if not self.max_filter:
            return x
        by_head = x.flatten(3).unflatten(2, (self.heads, -1))  # [T, B, h, d, N]
        return _max3x3(by_head).flatten(2, 3).unflatten(3, x.shape[3:])


def _max3x3(x: Tensor) -> Tensor:
    """3x3 maximum at stride 1 over the last two of five axes."""
    return F.max_pool2d(x.flatten(0, 1), 3, stride=1, padding=1).unflatten(0, x.shape[:2])


def _token_sum(x: Tensor) -> Tensor:
    return (
        x.float().sum((-2, -1), keepdim=True).to(x.dtype)
        if x.dtype != torch.float64
        else x.sum((-2, -1), True)
    )
