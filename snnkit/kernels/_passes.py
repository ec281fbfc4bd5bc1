"""Forward and backward passes of the C library over a sequence, whatever the neuron family.

The backward pass computes the potentials again, from the input and, of a long sequence, the states of one
step in 16.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import native
from ._layout import EVERY, NOTHING, PLAIN, check_backward, check_states, kept_shape, rows, state
from .native import Job

__all__ = ["backward", "forward"]


def forward(job: Job, x: Tensor, states: Sequence[Tensor], keep: bool) -> tuple[Tensor, ...]:
    """Output ``[T, *]`` in the dtype of ``x``, final states, and the states that ``keep`` asks for."""
    x, states = rows(x), [state(v) for v in states]
    check_states(x, states)
    out = torch.empty(x.shape, dtype=x.dtype, device="cpu")
    if not x.shape[0]:
        return out, *(v.clone() for v in states), NOTHING
    last, kept = [torch.empty(v.shape, **PLAIN) for v in states], NOTHING
    native.fill(job, x, states)
    job.out = out.data_ptr()
    if keep and x.shape[0] > EVERY:
        kept = torch.empty(kept_shape(x, len(states)), **PLAIN)
        _point_at_kept(job, kept)
    for i, v in enumerate(last):
        job.v1[i] = v.data_ptr()
    native.run("forward", job)
    return out, *last, kept


def backward(
    job: Job,
    g_out: Tensor | None,
    g_states: Sequence[Tensor | None],
    x: Tensor,
    states: Sequence[Tensor],
    kept: Tensor,
    *,
    wanted: Sequence[bool],
    learned: int = 0,
) -> tuple[Tensor, ...]:
    """Gradients of input and of the ``wanted`` first states, sums over time ``[learned, *]``, norm sums.

    The sums are the gradients of the first parameters of the family, one for every neuron. Of a job that
    norms its input, the gradient of the input is that behind the norm, and the norm sums ``[pieces, 2, C]``
    are by channel, of it and of it times the input minus its mean.
    """
    x, states = rows(x), [state(v) for v in states]
    check_backward(x, g_out, states, g_states, kept)
    g_out = torch.zeros(x.shape, dtype=x.dtype, device="cpu") if g_out is None else g_out.contiguous()
    g_x = torch.empty(x.shape, dtype=x.dtype, device="cpu")
    g_first = [
        torch.empty(v.shape, **PLAIN) if want else NOTHING for v, want in zip(states, wanted, strict=True)
    ]
    sums = torch.zeros(learned, *x.shape[1:], **PLAIN) if learned else NOTHING
    norm_sums = NOTHING
    if job.normed:  # by the C library, of every piece of the work
        norm_sums = torch.zeros(native.PIECES, 2, x.shape[2], dtype=torch.float64, device="cpu")
    g_last = [None if g is None else g.contiguous() for g in g_states]
    if not x.shape[0]:
        for i, g in enumerate(g_last):
            if wanted[i]:
                g_first[i].zero_() if g is None else g_first[i].copy_(g)
        return g_x, *g_first, sums, norm_sums
    native.fill(job, x, states)
    job.g_out, job.g_x = g_out.data_ptr(), g_x.data_ptr()
    for i, g in enumerate(g_last):
        if wanted[i]:
            job.g_v0[i] = g_first[i].data_ptr()
        if g is not None:
            job.g_v1[i] = g.data_ptr()
    if kept.numel():
        _point_at_kept(job, kept)
    if learned:
        job.learn = 1
        for i in range(learned):
            job.g_param[i] = sums[i].data_ptr()
    job.g_norm = norm_sums.data_ptr()
    native.run("backward", job)
    return g_x, *g_first, sums, norm_sums


def _point_at_kept(job: Job, kept: Tensor) -> None:
    for i, states in enumerate(kept):
        job.kept[i] = states.data_ptr()
