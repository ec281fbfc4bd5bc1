"""Integer LIF over a whole sequence, by the C library or the step loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import BackendError
from ..sequence import in_transform
from . import native
from ._layout import kept_shape, own
from ._passes import backward, forward
from .backend import backend
from .reference import scan

__all__ = ["counts"]

_FAMILY, _DECAY, _THRESHOLD, _LEVELS = 1, 0, 4, 2  # of csrc/native.c and csrc/counts.inc


def counts(
    x: Tensor,
    v0: Tensor,
    decay: float,
    threshold: float,
    levels: int,
    detach: bool,
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
) -> tuple[Tensor, Tensor]:
    """Counts ``[T, *]`` and final state ``[*]`` for ``x [T, *]`` from ``v0 [*]``, as ``snnkit.neurons.ILIF``.

    Args:
        decay: factor of the membrane per step. threshold, levels, detach: as the neuron's.
        step: the pure step ``(x_t, v) -> (n_t, v)``, for the reference backend.

    Raises:
        BackendError: a backend was chosen explicitly and cannot run this.
    """
    name = backend()
    reason = native.unavailable(x, v0) if name in ("auto", "native") else ""
    if reason is None and not torch.compiler.is_compiling() and in_transform():
        reason = "transforms of torch.func need plain operations"
    if name in ("native", "triton") and reason is not None:
        why = reason or "there is no such kernel"
        raise BackendError(f'backend "{name}" cannot run integer LIF here: {why}. Use backend "auto".')
    if reason is not None:
        n, v = scan(step, x.to(v0.dtype), v0)
        return n.to(x.dtype), v
    numbers = (decay, threshold, float(levels))
    if torch.compiler.is_compiling():
        n, v, _ = torch.ops.snnkit.counts(x, v0, numbers, detach)
        return n, v
    if torch.is_grad_enabled() and (x.requires_grad or v0.requires_grad):
        n, v = _Counts.apply(x, v0, numbers, detach)
        return n, v
    return forward(_job(numbers, detach), x, v0, keep=False)[:2]


def _job(numbers: Any, detach: bool) -> native.Job:
    job = native.Job(family=_FAMILY, detach=detach)
    job.param[_DECAY].value, job.param[_THRESHOLD].value, job.scalar[_LEVELS] = numbers
    return job


class _Counts(torch.autograd.Function):
    """The operations without their dispatcher."""

    @staticmethod
    def forward(ctx, x, v0, numbers, detach):  # type: ignore[no-untyped-def]
        n, v, kept = forward(_job(numbers, detach), x, v0, keep=True)
        ctx.save_for_backward(x, v0, kept)
        ctx.numbers, ctx.detach = numbers, detach
        ctx.set_materialize_grads(False)
        return n, v

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_n, g_v):  # type: ignore[no-untyped-def]
        wanted = ctx.needs_input_grad[1]
        g_x, g_v0, _ = backward(_job(ctx.numbers, ctx.detach), g_n, g_v, *ctx.saved_tensors, of_v0=wanted)
        return g_x, g_v0 if wanted else None, None, None


_ops = torch.library.Library("snnkit", "FRAGMENT")
_ops.define("counts(Tensor x, Tensor v0, float[] numbers, bool detach) -> (Tensor, Tensor, Tensor)")
_ops.define(
    "counts_backward(Tensor g_n, Tensor g_v, Tensor x, Tensor v0, Tensor kept, float[] numbers, bool detach) "
    "-> (Tensor, Tensor)"
)


def _forward_shapes(x: Tensor, v0: Tensor, numbers: Any, detach: bool) -> tuple[Tensor, Tensor, Tensor]:
    return x.new_empty(x.shape), v0.new_empty(v0.shape), v0.new_empty(kept_shape(x))


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, v0, ctx.numbers, ctx.detach = inputs
    ctx.save_for_backward(x, v0, output[2])


def _gradients(ctx: Any, g_n: Tensor, g_v: Tensor, _: Tensor) -> tuple[Any, ...]:
    return (
        *torch.ops.snnkit.counts_backward(g_n, g_v, *ctx.saved_tensors, ctx.numbers, ctx.detach),
        None,
        None,
    )


def _backward(
    g_n: Tensor, g_v: Tensor, x: Tensor, v0: Tensor, kept: Tensor, numbers: Any, detach: bool
) -> tuple[Tensor, Tensor]:
    return backward(_job(numbers, detach), g_n, g_v, x, v0, kept, of_v0=True)[:2]


_ops.impl("counts", lambda x, v0, n, d: own(forward(_job(n, d), x, v0, keep=True), x), "CPU")
_ops.impl("counts_backward", _backward, "CPU")
torch.library.register_fake("snnkit::counts", _forward_shapes, lib=_ops)
torch.library.register_fake(
    "snnkit::counts_backward",
    lambda g_n, g_v, x, v0, kept, n, d: (x.new_empty(x.shape), v0.new_empty(v0.shape)),
    lib=_ops,
)
torch.library.register_autograd("snnkit::counts", _gradients, setup_context=_setup, lib=_ops)
