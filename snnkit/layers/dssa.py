"""Dual spike self-attention of SpikingResformer (CVPR 2024, arXiv 2403.14302)."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ..checks import integer
from ..errors import ShapeError
from ..neurons import NeuronFactory
from ..sequence import per_step
from .conv import SpikingConv
from .mixer import MIXERS, ResidualKind, TokenMixer

__all__ = ["DSSA", "FiringRate"]


class FiringRate(nn.Module):
    """Running firing rate per head: set by the first training batch, then averaged with ``momentum``.

    Call it with spikes ``[T, B, h, d, N]``; returns the rates ``[h, 1, 1]``, at least ``floor``, where the
    published code divides by a rate of zero.

    Activation checkpointing runs the forward twice, and the second time the rate has moved by another
    ``1 - momentum``: gradients differ by as much from those without it. ``momentum = 1`` holds it still.
    """

    floor = 1e-3

    def __init__(self, heads: int, momentum: float = 0.999) -> None:
        super().__init__()
        self.momentum = momentum
        self.running_mean: Tensor
        self.register_buffer("running_mean", torch.zeros(heads))

    def forward(self, spikes: Tensor) -> Tensor:
        """See the class."""
        if self.training and spikes.numel():
            seen = spikes.detach().to(self.running_mean.dtype).mean((0, 1, 3, 4))
            started = (self.running_mean != 0).any()
            kept = torch.where(started, self.running_mean, seen)
            # a new tensor: the scale of an earlier forward may still be needed in its backward pass
            self.running_mean.copy_(kept.lerp(seen, 1 - self.momentum))
        return self.running_mean.clone().clamp(min=self.floor)[:, None, None]


@MIXERS.register("dssa")
class DSSA(TokenMixer):
    """``s = neuron(x)``, ``Y1, Y2 = BN(conv(s))`` of p x p patches, then per head

    ``A = neuron(Y1^T S / sqrt(f_s d))``, ``O = neuron(Y2 A / sqrt(f_A N / p^2))`` and ``BN(1x1(O))``.

    d are the channels of a head, N the tokens, ``f_s`` and ``f_A`` the firing rates of s and A
    (:class:`FiringRate`). Both products have one real operand and one of spikes.

    Args:
        patch: p; the map must be a multiple of it.
        and those of :class:`snnkit.layers.TokenMixer`.

    Raises:
        ShapeError: the map is no multiple of ``patch``.
    """

    residuals = ("ms",)
    attends = True

    def __init__(
        self, width: int, heads: int, neuron: NeuronFactory, *, residual: ResidualKind, patch: int = 1
    ) -> None:
        super().__init__(width, heads, neuron, residual=residual)
        self.patch = integer("DSSA.patch", patch)
        self.neuron = neuron("in", width)
        self.pair = SpikingConv(width, 2 * width, patch, stride=patch, order="CB")
        self.rate, self.attn_rate = FiringRate(heads), FiringRate(heads)
        self.attn = neuron("attn", heads)
        self.out = neuron("v", width)
        self.proj = SpikingConv(width, width, order="CB")

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, C, H, W] -> [T, B, C, H, W]``."""
        size, p = x.shape[-2:], self.patch
        if any(side % p for side in size):
            raise ShapeError(
                f"DSSA: got a map of {tuple(size)} tokens, expected multiples of patch = {p}. "
                "Use larger images or another patch."
            )
        spikes = self.neuron(x)
        first, second = self.pair(spikes).flatten(3).unflatten(2, (self.heads, -1)).chunk(2, dim=3)
        s = spikes.flatten(3).unflatten(2, (self.heads, -1))  # [T, B, h, d, N]
        scale = (self.rate(s) * s.shape[3]).rsqrt()
        scores = scale.to(s.dtype) * per_step(_product, first.mT, s, training=self.training)
        attn = self.attn(scores)  # [T, B, h, N/p^2, N]
        scale = (self.attn_rate(attn) * attn.shape[3]).rsqrt()
        out = scale.to(s.dtype) * per_step(_product, second, attn, training=self.training)
        return self.proj(self.out(out.flatten(2, 3).unflatten(3, size)))


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a @ b`` in float32 at least, also under autocast."""
    dtype = torch.float64 if a.dtype == torch.float64 else torch.float32
    with nullcontext() if a.device.type == "meta" else torch.autocast(a.device.type, enabled=False):
        return (a.to(dtype) @ b.to(dtype)).to(b.dtype)
