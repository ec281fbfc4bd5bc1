"""LIF in the C library: CPU tensors in float32 or bfloat16."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from . import native
from ._layout import PLAIN
from ._lif_op import Kernels, Kinds, Number, Scalars, described, leak_slope, register, run_lif
from ._passes import backward, forward
from .dynamics import LIFDynamics

__all__ = ["KERNELS", "lif_job", "lif_native"]

_SCALE = 7  # of csrc/native.c, then the shift and the mean


def lif_native(
    x: Tensor, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """Spikes and final state as :func:`snnkit.kernels.lif`, by the C library."""
    return run_lif(KERNELS, x, v0, leak, threshold, d)


def lif_job(
    step: torch.Size, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[native.Job, list[Tensor]]:
    """A job for steps of this shape without its tensors, and the parameters that it points to."""
    return _job(step, *described(leak, threshold, d), None)


def _job(
    step: torch.Size,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    norm: Tensor | None,
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
    if norm is not None:
        job.normed = 1
        wide = (-1, *[1] * (len(step) - 2))
        for i, row in enumerate((2, 3, 0)):
            job.param[_SCALE + i] = native.param(norm[row].reshape(wide), step, keep)
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
    of_x, of_w = leak_slope(charge)
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


def _forward(
    x: Tensor,
    v0: Tensor,
    leak: Tensor | None,
    threshold: Tensor | None,
    scalars: Scalars,
    kinds: Kinds,
    keep: bool,
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    job, _alive = _job(x.shape[1:], leak, threshold, scalars, kinds, norm)
    return forward(job, x, (v0,), keep)  # type: ignore[return-value]


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
    of_v0: bool,
    norm: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    job, _alive = _job(x.shape[1:], leak, threshold, scalars, kinds, norm)
    learned = 0 if leak is None and threshold is None else 2
    return backward(  # type: ignore[return-value]
        job, g_out, (g_v,), x, (v0,), kept, wanted=(of_v0,), learned=learned
    )


def _norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, moments: Sequence[Tensor] | None, eps: float
) -> Tensor:
    lib: Any = native.library()
    norm = torch.empty(4, x.shape[2], **PLAIN)
    job = _norm_job(x, norm, eps)
    if moments is None:
        scratch = torch.empty(2 * native.PIECES, x.shape[2], dtype=torch.float64, device="cpu")
        lib.snn_moments(job, scratch.data_ptr())
    else:
        torch.stack([m.detach() for m in moments], out=norm[:2])
    inverse = torch.rsqrt(norm[1] + eps)
    affine = [None if a is None else a.detach().contiguous() for a in (weight, bias)]
    lib.snn_affine(job, inverse.data_ptr(), *(None if a is None else a.data_ptr() for a in affine))
    return norm


def _norm_back(
    g: Tensor, x: Tensor, norm: Tensor, sums: Tensor, eps: float, of_batch: bool
) -> tuple[Tensor, Tensor]:
    lib: Any = native.library()
    out = torch.empty(4, x.shape[2], **PLAIN)  # two for the gradients, two for scratch
    at = [row.data_ptr() for row in out[:3]]
    lib.snn_norm_back(_norm_job(x, norm, eps), sums.data_ptr(), of_batch, *at, g.data_ptr())
    return out[0], out[1]


def _norm_job(x: Tensor, norm: Tensor, eps: float) -> native.NormJob:
    outer, inner = x.shape[0] * x.shape[1], math.prod(x.shape[3:])
    sizes = (outer, x.shape[2], inner, x.dtype == torch.bfloat16, native.threads_for(x.numel()))
    return native.NormJob(x.data_ptr(), *sizes, *(row.data_ptr() for row in norm), eps)


KERNELS = Kernels(_forward, _backward, _norm, _norm_back)
register(KERNELS, "CPU")
