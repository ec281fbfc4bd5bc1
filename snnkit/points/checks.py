"""What every function on clouds refuses."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import NumericsError, ShapeError
from ..sequence import as_sequence, in_transform, state_dtype

__all__ = ["as_cloud"]


def as_cloud(points: Tensor, where: str, axes: str = "[B, N, D]") -> Tensor:
    """``points`` in at least float32, if they are finite and of three axes, none but the batch empty.

    Raises:
        InputTypeError, DTypeError: no real tensor. ShapeError: other axes. NumericsError: NaN or Inf.
    """
    points = as_sequence(points, where, min_ndim=0, axes=axes)
    if points.ndim != 3 or 0 in points.shape[1:]:
        raise ShapeError(
            f"{where}: got shape {tuple(points.shape)}, expected {axes} with at least one point and axis. "
            "One cloud [N, D] needs a batch axis: points.unsqueeze(0)."
        )
    points = points.to(state_dtype(points.dtype))
    if not (torch.compiler.is_compiling() or in_transform()):
        finite = torch.isfinite(points)
        if not bool(finite.all()):
            wrong = (~finite).flatten(1).any(1).nonzero().flatten().tolist()
            raise NumericsError(
                f"{where}: {int((~finite).sum())} of {points.numel()} coordinates are NaN or Inf, in clouds "
                f"{wrong[:5]}. Expected finite ones; drop those points."
            )
    return points
