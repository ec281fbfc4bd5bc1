"""What the LIF kernels of all devices share: settings as numbers, autograd, and ``torch.library`` operations.

``snnkit::lif`` and ``snnkit::lif_backward`` are what compile and export see, one operation whatever the
device. Outside of compiled graphs an autograd function calls the same code without the dispatcher, which
costs more than a small layer. Both save the input, not the potentials: one tensor of ``[T, *]`` less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

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
from ._layout import NOTHING, kept_shape, own
from .dynamics import LIFDynamics

__all__ = [
    "Kernels",
    "Kinds",
    "Number",
    "Scalars",
    "described",
    "differentiate",
    "formula",
    "leak_slope",
    "register",
    "run_lif",
]

Number = float | Tensor
Scalars = Sequence[float]  # leak, threshold, v_rest, v_reset, reset amount, a and b of the surrogate
Kinds = Sequence[int]  # charge, reset, surrogate, detached, fires at equal, leak divides

# of csrc/lif.inc, csrc/rows.inc and _triton_kernels.py
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


class Kernels(NamedTuple):
    """The two passes on one kind of device.

    Attributes:
        forward: ``(x, v0, leak, threshold, scalars, kinds, keep, norm)`` -> spikes, final state, kept
            states. The neurons take ``scale * x + shift`` by channel, if there is a norm.
        backward: ``(g_out, g_v, x, v0, kept, leak, threshold, scalars, kinds, of_v0, norm)`` -> gradients
            of what the neurons take and of the first state, sums over time for leak and threshold
            ``[2, *]``, and what ``norm_back`` takes as sums.
        norm: ``(x [T, B, C, ...] in rows, weight, bias, moments or None, eps)`` -> mean, variance, scale and
            shift, ``[4, C]``.
        norm_back: ``(g, x, norm, sums, eps, of_batch)``: changes ``g`` from the gradient behind the norm to
            that in front of it, and gives those of weight and bias.
    """

    forward: Callable[..., tuple[Tensor, Tensor, Tensor]]
    backward: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]
    norm: Callable[..., Tensor]
    norm_back: Callable[..., tuple[Tensor, Tensor]]


# (formula, a, b) of csrc/rows.inc by the exact class: a derived one may compute something else
_FORMULAS: dict[type, Callable[[Any], tuple[int, float, float] | None]] = {
    ATan: lambda s: (0, s.alpha / 2, math.pi / 2 * s.alpha),
    SoftSign: lambda s: (1, s.alpha / 2, s.alpha),
    FastSigmoid: lambda s: (1, 1.0, s.alpha),
    Power: lambda s: (1, 1.0, 2.0) if s.alpha == 2 else None,
    Triangle: lambda s: (2, s.alpha, s.alpha**2),
    Rectangle: lambda s: (3, s.alpha, 1 / (2 * s.alpha)),
    Sigmoid: lambda s: (4, s.alpha, s.alpha),
    Tanh: lambda s: (4, 4.0, 2 * s.alpha),
    Exponential: lambda s: (5, s.alpha / 2, s.alpha),
    Gaussian: lambda s: (6, s.alpha / math.sqrt(math.pi), s.alpha),
    LogAbs: lambda s: (7, 1.0, 1 / s.alpha),
    StraightThrough: lambda s: (8, 1.0, 0.0),
}


def formula(s: Surrogate) -> tuple[int, float, float] | None:
    """(formula, a, b) for a surrogate; None where the kernels have no formula."""
    make = _FORMULAS.get(type(s))
    return None if make is None else make(s)


def leak_slope(charge: int) -> tuple[int, int]:
    """dh/dleak = of_x * x + of_w * w, for "divide" times -1/leak^2."""
    return [(1, -1), (0, -1), (1, -1), (0, -1), (1, -1), (-1, 1), (0, 1), (0, 0)][charge]


def run_lif(
    kernels: Kernels, x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """Spikes and final state as :func:`snnkit.kernels.lif`; a compiled graph takes those of the device."""
    tau, level, scalars, kinds = described(leak, threshold, d)
    if torch.compiler.is_compiling():
        spikes, v, _ = torch.ops.snnkit.lif(x, v0, tau, level, scalars, kinds)
        return spikes, v
    learns = (tau is not None and tau.requires_grad) or (level is not None and level.requires_grad)
    if torch.is_grad_enabled() and (x.requires_grad or v0.requires_grad or learns):
        spikes, v = _LIFKernels.apply(kernels, x, v0, tau, level, scalars, kinds)
        return spikes, v
    return kernels.forward(x, v0, tau, level, scalars, kinds, keep=False)[:2]


def described(
    leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor | None, Tensor | None, Scalars, Kinds]:
    """The learned values, or None, and all else as the numbers and the choices that the operations take."""
    tau, at_leak = (leak, math.nan) if isinstance(leak, Tensor) else (None, float(leak))
    level, at_level = (threshold, math.nan) if isinstance(threshold, Tensor) else (None, float(threshold))
    look = _describe if torch.compiler.is_compiling() else _described
    return tau, level, *look(at_leak, at_level, d)


def _describe(leak: float, threshold: float, d: LIFDynamics) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The numbers and the choices that the operations take; NaN for a learned value."""
    surrogate = formula(d.surrogate)
    assert surrogate is not None
    amount = math.nan if d.reset_amount is None else d.reset_amount
    arithmetic = d.arithmetic
    if arithmetic == "divide" and math.frexp(leak)[0] == 0.5:  # by a power of two: the product is exact
        arithmetic, leak = "multiply", 1 / leak
    kinds = (
        _CHARGE[arithmetic, d.decay_input],
        _RESET[d.reset, d.delayed and d.reset != "none"],
        surrogate[0],
        int(d.detach_reset or d.delayed),
        int(d.fire_at_equal),
        int(arithmetic == "divide"),
    )
    return (leak, threshold, d.v_rest, d.v_reset, amount, surrogate[1], surrogate[2]), kinds


_described = lru_cache(maxsize=1024)(_describe)


def differentiate(
    kernels: Kernels,
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
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x (behind the norm), v0, leak, threshold, and the norm's sums."""
    passed = (leak, threshold, scalars, kinds)
    g_x, g_v0, sums, norm_sums = kernels.backward(g_out, g_v, x, v0, kept, *passed, of_v0=of_v0, norm=norm)
    if of_v0 and kinds[1] == 4 and x.shape[0]:  # the delayed hard reset of the first state itself
        at = scalars[1] if threshold is None else threshold
        g_v0 = torch.where(v0 >= at if kinds[4] else v0 > at, 0.0, g_v0)
    g_leak = g_threshold = NOTHING
    if leak is not None:
        g_leak = sums[0].sum_to_size(leak.shape)
        g_leak = -g_leak / leak.square() if kinds[5] else g_leak
    if threshold is not None:
        g_threshold = sums[1].sum_to_size(threshold.shape)
    return g_x, g_v0, g_leak, g_threshold, norm_sums


class _LIFKernels(torch.autograd.Function):
    """The operations without their dispatcher."""

    @staticmethod
    def forward(ctx, kernels, x, v0, leak, threshold, scalars, kinds):  # type: ignore[no-untyped-def]
        spikes, v, kept = kernels.forward(x, v0, leak, threshold, scalars, kinds, keep=True)
        ctx.save_for_backward(x, v0, kept, leak, threshold)
        ctx.kernels, ctx.scalars, ctx.kinds = kernels, scalars, kinds
        ctx.set_materialize_grads(False)
        return spikes, v

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_out, g_v):  # type: ignore[no-untyped-def]
        _, *wanted = ctx.needs_input_grad
        passed = (*ctx.saved_tensors, ctx.scalars, ctx.kinds)
        gradients = differentiate(ctx.kernels, g_out, g_v, *passed, of_v0=wanted[1])
        return None, *(g if want else None for g, want in zip(gradients, wanted, strict=False)), None, None


_SCHEMA = "Tensor? leak, Tensor? threshold, float[] scalars, int[] kinds"
_ops = torch.library.Library("snnkit", "DEF")
_ops.define(f"lif(Tensor x, Tensor v0, {_SCHEMA}) -> (Tensor, Tensor, Tensor)")
_ops.define(
    f"lif_backward(Tensor g_out, Tensor g_v, Tensor x, Tensor v0, Tensor kept, {_SCHEMA}) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)


def register(kernels: Kernels, device: str) -> None:
    """The operations on a device, "CPU" or "CUDA", are these passes."""

    def forward(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        return own(kernels.forward(x, *rest, keep=True), x)

    def backward(g_out: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        gradients = differentiate(kernels, g_out, *rest)[:4]
        return tuple(
            torch.empty(0, dtype=torch.float32, device=g_out.device) if g is NOTHING else g for g in gradients
        )

    _ops.impl("lif", forward, device)
    _ops.impl("lif_backward", backward, device)


def _forward_shapes(
    x: Tensor, v0: Tensor, leak: Any, threshold: Any, scalars: Any, kinds: Any
) -> tuple[Tensor, Tensor, Tensor]:
    spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    v = torch.empty(v0.shape, dtype=v0.dtype, device=v0.device)
    return spikes, v, v0.new_empty(kept_shape(x))


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


torch.library.register_fake("snnkit::lif", _forward_shapes, lib=_ops)
torch.library.register_fake("snnkit::lif_backward", _backward_shapes, lib=_ops)
torch.library.register_autograd("snnkit::lif", _gradients, setup_context=_setup, lib=_ops)
