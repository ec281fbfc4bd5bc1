r"""Ternary weights by the mean size (absmean of BitNet b1.58, arXiv 2402.17764), and binary ones.

::

    ternary    g = mean|w|    q = clip(round(w / (g + 1e-5)), -1, 1)    w_hat = g q    dL/dw = g_out
    binary     a = mean|w|    w_hat = a sign(w), sign(0) = 1               dL/dw = g_out [|w| <= 1]

Published per tensor; here per channel unless told otherwise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import require
from .base import QUANTIZERS, Codes, Quantizer, nearest_power_of_two

__all__ = ["Binary", "Ternary"]


class _ByMeanSize(Quantizer):
    def __init__(
        self, weight: Tensor, bits: int | None = None, *, per_channel: bool = True, pow2: bool = False
    ) -> None:
        assert self.fixed_bits is not None
        where = f"{type(self).__name__}.bits"
        require(bits in (None, self.fixed_bits), where, bits, f"{self.fixed_bits} or None")
        super().__init__(weight, self.fixed_bits, per_channel=per_channel, pow2=pow2)
        self.code_bits = 2  # a sign and a size

    def step_of(self, weight: Tensor) -> Tensor:
        """``mean |w|``."""
        step = self.mean_size(weight.detach()).clamp(min=1e-8)
        return nearest_power_of_two(step) if self.pow2 else step


@QUANTIZERS.register("ternary")
class Ternary(_ByMeanSize):
    """Weights -1, 0, 1 times their mean size, stored in two bits; arguments as of :class:`LSQ`."""

    fixed_bits = 2

    def position(self, weight: Tensor) -> Tensor:
        """``clip(w / (g + 1e-5), -1, 1)``."""
        size = self.along(self.mean_size(weight.detach()), weight)
        return (weight.detach() / (size + 1e-5)).clamp(-1, 1)


@QUANTIZERS.register("binary")
class Binary(_ByMeanSize):
    """Weights -1 and 1 times their mean size; codes are two bits wide in sums, one in memory."""

    fixed_bits, gradient_limit = 1, 1.0

    def position(self, weight: Tensor) -> Tensor:
        """0 to 1, in the middle for a weight of 0 (which the codes count as positive)."""
        size = self.along(self.step_of(weight), weight)
        return (weight.detach() / (2 * size) + 0.5).clamp(0, 1)

    def codes(self, weight: Tensor) -> Codes:
        """-1 and 1."""
        with torch.no_grad():
            one = torch.ones((), dtype=torch.int16, device=weight.device)
            return Codes(torch.where(weight >= 0, one, -one), self.step_of(weight))
