"""Spike-driven self-attention, versions 3 and 4 of Meta-SpikeFormer (ICLR 2024, arXiv 2404.03663).

Version 1 stands in :mod:`snnkit.layers.attention`; version 2, two operands without v, is
:class:`snnkit.layers.QKChannel`.
"""

from __future__ import annotations

import math
from typing import Unpack

import torch
from torch import Tensor, nn

from ..checks import number
from .attention import SSA, SSAArgs
from .mixer import MIXERS, Place

__all__ = ["SDSA3", "SDSA4"]


@MIXERS.register("sdsa3")
class SDSA3(SSA):
    """``gain * neuron(scale * Q K^T V)`` behind a membrane shortcut, projections by RepConv.

    The scale belongs to the threshold: 0.125 with threshold 0.5 is threshold 4 without a scale, so that
    nothing is multiplied at inference. Source: arXiv 2404.03663, and its public code.

    Args:
        gain: size of what the attention puts out, in units of its neuron; QSD-Transformer (arXiv 2501.13492,
            public code) divides its counts by 2 where all others are divided by 4, which is a gain of 2.
        and those of :class:`snnkit.layers.SSA`; ``rep`` is True and ``proj_bias`` False by default.
    """

    residuals = ("ms",)

    def __init__(self, *place: *Place, gain: float = 1.0, **ssa: Unpack[SSAArgs]) -> None:
        chosen: SSAArgs = {"rep": True, "proj_bias": False, **ssa}
        super().__init__(*place, **chosen)
        self.gain = number(f"{type(self).__name__}.gain", gain, above=0)

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        out = super().mix(q, k, v)
        return out if self.gain == 1 else self.gain * out


@MIXERS.register("sdsa4")
class SDSA4(SDSA3):
    """SDSA-3 with a learned threshold, one per layer, that starts where SDSA-3 has it.

    Learned is ``log scale``: behind the product, a scale s is a threshold divided by s. The paper learns
    the threshold itself (recalled, not re-read), so gradients differ by that factor.
    """

    def __init__(self, *place: *Place, gain: float = 1.0, **ssa: Unpack[SSAArgs]) -> None:
        super().__init__(*place, gain=gain, **ssa)
        scale = number("SDSA4.scale", self.scale, above=0)
        self.log_scale, self.scale = nn.Parameter(torch.tensor(math.log(scale))), 1.0

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = super().attend(q, k, v)
        return out * self.log_scale.exp().to(out.dtype)
