"""Forward and backward passes of the C library over a sequence, whatever the neuron family.

The backward pass computes the potentials again, from the input and, of a long sequence, one state in 16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from . import native
from ._layout import EVERY, NOTHING, kept_shape, rows, state
from .native import Job

__all__ = ["backward", "forward"]


def forward(job: Job, x: Tensor, v0: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Output ``[T, *]`` in the dtype of ``x``, final state, and the states that ``keep`` asks for."""
    x, v0 = rows(x), state(v0)
    out = torch.empty(x.shape, dtype=x.dtype)
    if not x.shape[0]:
        return out, v0.clone(), NOTHING
    v, kept = torch.empty(v0.shape), NOTHING
    native.fill(job, x, v0)
    job.out, job.v1[0] = out.data_ptr(), v.data_ptr()
    if keep and x.shape[0] > EVERY:
        kept = torch.empty(kept_shape(x))
        job.kept[0] = kept.data_ptr()
    native.run("forward", job)
    return out, v, kept


def backward(
    job: Job,
    g_out: Tensor | None,
    g_v: Tensor | None,
    x: Tensor,
    v0: Tensor,
    kept: Tensor,
    *,
    of_v0: bool,
    learn: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of input and first state, and with ``learn`` the two parameter sums ``[2, *]``."""
    x, v0 = rows(x), state(v0)
    g_out = torch.zeros(x.shape, dtype=x.dtype) if g_out is None else g_out.contiguous()
    g_x, g_v0 = torch.empty(x.shape, dtype=x.dtype), torch.empty(v0.shape) if of_v0 else NOTHING
    sums = torch.zeros(2, *v0.shape) if learn else NOTHING
    if not x.shape[0]:
        if of_v0:
            g_v0.zero_() if g_v is None else g_v0.copy_(g_v)
        return g_x, g_v0, sums
    native.fill(job, x, v0)
    job.g_out, job.g_x = g_out.data_ptr(), g_x.data_ptr()
    if of_v0:
        job.g_v0[0] = g_v0.data_ptr()
    if g_v is not None:
        g_v = g_v.contiguous()
        job.g_v1[0] = g_v.data_ptr()
    if kept.numel():
        job.kept[0] = kept.data_ptr()
    if learn:
        job.learn = 1
        job.g_param[0], job.g_param[1] = sums[0].data_ptr(), sums[1].data_ptr()
    native.run("backward", job)
    return g_x, g_v0, sums
