"""What every weight quantiser is: a parametrization ``w -> step * codes(w)`` with a gradient of its own.

A quantiser sits on the weight of a layer (``torch.nn.utils.parametrize``), so that the layer stays what it
was: ``nn.Linear``, ``nn.Conv2d``, or a class of somebody else that reads ``self.weight``. The layer declares
``weight_bits``, which size report and energy estimator read.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..checks import flag
from ..registry import Registry

__all__ = ["QUANTIZERS", "Codes", "Quantizer", "nearest_power_of_two"]

QUANTIZERS: Registry = Registry("weight quantiser")


class Codes(NamedTuple):
    """Integers of a weight and the size of one of them: ``weight = step * codes``.

    ``codes`` has the shape of the weight (int16); ``step`` is ``[C]``, or ``[]`` for one step per tensor.
    """

    codes: Tensor
    step: Tensor


class Quantizer(nn.Module):
    """Base of all weight quantisers: ``forward(w)`` gives the weight that the layer uses.

    Attributes:
        bits: stored width of a code. code_bits: width of the integer that takes part in sums.
        per_channel: one step per output channel (axis 0), else one per tensor.
        pow2: steps are rounded to powers of two, so that every weight is dyadic.
        fixed_bits: the only width of a class that has no other. gradient_limit: the gradient passes to
            weights up to this size.
    """

    fixed_bits: int | None = None
    gradient_limit: float = math.inf

    def __init__(self, weight: Tensor, bits: int, *, per_channel: bool = True, pow2: bool = False) -> None:
        super().__init__()
        self.bits = self.code_bits = bits
        self.per_channel = flag("quantize.per_channel", per_channel)
        self.pow2 = pow2

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on its grid, with the gradient of the weight itself."""
        codes, step = self.codes(weight)
        value = codes.to(weight.dtype) * self.along(step, weight)
        return straight_through(weight, value, self.gradient_limit)

    def step_of(self, weight: Tensor) -> Tensor:
        """Size of one code, ``[C]`` or ``[]``, in the dtype of the weight."""
        raise TypeError(f"{type(self).__name__} must implement step_of(weight)")

    def position(self, weight: Tensor) -> Tensor:
        """Where each weight lies on the axis of the stored codes, clipped: rounding it gives the code."""
        raise TypeError(f"{type(self).__name__} must implement position(weight)")

    def codes(self, weight: Tensor) -> Codes:
        """The integers that ``forward`` multiplies by the step."""
        with torch.no_grad():
            return Codes(self.position(weight).round().to(torch.int16), self.step_of(weight))

    def along(self, step: Tensor, weight: Tensor) -> Tensor:
        """``step`` ready to combine with the weight."""
        return step.reshape(-1, *[1] * (weight.ndim - 1)) if self.per_channel else step

    def mean_size(self, weight: Tensor) -> Tensor:
        """``mean |w|`` of every group that shares a step."""
        size = weight.abs()
        return size.flatten(1).mean(1) if self.per_channel else size.mean()

    def extra_repr(self) -> str:
        """Every setting."""
        return f"bits={self.bits}, per_channel={self.per_channel}, pow2={self.pow2}"


class _StraightThrough(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, value: Tensor, limit: float) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        x, _, ctx.limit = inputs
        ctx.save_for_backward(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= ctx.limit), None, None


def straight_through(x: Tensor, value: Tensor, limit: float = math.inf) -> Tensor:
    """``value`` to the bit, which ``x + (value - x)`` is not; gradient to ``x`` where ``|x| <= limit``."""
    return _StraightThrough.apply(x, value, limit)


def nearest_power_of_two(step: Tensor) -> Tensor:
    """The power of two nearest to ``step`` on a logarithmic axis; the gradient passes straight through."""
    return straight_through(step, torch.exp2(torch.log2(step.detach()).round()))


def wide(x: Tensor) -> Tensor:
    """In double precision where the device has it: which side of a tie a ratio lies on is decided there."""
    return x if x.device.type == "mps" else x.double()


def signed_range(bits: int) -> tuple[int, int]:
    """``Qn, Qp`` of signed codes ``-Qn..Qp``."""
    return 2 ** (bits - 1), 2 ** (bits - 1) - 1


def start_step(mean_size: Tensor, high: int) -> Tensor:
    """``2 mean|w| / sqrt(Qp)``, where LSQ begins."""
    return 2 * mean_size / math.sqrt(high)
