"""Linear layer with whole delays, event by event: every nonzero input adds its weights to future steps.

``z[t + d[o, i, s], o] += W[o, i, s] x[t, i]`` in the order of t, i and s. That order does not depend on where
a sequence is cut, so chunks give the bits of one call. Cost: one addition for each nonzero input and synapse,
whatever the delays are. Registered as the operator ``snnkit::delayed_linear``; in float32 on the CPU by the C
library, with the same bits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from . import native
from ._delay_events import native_unavailable
from .delay_dense import delay_dense

__all__ = ["delayed_linear"]

_BLOCK = 1 << 20  # additions at once; bounds the memory of their addresses


def delayed_linear(x: Tensor, weight: Tensor, lags: Tensor, pending: Tensor) -> tuple[Tensor, Tensor]:
    """Output of the layer, and what is still to come.

    Args:
        x: ``[T, B, in]``, mostly zero. weight: ``[out, in, S]``. lags: the same shape, int64 in ``[0, D]``.
        pending: ``[D, B, out]``, what earlier inputs add to the coming steps.

    Returns:
        ``[T, B, out]`` and the new pending ``[D, B, out]``, in the dtype of ``pending``.
    """
    steps = x.shape[0]
    out: Tensor = torch.ops.snnkit.delayed_linear(x, weight, lags, pending)
    return out[:steps], out[steps:]


_ops = torch.library.Library("snnkit", "FRAGMENT")
_ops.define("delayed_linear(Tensor x, Tensor weight, Tensor lags, Tensor pending) -> Tensor")


def _forward(x: Tensor, weight: Tensor, lags: Tensor, pending: Tensor) -> Tensor:
    steps, batch = x.shape[:2]
    out_features, synapses = weight.shape[0], weight.shape[2]
    out = pending.new_zeros(steps + pending.shape[0], batch, out_features)
    out[: pending.shape[0]] = pending
    places = torch.arange(out_features, device=x.device)[:, None, None]
    # per input: where its additions land, and what they are; neighbours in memory
    targets = (lags * (batch * out_features) + places).permute(1, 2, 0).flatten(1).contiguous()
    amounts = weight.to(out.dtype).permute(1, 2, 0).flatten(1).contiguous()
    if native_unavailable(x, weight, pending) is None:
        x = x.resolve_neg().contiguous()
        threads = max(1, min(batch, native.threads_for(x.numel())))
        sizes = steps, batch, x.shape[2], out_features, amounts.shape[1]
        library: Any = native.library()
        library.snn_delay_scatter(*sizes, *(t.data_ptr() for t in (x, targets, amounts, out)), threads)
        return out
    step, sample, unit = x.nonzero(as_tuple=True)
    origin = (step * batch + sample) * out_features
    values = x[step, sample, unit].to(out.dtype).unsqueeze(1)
    at_once = max(1, _BLOCK // max(out_features * synapses, 1))
    for start in range(0, len(unit), at_once):
        part = slice(start, start + at_once)
        index = targets[unit[part]].add_(origin[part, None])
        out.view(-1).index_add_(0, index.flatten(), amounts[unit[part]].mul_(values[part]).flatten())
    return out


_ops.impl("delayed_linear", _forward, "CPU")
_ops.impl("delayed_linear", _forward, "CUDA")


def _shapes(x: Tensor, weight: Tensor, lags: Tensor, pending: Tensor) -> Tensor:
    return pending.new_empty(x.shape[0] + pending.shape[0], x.shape[1], weight.shape[0])


def _setup(ctx: Any, inputs: Any, output: Tensor) -> None:
    x, weight, lags, pending = inputs
    ctx.save_for_backward(x, weight, lags)
    ctx.longest = pending.shape[0]


def _backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """That of the convolution, which computes the same function."""
    x, weight, lags = ctx.saved_tensors
    kernel = weight.new_zeros(*weight.shape[:2], ctx.longest + 1).scatter_add(-1, lags, weight)
    with torch.enable_grad():
        x, kernel = x.detach().to(g.dtype).requires_grad_(), kernel.to(g.dtype).requires_grad_()
        g_x, g_kernel = torch.autograd.grad(delay_dense(x, kernel, tail=True), (x, kernel), g)
    g_weight = g_kernel.gather(-1, lags).to(weight.dtype)
    return g_x.to(ctx.saved_tensors[0].dtype), g_weight, None, g[: ctx.longest]


torch.library.register_fake("snnkit::delayed_linear", _shapes, lib=_ops)
torch.library.register_autograd("snnkit::delayed_linear", _backward, setup_context=_setup, lib=_ops)
