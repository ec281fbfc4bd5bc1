"""Farthest points and nearest neighbours of point clouds, by the C library or torch operations.

Both forms add squared differences in the order of the coordinates, so that they choose the same points. There
is no expanded form ``|a|^2 + |b|^2 - 2ab``, which loses all digits where clouds lie far from the origin.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import BackendError
from . import native
from .backend import backend

__all__ = ["farthest", "nearest"]

_LANES, _MAX_DIMS = 8, 8  # of csrc/native.c
_CHUNK = 1 << 26  # distances at once in the torch form, 256 MB in float32


@torch.no_grad()
def farthest(points: Tensor, count: int, start: Tensor, *, distinct: bool = False) -> Tensor:
    """Indices ``[B, count]``: the start, then always the point farthest from those chosen; first of equals.

    ::

        d[n] = min over chosen c of |p[n] - p[c]|^2;  next = argmax d

    Args:
        points: ``[B, N, D]`` finite. start: int64 ``[B]``.
        distinct: no index twice, also where points coincide; needs ``count <= N``.
    """
    batch, number, dims = points.shape
    if not points.numel() or count == 0:
        return start.new_zeros(batch, count)
    if _native(points):
        planes, padded = _planes(points, 0.0)
        d = torch.full((batch, padded), -1.0, device="cpu")
        d[:, :number] = torch.inf
        picked = torch.empty(batch, count, dtype=torch.int64, device="cpu")
        picked[:, 0] = start
        threads = min(batch, native.threads_for(batch * count * padded))
        pointers = (t.data_ptr() for t in (planes, d, picked))
        native.library().snn_farthest(batch, dims, padded, count, int(distinct), *pointers, threads)  # type: ignore[union-attr]
        return picked
    planes = points.permute(2, 0, 1).contiguous()
    d = planes.new_full((batch, number), torch.inf)
    far, part = torch.empty_like(d), torch.empty_like(d)
    chosen = [start]
    for _ in range(count - 1):
        last = chosen[-1].unsqueeze(1)
        if distinct:
            d.scatter_(1, last, -1.0)
        torch.sub(planes[0], planes[0].gather(1, last), out=far).square_()
        for plane in planes[1:]:
            far.add_(torch.sub(plane, plane.gather(1, last), out=part).square_())
        torch.minimum(d, far, out=d)
        chosen.append(d.argmax(1))  # the first of equals
    return torch.stack(chosen, 1)


@torch.no_grad()
def nearest(points: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Indices and squared distances ``[B, M, k]`` of the k points nearest to each query, nearest first.

    Of equally far points the C library takes the lower index; torch's ``topk`` promises nothing.

    Args:
        points: ``[B, N, D]`` finite, N >= k. queries: ``[B, M, D]`` finite.
    """
    batch, number, dims = points.shape
    rows = queries.shape[1]
    if not batch * rows * k:
        return torch.zeros(batch, rows, k, dtype=torch.int64, device=points.device), queries.new_zeros(
            batch, rows, k
        )
    if _native(points, queries):
        planes, padded = _planes(points, torch.inf)
        queries = queries.contiguous()
        index = torch.empty(batch, rows, k, dtype=torch.int64, device="cpu")
        distance = torch.empty(batch, rows, k, device="cpu")
        pointers = (t.data_ptr() for t in (planes, queries, index, distance))
        threads = native.threads_for(batch * rows * padded)
        native.library().snn_nearest(batch, dims, padded, rows, k, *pointers, threads)  # type: ignore[union-attr]
        return index, distance
    parts = []
    for some in queries.split(max(1, _CHUNK // (batch * number)), 1):
        d = (some[:, :, None, 0] - points[:, None, :, 0]).square_()
        for i in range(1, dims):
            d.add_((some[:, :, None, i] - points[:, None, :, i]).square_())
        parts.append(d.topk(k, largest=False, sorted=True))
    return torch.cat([p.indices for p in parts], 1), torch.cat([p.values for p in parts], 1)


def _native(points: Tensor, *others: Tensor) -> bool:
    """Whether the C library takes these clouds.

    Raises:
        BackendError: it was chosen explicitly, and cannot.
    """
    if torch.compiler.is_compiling() or backend() in ("reference", "eager"):
        return False
    reason = native.unavailable(points, *others)
    if reason is None and points.dtype != torch.float32:
        reason = f"it works in float32, the cloud is {points.dtype}"
    if reason is None and points.shape[-1] > _MAX_DIMS:
        reason = f"it works in up to {_MAX_DIMS} dimensions, the cloud has {points.shape[-1]}"
    if reason is not None and backend() == "native":
        raise BackendError(f"native: {reason}. Choose another backend.")
    return reason is None


def _planes(points: Tensor, filler: float) -> tuple[Tensor, int]:
    """``[B, D, padded]``, padded to whole vectors."""
    missing = -points.shape[1] % _LANES
    planes = points.detach().transpose(1, 2)
    planes = F.pad(planes, (0, missing), value=filler) if missing else planes
    return planes.contiguous(), planes.shape[2]
