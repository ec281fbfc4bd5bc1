"""Batch norm and LIF in one pass over memory: the normed input is never stored.

::

    z[t] = scale x[t] + shift      scale = weight / sqrt(var + eps), shift = bias - mean scale
    s, v = LIF(z)

Mean and variance are those of the batch and of all steps, or given. Backward, with the gradient ``g`` of z
and, where the moments are those of the batch, its means ``< >`` over batch, steps and positions::

    g_x = scale (g - <g> - (x - mean) / (var + eps) <g (x - mean)>)

The moments are summed in double precision, in an order that does not depend on the number of threads. Method:
the same algebra as any fused batch norm (Ioffe and Szegedy, arXiv 1502.03167, section 3), put around the LIF
pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import native
from ._layout import channels_back, channels_inside
from ._lif_op import Number, described, formula
from ._norm_lif_op import NormLIF, norm_forward, register_norm
from .backend import backend
from .dynamics import LIFDynamics
from .lif_native import KERNELS as NATIVE
from .triton_lif import KERNELS as TRITON
from .triton_lif import triton_unavailable

__all__ = ["Norm", "norm_lif", "norm_lif_unavailable"]


class Norm(NamedTuple):
    """What a batch norm does to axis 2 of ``[T, B, C, ...]``.

    Attributes:
        weight, bias: ``[C]``, None for 1 and 0.
        mean, var: ``[C]`` moments to use, without gradients of their own; both None for those of the batch.
        eps: added to the variance.
    """

    weight: Tensor | None
    bias: Tensor | None
    mean: Tensor | None
    var: Tensor | None
    eps: float


def norm_lif_unavailable(x: Tensor, norm: Norm, *operands: Any, d: LIFDynamics) -> str | None:
    """Why :func:`norm_lif` cannot run this, None if it can."""
    name = backend()
    if name not in ("auto", "native", "triton"):
        return f'backend "{name}" was chosen'
    if formula(d.surrogate) is None:
        return f"it has no formula for {d.surrogate}"
    if x.ndim < 3 or not x.numel():
        return "it needs elements [T, B, C, ...]"
    on_gpu = name == "triton" or (name == "auto" and x.is_cuda)
    return (triton_unavailable if on_gpu else native.unavailable)(x, *operands, *norm[:4])


def norm_lif(
    x: Tensor, norm: Norm, v0: Tensor, leak: Number, threshold: Number, d: LIFDynamics
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Spikes ``[T, B, C, ...]``, final state, and mean and (biased) variance ``[C]`` of the batch.

    Only where :func:`norm_lif_unavailable` gives None. With given moments, these come back.

    Args:
        x: input. norm: what to do with it. v0, leak, threshold, d: as :func:`snnkit.kernels.lif`.

    Raises:
        ShapeError: a part of ``norm`` is not ``[C]``, or it has only one of the moments.

    First-order gradients only.
    """
    inside = channels_inside(x, v0, leak, threshold)
    if inside is not None:
        spikes, v, mean, var = norm_lif(inside[0], norm, inside[1], leak, threshold, d)
        return channels_back(x, spikes), channels_back(x, v), mean, var
    inputs = (x, v0, *norm, *described(leak, threshold, d))
    if torch.compiler.is_compiling():
        spikes, v, _, moments = torch.ops.snnkit.norm_lif(*inputs)
        return spikes, v, moments[0], moments[1]
    kernels = TRITON if backend() == "triton" or x.is_cuda else NATIVE
    if torch.is_grad_enabled() and any(isinstance(a, Tensor) and a.requires_grad for a in inputs):
        spikes, v, moments = NormLIF.apply(kernels, *inputs)
    else:
        spikes, v, _, moments = norm_forward(kernels, *inputs, keep=False)
    return spikes, v, moments[0], moments[1]


register_norm(NATIVE, "CPU")
register_norm(TRITON, "CUDA")
