"""Batch norm and neuron as one: in one pass over memory where there is a kernel for both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from ..kernels import Norm
from ..neurons import LIF
from ..sequence import checks_numerics, in_transform, per_step

__all__ = ["fused_norm_neuron", "may_fuse", "norm_neuron"]

_NORMS = {nn.BatchNorm1d: (3, 4), nn.BatchNorm2d: (5,), nn.BatchNorm3d: (6,)}  # ranks of [T, B, C, ...]
_RUN = ("forward", "run", "_run", "step")  # as they were defined, on the class and on the module
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def norm_neuron(norm: nn.Module, neuron: nn.Module, x: Tensor) -> Tensor:
    """``neuron(per_step(norm, x))`` for ``x [T, B, C, ...]``, running statistics included.

    A batch norm and a neuron of the LIF family run as one operation, :func:`snnkit.kernels.norm_lif`, on CPU
    tensors in float32 or bfloat16 (and on CUDA where Triton is). Statistics and gradients equal those of the
    two modules up to rounding; in evaluation in float32 the normed values are rounded as torch rounds them;
    in bfloat16 they stay float32, and a potential near its threshold may fire differently. Whoever looks
    between the two, with a hook or a dispatch mode, gets the two.

    Example:
        >>> x = torch.randn(4, 8, 3, 5, 5)
        >>> snnkit.layers.norm_neuron(torch.nn.BatchNorm2d(3), snnkit.LIF(), x).shape
        torch.Size([4, 8, 3, 5, 5])
    """
    spikes = fused_norm_neuron(norm, neuron, x) if may_fuse(norm, neuron) else None
    return neuron(per_step(norm, x)) if spikes is None else spikes


def fused_norm_neuron(norm: nn.Module, neuron: nn.Module, x: Tensor) -> Tensor | None:
    """The one operation, for two that :func:`may_fuse`; None where it cannot take x."""
    assert isinstance(neuron, LIF)
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    fits = x.ndim in _NORMS[type(norm)] and x.shape[2] == norm.num_features
    if not fits or x.numel() <= (x.shape[2] if norm.training else 0):  # torch refuses to norm one value
        return None
    if not norm.training and norm.running_mean is None:  # every step has statistics of its own: see per_step
        return None
    given = not norm.training
    moments = (norm.running_mean, norm.running_var) if given else (None, None)
    out = neuron.forward_normed(x, Norm(norm.weight, norm.bias, *moments, norm.eps))
    if out is None:
        return None
    spikes, mean, var = out
    if norm.training and norm.track_running_stats and norm.running_mean is not None:
        _track(norm, mean, var, x.numel() // x.shape[2])
    return spikes


def may_fuse(norm: nn.Module, neuron: nn.Module, *around: nn.Module) -> bool:
    """Both are what they seem, and nobody looks between them, or at what is ``around`` them."""
    return (
        type(norm) in _NORMS
        and isinstance(neuron, LIF)
        and not neuron._own_step
        and all(getattr(type(neuron), name) is getattr(LIF, name) for name in _RUN)
        and not any(name in vars(m) for name in _RUN for m in (norm, neuron))
        and not any(getattr(m, hooks) for m in (norm, neuron, *around) for hooks in _HOOKS)
        and not any(getattr(torch_module, f"_global{hooks}") for hooks in _HOOKS)
        and (torch.compiler.is_compiling() or not (_dispatched() or in_transform() or checks_numerics()))
    )


def _dispatched() -> bool:
    """Somebody watches the operations."""
    return torch._C._len_torch_dispatch_stack() > 0


def _track(norm: nn.modules.batchnorm._BatchNorm, mean: Tensor, var: Tensor, count: int) -> None:
    """Update the running statistics as the batch norm would."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    share = norm.momentum
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
        if share is None:
            share = 1 / float(norm.num_batches_tracked)
    with torch.no_grad():
        norm.running_mean.lerp_(mean, share or 0.0)
        norm.running_var.lerp_(var * (count / (count - 1)), share or 0.0)
