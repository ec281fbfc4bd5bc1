r"""Learned step size quantisation (LSQ; Esser et al. 2020, arXiv 1902.08153).

::

    r = w / s      q = round(clip(r, -Qn, Qp)), half to even      w_hat = q s
    Qn = 2^(b-1),  Qp = 2^(b-1) - 1

    dL/dw = g                  where -Qn < r < Qp, else 0
    dL/ds = G sum g d          d = -Qn where r <= -Qn, Qp where r >= Qp, else q - r
    G = 1 / sqrt(N Qp)         N weights share the step
    s0 = 2 mean|w| / sqrt(Qp)

The inequalities are strict, as in the paper; the gradient of a clamp would pass at the two boundaries.
Steps start when the quantiser is made, each channel's from its own weights, and are used as they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..errors import NotCalibratedError, QuantConfigError
from .base import QUANTIZERS, Quantizer, nearest_power_of_two, signed_range, start_step, wide

__all__ = ["LSQ", "lsq_round"]


class _LSQ(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(v: Tensor, s: Tensor, low: float, high: float, factor: float) -> Tensor:
        return (wide(v) / wide(s)).clamp(low, high).round().to(v.dtype) * s

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        v, s, ctx.low, ctx.high, ctx.factor = inputs
        ctx.save_for_backward(v, s)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        v, s = ctx.saved_tensors
        r = wide(v) / wide(s)
        inside = (r > ctx.low) & (r < ctx.high)
        clipped = r.clamp(ctx.low, ctx.high)
        g_s = None
        if ctx.needs_input_grad[1]:
            d = torch.where(inside, clipped.round() - clipped, clipped)
            g_s = ((wide(grad) * d).sum_to_size(s.shape) * ctx.factor).to(s.dtype)
        return grad * inside, g_s, None, None, None


def lsq_round(v: Tensor, s: Tensor, low: int, high: int, factor: float = 1.0) -> Tensor:
    """``s round(clip(v / s, low, high))`` with the gradients of the module docstring.

    Args:
        v: any shape. s: steps > 0, broadcasting against ``v``.
        low, high: ``-Qn`` and ``Qp``. factor: G, of the gradient of ``s``.

    The ratio is formed in double precision, so that a value is never moved over a tie by rounding.
    """
    return _LSQ.apply(v, s, float(low), float(high), factor)


@QUANTIZERS.register("lsq")
class LSQ(Quantizer):
    """Weights on a grid whose step is learned.

    Args:
        weight: ``[C, ...]``, from which the steps start.
        bits: 2..8.
        per_channel: a step per output channel; a norm or threshold behind the layer absorbs it.
        pow2: the step used is the power of two nearest to the learned one.

    Raises:
        QuantConfigError: one bit (Qp = 0 would divide by zero). NotCalibratedError, at a call: a step is not
            finite or not positive.
    """

    smallest: Tensor

    def __init__(self, weight: Tensor, bits: int, *, per_channel: bool = True, pow2: bool = False) -> None:
        super().__init__(weight, bits, per_channel=per_channel, pow2=pow2)
        if bits < 2:
            raise QuantConfigError(
                'LSQ: got bits = 1, expected 2..8. One bit has no positive code; use scheme="binary".'
            )
        self.low, self.high = (-signed_range(bits)[0], signed_range(bits)[1])
        start = start_step(self.mean_size(weight.detach()), self.high).clamp(min=1e-8)
        self.step = nn.Parameter(start)
        self.register_buffer("smallest", (1e-3 * start).clamp(min=1e-8))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight on its grid."""
        step = self.along(self.step_of(weight), weight)
        shared = weight.numel() // max(self.step.numel(), 1)
        return lsq_round(weight, step, self.low, self.high, 1 / math.sqrt(max(shared, 1) * self.high))

    def step_of(self, weight: Tensor) -> Tensor:
        """The learned step."""
        if self.step.device.type == "cpu" and not torch.compiler.is_compiling():
            self._check()
        step = self.step.to(weight.dtype)
        return nearest_power_of_two(step) if self.pow2 else step

    def position(self, weight: Tensor) -> Tensor:
        """``clip(w / s)``."""
        step = self.along(self.step_of(weight), weight)
        return (wide(weight) / wide(step)).clamp(self.low, self.high)

    def _check(self) -> None:
        if not bool(((self.step > 0) & self.step.isfinite()).all()):
            raise NotCalibratedError(
                f"LSQ: {int((~((self.step > 0) & self.step.isfinite())).sum())} of {self.step.numel()} steps "
                "are not positive and finite. Call quant.project_steps(net) after every optimiser step, and "
                "lower the learning rate if they are NaN."
            )

    @torch.no_grad()
    def project(self) -> None:
        """Keep steps at 1/1000 of their first value at least: a step that crosses 0 would flip all codes."""
        self.step.copy_(torch.maximum(self.step, self.smallest))  # NaN stays, and is refused at the next call

    @torch.no_grad()
    def fit(self, weight: Tensor, candidates: int = 64) -> None:
        """Set every step to the one with the least squared error of its weights, of a range of candidates."""
        flat = (
            weight.detach().double().flatten(1)
            if self.per_channel
            else weight.detach().double().reshape(1, -1)
        )
        top = flat.abs().amax(1).clamp(min=1e-8) / max(self.high, 1)
        best, error = top.clone(), torch.full_like(top, math.inf)
        for share in torch.linspace(0.2, 1.2, candidates, dtype=torch.float64).tolist():
            step = top * share
            step = nearest_power_of_two(step) if self.pow2 else step
            s = step.unsqueeze(1)
            now = ((flat / s).clamp(self.low, self.high).round() * s - flat).square().sum(1)
            best, error = torch.where(now < error, step, best), torch.minimum(now, error)
        self.step.copy_(best.reshape(self.step.shape))
        self.smallest.copy_((1e-3 * self.step).clamp(min=1e-8))
