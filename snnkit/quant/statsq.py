r"""Statistical quantisation (StatsQ) of oscillation-free training (OFQ; Liu et al. 2023, arXiv 2302.02210).

::

    a = 2 mean|w|, not learned         c = clip(w / a, -1, 1 - 1e-6)         n = 2^(b-1)
    w_hat = a (round(c n - 1/2) + 1/2) / n                                    dL/dw = g, unclipped

The grid has no zero: stored codes k of b bits stand for odd integers ``2k + 1`` of step ``a / (2 n)``, which
take part in sums with one bit more. Stated from the published code; the rule of odd codes is ours.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .base import QUANTIZERS, Codes, Quantizer, nearest_power_of_two

__all__ = ["StatsQ"]


@QUANTIZERS.register("statsq")
class StatsQ(Quantizer):
    """Weights on a mid-rise grid whose step follows from their mean size; arguments as of :class:`LSQ`."""

    def __init__(self, weight: Tensor, bits: int, *, per_channel: bool = True, pow2: bool = False) -> None:
        super().__init__(weight, bits, per_channel=per_channel, pow2=pow2)
        self.n, self.code_bits = 2 ** (bits - 1), bits + 1

    def step_of(self, weight: Tensor) -> Tensor:
        """``a / (2 n)``."""
        a = (2 * self.mean_size(weight.detach())).clamp(min=1e-8)
        step = a / (2 * self.n)
        return nearest_power_of_two(step) if self.pow2 else step

    def position(self, weight: Tensor) -> Tensor:
        """``c n - 1/2``."""
        a = self.along(self.step_of(weight) * (2 * self.n), weight)
        return (weight.detach() / a).clamp(-1, 1 - 1e-6) * self.n - 0.5

    def codes(self, weight: Tensor) -> Codes:
        """Odd integers."""
        with torch.no_grad():
            k = self.position(weight).round().clamp(-self.n, self.n - 1).to(torch.int16)
            return Codes(2 * k + 1, self.step_of(weight))
