"""Groups of neighbours around centres, and the features that are made of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import DTypeError, ShapeError, require
from ..registry import Registry
from ..sequence import in_transform
from .checks import as_cloud
from .neighbours import ball_query, gather_points, knn

__all__ = ["GROUP_FEATURES", "Groups", "group_points"]

GROUP_FEATURES: Registry[Callable[[Groups], Tensor]] = Registry("group feature")
_OCTAVES = 3
_GUARD = 1e-5  # of divisors, where all points coincide


class Groups(NamedTuple):
    """Groups of a cloud.

    Attributes:
        chosen: int64 ``[B, M]``, which points are centres. neighbours: int64 ``[B, M, K]``.
        centre: ``[B, M, D]``. offset: ``[B, M, K, D]``, neighbour minus centre.
    """

    chosen: Tensor
    neighbours: Tensor
    centre: Tensor
    offset: Tensor


@torch.no_grad()
def group_points(points: Tensor, index: Tensor, k: int, *, radius: float | None = None) -> Groups:
    """Groups of the k nearest points (self included) around ``points[index]``.

    Args:
        points: ``[B, N, D]``. index: int64 ``[B, M]``, as from a sampler. k: at most N.
        radius: neighbours beyond it are replaced by the centre, see :func:`ball_query`.

    Raises:
        ConfigError: k, radius or an index out of range. ShapeError, DTypeError: index. As :func:`as_cloud`.
    """
    points = as_cloud(points, "group_points")
    _check_index(index, points)
    centre = gather_points(points, index)
    near = knn(points, centre, k)[0] if radius is None else ball_query(points, centre, radius, k)
    return Groups(index, near, centre, gather_points(points, near) - centre.unsqueeze(2))


@GROUP_FEATURES.register("signed")
def signed(groups: Groups) -> Tensor:
    """``(d / sigma, c)``: offsets in units of their spread (population, one number per cloud); centres."""
    sigma = groups.offset.flatten(1).std(1, correction=0).view(-1, 1, 1, 1) + _GUARD
    return torch.cat([groups.offset / sigma, _for_each(groups, groups.centre)], 3)


@GROUP_FEATURES.register("abs_min")
def abs_min(groups: Groups) -> Tensor:
    """``(|d| / max |d|, smallest coordinates of the group)``: what a rate can carry, which has no sign.

    The corner of the group stands in for the direction that ``|d|`` loses (after SpikePoint, arXiv
    2310.07189; the scale by the largest offset of the cloud is ours).
    """
    corner = (groups.centre.unsqueeze(2) + groups.offset).amin(2)
    return torch.cat([groups.offset.abs() / _largest(groups), _for_each(groups, corner)], 3)


@GROUP_FEATURES.register("abs_center")
def abs_center(groups: Groups) -> Tensor:
    """``(|d| / max |d|, c)``."""
    return torch.cat([groups.offset.abs() / _largest(groups), _for_each(groups, groups.centre)], 3)


@GROUP_FEATURES.register("split")
def split(groups: Groups) -> Tensor:
    """``(relu(d) / max |d|, relu(-d) / max |d|, c)``: the sign is kept, and a rate can carry it."""
    d, s = groups.offset, _largest(groups)
    return torch.cat([d.relu() / s, (-d).relu() / s, _for_each(groups, groups.centre)], 3)


@GROUP_FEATURES.register("waves")
def waves(groups: Groups) -> Tensor:
    """``split``, then waves of the neighbour's place p: ``(1 + sin(2^i pi p)) / 2`` and cosines, i = 0, 1, 2.

    For coordinates in [0, 1], as those of events. One layer on bare coordinates cuts space in two; on waves
    it finds places (as position codes do; here between 0 and 1, which a rate can carry).
    """
    place = groups.centre.unsqueeze(2) + groups.offset
    phases = torch.cat([math.pi * 2**i * place for i in range(_OCTAVES)], 3)
    return torch.cat([split(groups), (1 + phases.sin()) / 2, (1 + phases.cos()) / 2], 3)


def _check_index(index: Tensor, points: Tensor) -> None:
    batch, number, _ = points.shape
    if index.ndim != 2 or len(index) != batch:
        raise ShapeError(f"group_points: got index {tuple(index.shape)}, expected [{batch}, M].")
    if index.dtype != torch.int64:
        raise DTypeError(
            f"group_points: got index of {index.dtype}, expected torch.int64, as from a sampler."
        )
    if not index.numel() or torch.compiler.is_compiling() or in_transform():
        return
    low, high = (int(end) for end in index.aminmax())
    require(
        low >= 0 and high < number, "group_points.index", f"{low} to {high}", f"indices in [0, {number - 1}]"
    )


def _largest(groups: Groups) -> Tensor:
    return groups.offset.abs().flatten(1).amax(1).clamp(min=_GUARD).view(-1, 1, 1, 1)


def _for_each(groups: Groups, values: Tensor) -> Tensor:
    """``[B, M, D]`` -> ``[B, M, K, D]``."""
    return values.unsqueeze(2).expand_as(groups.offset)
