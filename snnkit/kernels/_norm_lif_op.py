"""The operation behind :func:`snnkit.kernels.norm_lif`: passes, autograd and ``torch.library``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import ShapeError
from ._first_order import first_order
from ._layout import NOTHING, kept_shape, own, rows
from ._lif_op import Kernels, Kinds, Scalars, differentiate

__all__ = ["NormLIF", "norm_forward", "register_norm"]


def norm_forward(
    kernels: Kernels,
    x: Tensor,
    v0: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    var: Tensor | None,
    eps: float,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    *,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes, final state, kept states; mean, variance, scale and shift ``[4, C]``."""
    _check(x, weight, bias, mean, var)
    x = rows(x)
    moments = None if mean is None or var is None else (mean, var)
    # the moments of a step that repeats are those of one
    norm = kernels.norm(x[:1] if x.stride(0) == 0 else x, weight, bias, moments, eps)
    return *kernels.forward(x, v0, leak, threshold, scalars, kinds, keep=keep, norm=norm), norm


def _check(x: Tensor, weight: Tensor | None, bias: Tensor | None, *moments: Tensor | None) -> None:
    """The kernels read where these say: refuse what they would read beyond."""
    channels = tuple(x.shape[2:3])
    given = {"weight": weight, "bias": bias, **dict(zip(("mean", "var"), moments, strict=True))}
    for name, value in given.items():
        if value is not None and tuple(value.shape) != channels:
            raise ShapeError(
                f"norm_lif: got {name} of shape {tuple(value.shape)}, the input {tuple(x.shape)} needs "
                f"{channels}. The channel axis is axis 2 of [T, B, C, ...]."
            )
    if (moments[0] is None) != (moments[1] is None):
        raise ShapeError("norm_lif: got one of mean and var, expected both, or None for those of the batch.")


def _backward(
    kernels: Kernels,
    g_out: Tensor | None,
    g_v: Tensor | None,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    norm: Tensor,
    of_batch: bool,
    eps: float,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    of_v0: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, v0, weight, bias, leak and threshold."""
    if norm.shape != (4, x.shape[2]):
        raise ShapeError(f"norm_lif: got a norm {tuple(norm.shape)}, the input needs {(4, x.shape[2])}.")
    x, norm = rows(x), norm.contiguous()
    passed = (x, v0, kept, leak, threshold, scalars, kinds)
    g_x, g_v0, g_leak, g_threshold, sums = differentiate(kernels, g_out, g_v, *passed, of_v0=of_v0, norm=norm)
    g_weight, g_bias = kernels.norm_back(g_x, x.contiguous(), norm, sums, eps, of_batch)
    return g_x, g_v0, g_weight, g_bias, g_leak, g_threshold


class NormLIF(torch.autograd.Function):
    """The operation without its dispatcher."""

    @staticmethod
    def forward(ctx, kernels, x, v0, weight, bias, mean, var, eps, *lif):  # type: ignore[no-untyped-def]
        spikes, v, kept, norm = norm_forward(kernels, x, v0, weight, bias, mean, var, eps, *lif, keep=True)
        leak, threshold, *described = lif
        ctx.save_for_backward(x, v0, kept, norm, leak, threshold)
        ctx.kernels, ctx.described = kernels, (mean is None, eps, *described)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(norm)
        return spikes, v, norm

    @staticmethod
    @first_order
    def backward(ctx, g_out, g_v, _):  # type: ignore[no-untyped-def]
        (*saved, leak, threshold), (of_batch, eps, *described) = ctx.saved_tensors, ctx.described
        _, *wanted = ctx.needs_input_grad
        passed = (*saved, of_batch, eps, leak, threshold, *described)
        return None, *_placed(_backward(ctx.kernels, g_out, g_v, *passed, of_v0=wanted[1]), wanted)


def _placed(gradients: Sequence[Tensor], wanted: Sequence[bool]) -> tuple[Tensor | None, ...]:
    """Gradients of x, v0, weight, bias, leak and threshold at their places among the operation's inputs."""
    found: list[Tensor | None] = [None] * len(wanted)
    for place, g in zip((0, 1, 2, 3, 7, 8), gradients, strict=True):
        found[place] = g if wanted[place] else None
    return tuple(found)


_ops = torch.library.Library("snnkit", "FRAGMENT")
_LIF = "Tensor? leak, Tensor? threshold, float[] scalars, int[] kinds"
_ops.define(
    "norm_lif(Tensor x, Tensor v0, Tensor? weight, Tensor? bias, Tensor? mean, Tensor? var, float eps, "
    f"{_LIF}) -> (Tensor, Tensor, Tensor, Tensor)"
)
_ops.define(
    "norm_lif_backward(Tensor g_out, Tensor g_v, Tensor x, Tensor v0, Tensor kept, Tensor norm, "
    f"bool of_batch, float eps, {_LIF}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)"
)


def register_norm(kernels: Kernels, device: str) -> None:
    """The operations on a device, "CPU" or "CUDA", are these passes."""

    def forward_op(x: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
        *results, norm = norm_forward(kernels, x, *inputs, keep=True)
        return *own(tuple(results), x), norm

    def backward_op(g_out: Tensor, *inputs: Any) -> tuple[Tensor, ...]:
        gradients = _backward(kernels, g_out, *inputs)
        nothing = torch.empty(0, dtype=torch.float32, device=g_out.device)
        return tuple(nothing.clone() if g is NOTHING else g for g in gradients)

    _ops.impl("norm_lif", forward_op, device)
    _ops.impl("norm_lif_backward", backward_op, device)


def _forward_shapes(x: Tensor, v0: Tensor, *_: Any) -> tuple[Tensor, ...]:
    spikes = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    return spikes, v0.new_empty(v0.shape), v0.new_empty(kept_shape(x)), v0.new_empty(4, x.shape[2])


def _backward_shapes(
    g_out: Tensor,
    g_v: Tensor,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    norm: Tensor,
    of_batch: bool,
    eps: float,
    leak: Tensor | None,
    threshold: Tensor | None,
    *_: Any,
) -> tuple[Tensor, ...]:
    g_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    of = [v0.new_empty(0 if p is None else p.shape) for p in (leak, threshold)]
    return g_x, v0.new_empty(v0.shape), norm.new_empty(x.shape[2]), norm.new_empty(x.shape[2]), *of


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, v0, _, _, mean, _, eps, leak, threshold, scalars, kinds = inputs
    _, _, kept, norm = output
    ctx.save_for_backward(x, v0, kept, norm, leak, threshold)
    ctx.described = mean is None, eps, scalars, kinds


def _gradients(ctx: Any, g_out: Tensor, g_v: Tensor, *_: Any) -> tuple[Any, ...]:
    (*saved, leak, threshold), (of_batch, eps, *described) = ctx.saved_tensors, ctx.described
    passed = (*saved, of_batch, eps, leak, threshold, *described)
    return _placed(torch.ops.snnkit.norm_lif_backward(g_out, g_v, *passed), ctx.needs_input_grad)


torch.library.register_fake("snnkit::norm_lif", _forward_shapes, lib=_ops)
torch.library.register_fake("snnkit::norm_lif_backward", _backward_shapes, lib=_ops)
torch.library.register_autograd("snnkit::norm_lif", _gradients, setup_context=_setup, lib=_ops)
