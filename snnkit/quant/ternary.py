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
from .base import QUANTIZERS, Codes, Quantizer, nearest_power_of_two, straight_through

__all__ = ["Binary", "Ternary"]


class _ByMeanSize(Quantizer):
    def step_of(self, weight: Tensor) -> Tensor:
        """``mean |w|``."""
        step = self.mean_size(weight.detach()).clamp(min=1e-8)
        return nearest_power_of_two(step) if self.pow2 else step

    def _grid(self, weight: Tensor) -> Tensor:
        codes, step = self.codes(weight)
        return codes.to(weight.dtype) * self.along(step, weight)


@QUANTIZERS.register("ternary")
class Ternary(_ByMeanSize):
    """Weights -1, 0, 1 times their mean size; ``bits`` is 2, the width in which they are stored."""

    def __init__(
        self, weight: Tensor, bits: int = 2, *, per_channel: bool = True, pow2: bool = False
    ) -> None:
        require(bits == 2, 'weight_bits with scheme="ternary"', bits, "2")
        super().__init__(weight, bits, per_channel=per_channel, pow2=pow2)

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on its grid."""
        return straight_through(weight, self._grid(weight))

    def position(self, weight: Tensor) -> Tensor:
        """``clip(w / (g + 1e-5), -1, 1)``."""
        size = self.along(self.mean_size(weight.detach()), weight)
        return (weight.detach() / (size + 1e-5)).clamp(-1, 1)


@QUANTIZERS.register("binary")
class Binary(_ByMeanSize):
    """Weights -1 and 1 times their mean size; codes are two bits wide in sums, one in memory."""

    def __init__(
        self, weight: Tensor, bits: int = 1, *, per_channel: bool = True, pow2: bool = False
    ) -> None:
        require(bits == 1, 'weight_bits with scheme="binary"', bits, "1")
        super().__init__(weight, bits, per_channel=per_channel, pow2=pow2)
        self.code_bits = 2

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on its grid."""
        return straight_through(weight, self._grid(weight), limit=1.0)

    def position(self, weight: Tensor) -> Tensor:
        """0 to 1, in the middle for a weight of 0 (which the codes count as positive)."""
        size = self.along(self.step_of(weight), weight)
        return (weight.detach() / (2 * size) + 0.5).clamp(0, 1)

    def codes(self, weight: Tensor) -> Codes:
        """-1 and 1."""
        with torch.no_grad():
            one = torch.ones((), dtype=torch.int16, device=weight.device)
            return Codes(torch.where(weight >= 0, one, -one), self.step_of(weight))
