"""Batch norms folded into the layer in front of them.

::

    y = gamma (W x + b - mu) / sqrt(var + eps) + beta
      = (a W) x + (a (b - mu) + beta),    a = gamma / sqrt(var + eps)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import QuantConfigError

__all__ = ["Affine", "affine_of", "fold_norms"]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class Affine(NamedTuple):
    """``y = a x + b`` per channel, both ``[C]``."""

    a: Tensor
    b: Tensor


def affine_of(norm: nn.Module) -> Affine:
    """What a batch norm does in evaluation, in float64.

    Raises:
        QuantConfigError: it has no running statistics, so that its output depends on the batch.
    """
    mean, var = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    if not isinstance(norm, NORMS) or mean is None or var is None:
        raise QuantConfigError(
            f"{type(norm).__name__}: got a norm without running statistics, expected a batch norm with them. "
            "Use track_running_stats=True."
        )
    gamma = torch.ones_like(mean) if norm.weight is None else norm.weight
    beta = torch.zeros_like(mean) if norm.bias is None else norm.bias
    a = gamma.detach().double() / (var.double() + norm.eps).sqrt()
    return Affine(a, beta.detach().double() - a * mean.double())


@torch.no_grad()
def fold_norms(model: nn.Module) -> list[str]:
    """Fold every batch norm that directly follows a layer in an ``nn.Sequential``, in place.

    Exact up to the rounding of weights, for networks in evaluation mode, also with padding, negative or zero
    ``gamma`` and ``var = 0``. Norms in front of a layer are left: zero padding is not zero behind them.

    Returns:
        Paths of the norms that became ``nn.Identity``.
    """
    folded = []
    for path, chain in model.named_modules():
        if not isinstance(chain, nn.Sequential):
            continue
        for i, (layer, norm) in enumerate(zip(list(chain)[:-1], list(chain)[1:], strict=True)):
            if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and isinstance(norm, NORMS):
                a, b = affine_of(norm)
                shape = (-1, *[1] * (layer.weight.ndim - 1))
                bias = b if layer.bias is None else a * layer.bias.double() + b
                layer.weight.copy_(layer.weight.double() * a.reshape(shape))
                layer.bias = nn.Parameter(bias.to(layer.weight.dtype))
                chain[i + 1] = nn.Identity()
                folded.append(f"{path}.{i + 1}".lstrip("."))
    return folded
