"""LIF in the C library, as ``torch.library`` operations that compile and export see.

``snnkit::lif`` saves its input, not the potentials, which saves one tensor of ``[T, *]`` and half of the
traffic. Outside of compiled graphs an autograd function calls the same code without the dispatcher.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..surrogate import (
    ATan,
    Exponential,
    FastSigmoid,
    Gaussian,
    LogAbs,
    Power,
    Rectangle,
    Sigmoid,
    SoftSign,
    StraightThrough,
    Surrogate,
    Tanh,
    Triangle,
)
from . import native
from ._passes import NOTHING, backward, forward, own
from .dynamics import LIFDynamics

__all__ = ["lif_native", "native_surrogate"]

Number = float | Tensor
Scalars = Sequence[float]  # leak, threshold, v_rest, v_reset, reset amount, a and b of the surrogate
Kinds = Sequence[int]  # charge, reset, surrogate, detached, fires at equal, leak divides

# of csrc/lif.inc and csrc/rows.inc
_CHARGE = {
    ("divide", True): 0,
    ("divide", False): 1,
    ("multiply", True): 2,
    ("multiply", False): 3,
    ("euler", True): 4,
    ("euler", False): 3,  # v + leak * -w is v - w * leak
    ("decay", True): 5,
    ("decay", False): 6,
    ("integrate", True): 7,
    ("integrate", False): 7,
}
_RESET = {("none", False): 0, ("soft", False): 1, ("hard", False): 2, ("soft", True): 3, ("hard", True): 4}


def native_surrogate(s: Surrogate) -> tuple[int, float, float] | None:
    """(formula, a, b) of csrc/rows.inc for a surrogate; None where the library has no formula."""
    match s:
        case ATan(a):
            return 0, a / 2, math.pi / 2 * a
        case SoftSign(a):
            return 1, a / 2, a
        case FastSigmoid(a):
            return 1, 1.0, a
        case Power(a) if a == 2:
            return 1, 1.0, 2.0
        case Triangle(a):
            return 2, a, a * a
        case Rectangle(a):
            return 3, a, 1 / (2 * a)
        case Sigmoid(a):
            return 4, a, a
        case Tanh(a):
            return 4, 4.0, 2 * a
        case Exponential(a):
            return 5, a / 2, a
        case Gaussian(a):
            return 6, a / math.sqrt(math.pi), a
        case LogAbs(a):
            return 7, 1.0, 1 / a
        case StraightThrough():
            return 8, 1.0, 0.0
    return None


def lif_native(
    x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """Spikes and final state as :func:`snnkit.kernels.lif`, by the C library."""
    tau, level = (a if isinstance(a, Tensor) else None for a in (leak, threshold))
    at_leak, at_level = (math.nan if isinstance(a, Tensor) else float(a) for a in (leak, threshold))
    if torch.compiler.is_compiling():
        spikes, v, _ = torch.ops.snnkit.lif(x, v0, tau, level, *_describe(at_leak, at_level, d))
        return spikes, v
    scalars, kinds = _described(at_leak, at_level, d)
    if torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in (x, v0, tau, level)):
        spikes, v = _LIFNative.apply(x, v0, tau, level, scalars, kinds)
        return spikes, v
    spikes, v, _ = _forward(x, v0, tau, level, scalars, kinds, keep=False)
    return spikes, v


def _describe(leak: float, threshold: float, d: LIFDynamics) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The numbers and the choices that the operations take; NaN for a learned value."""
    formula = native_surrogate(d.surrogate)
    assert formula is not None
    amount = math.nan if d.reset_amount is None else d.reset_amount
    arithmetic = d.arithmetic
    if arithmetic == "divide" and math.frexp(leak)[0] == 0.5:  # by a power of two: the product is exact
        arithmetic, leak = "multiply", 1 / leak
    kinds = (
        _CHARGE[arithmetic, d.decay_input],
        _RESET[d.reset, d.delayed and d.reset != "none"],
        formula[0],
        int(d.detach_reset or d.delayed),
        int(d.fire_at_equal),
        int(arithmetic == "divide"),
    )
    return (leak, threshold, d.v_rest, d.v_reset, amount, formula[1], formula[2]), kinds


_described = lru_cache(maxsize=1024)(_describe)


_SCHEMA = "Tensor? leak, Tensor? threshold, float[] scalars, int[] kinds"
_ops = torch.library.Library("snnkit", "DEF")
_ops.define(f"lif(Tensor x, Tensor v0, {_SCHEMA}) -> (Tensor, Tensor, Tensor)")
_ops.define(
    f"lif_backward(Tensor g_out, Tensor g_v, Tensor x, Tensor v0, Tensor kept, {_SCHEMA}) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)


def _job(
    step: torch.Size, leak: Tensor | None, threshold: Tensor | None, scalars: Scalars, kinds: Kinds
) -> tuple[native.Job, list[Tensor]]:
    """What both passes share, and the tensors that the job points into, to stay alive."""
    job = native.Job.from_buffer_copy(_constants(tuple(scalars), tuple(kinds)))
    keep: list[Tensor] = []
    if leak is not None or threshold is not None:
        of_leak = scalars[0] if leak is None else leak.detach()
        values = _values(of_leak, scalars[1] if threshold is None else threshold.detach(), scalars, kinds)
        for i, value in enumerate(values):
            if isinstance(value, Tensor):
                job.param[i] = native.param(value, step, keep)
            else:
                job.param[i].value = value
    return job, keep


@lru_cache(maxsize=1024)
def _constants(scalars: tuple[float, ...], kinds: tuple[int, ...]) -> bytes:
    """A job with everything that does not depend on the tensors."""
    leak, threshold, v_rest, v_reset, amount, a, b = scalars
    charge, reset, surrogate, detach, _, _ = kinds
    job = native.Job(charge=charge, reset=reset, surrogate=surrogate, detach=detach)
    if not (math.isnan(leak) or math.isnan(threshold)):
        for i, value in enumerate(_values(leak, threshold, scalars, kinds)):
            job.param[i].value = float(value)
    of_x, of_w = _leak_slope(charge)
    job.scalar[:7] = [v_rest, v_reset, a, b, of_x, of_w, float(math.isnan(amount))]
    return bytes(job)


def _values(leak: Number, threshold: Number, scalars: Scalars, kinds: Kinds) -> list[Number]:
    """The parameters of csrc/lif.inc, in their order."""
    charge, at_equal, divides, amount = kinds[0], kinds[4], kinds[5], scalars[4]
    rate = 1 / leak if divides else leak
    if charge in (5, 6):
        dv, dx = leak, 1 - leak if charge == 5 else 1.0
    elif charge == 7:
        dv, dx = 1.0, 1.0
    else:
        dv, dx = 1 - rate, rate if charge in (0, 2, 4) else 1.0
    fire = threshold
    if not at_equal:  # h > threshold is h >= the next float
        at = threshold if isinstance(threshold, Tensor) else torch.tensor(threshold, dtype=torch.float32)
        fire = torch.nextafter(at, torch.full_like(at, math.inf))
    return [leak, fire, threshold if math.isnan(amount) else amount, 1 - leak, threshold, dv, dx]


def _leak_slope(charge: int) -> tuple[float, float]:
    """dh/dleak = of_x * x + of_w * w, for "divide" times -1/leak^2."""
    return [(1, -1), (0, -1), (1, -1), (0, -1), (1, -1), (-1, 1), (0, 1), (0, 0)][charge]


def _forward(
    x: Tensor,
    v0: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    keep: bool = True,
) -> tuple[Tensor, ...]:
    job, _alive = _job(x.shape[1:], leak, threshold, scalars, kinds)
    return forward(job, x, (v0,), keep)


def _forward_shapes(
    x: Tensor, v0: Tensor, leak: Any, threshold: Any, scalars: Any, kinds: Any
) -> tuple[Tensor, Tensor, Tensor]:
    spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    v = torch.empty(v0.shape, dtype=v0.dtype, device=v0.device)
    return spikes, v, v0.new_empty(native.kept_shape(x))


def _backward(
    g_out: Tensor | None,
    g_v: Tensor | None,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    of_v0: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    job, _alive = _job(x.shape[1:], leak, threshold, scalars, kinds)
    learned = 0 if leak is None and threshold is None else 2
    g_x, g_v0, sums = backward(job, g_out, (g_v,), x, (v0,), kept, wanted=(of_v0,), learned=learned)
    if of_v0 and kinds[1] == 4 and x.shape[0]:  # the delayed hard reset of the first state itself
        at = scalars[1] if threshold is None else threshold
        g_v0 = torch.where(v0 >= at if kinds[4] else v0 > at, 0.0, g_v0)
    g_leak = g_threshold = NOTHING
    if leak is not None:
        g_leak = sums[0].sum_to_size(leak.shape)
        g_leak = -g_leak / leak.square() if kinds[5] else g_leak
    if threshold is not None:
        g_threshold = sums[1].sum_to_size(threshold.shape)
    return g_x, g_v0, g_leak, g_threshold


class _LIFNative(torch.autograd.Function):
    """The operations without their dispatcher, which costs more than a small layer."""

    @staticmethod
    def forward(ctx, x, v0, leak, threshold, scalars, kinds):  # type: ignore[no-untyped-def]
        spikes, v, kept = _forward(x, v0, leak, threshold, scalars, kinds)
        ctx.save_for_backward(x, v0, kept, leak, threshold)
        ctx.scalars, ctx.kinds = scalars, kinds
        ctx.set_materialize_grads(False)
        return spikes, v

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_out, g_v):  # type: ignore[no-untyped-def]
        wanted = ctx.needs_input_grad
        gradients = _backward(g_out, g_v, *ctx.saved_tensors, ctx.scalars, ctx.kinds, of_v0=wanted[1])
        return *(g if want else None for g, want in zip(gradients, wanted, strict=False)), None, None


def _backward_shapes(
    g_out: Tensor,
    g_v: Tensor,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Any,
    kinds: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    of = [v0.new_empty(0 if p is None else p.shape) for p in (leak, threshold)]
    g_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return g_x, torch.empty(v0.shape, dtype=v0.dtype, device=v0.device), of[0], of[1]


def _backward_op(*inputs: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty(0) if g is NOTHING else g for g in _backward(*inputs))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, v0, leak, threshold, ctx.scalars, ctx.kinds = inputs
    ctx.save_for_backward(x, v0, output[2], leak, threshold)


def _gradients(ctx: Any, g_out: Tensor, g_v: Tensor, _: Tensor) -> tuple[Any, ...]:
    gradients = torch.ops.snnkit.lif_backward(g_out, g_v, *ctx.saved_tensors, ctx.scalars, ctx.kinds)
    return (
        *(g if want else None for g, want in zip(gradients, ctx.needs_input_grad, strict=False)),
        None,
        None,
    )


_ops.impl("lif", lambda x, *rest: own(_forward(x, *rest), x), "CPU")
_ops.impl("lif_backward", _backward_op, "CPU")
torch.library.register_fake("snnkit::lif", _forward_shapes, lib=_ops)
torch.library.register_fake("snnkit::lif_backward", _backward_shapes, lib=_ops)
torch.library.register_autograd("snnkit::lif", _gradients, setup_context=_setup, lib=_ops)
