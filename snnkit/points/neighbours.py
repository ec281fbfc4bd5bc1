"""Who is near: nearest neighbours, and those within a radius."""

from __future__ import annotations

import torch
from torch import Tensor

from ..checks import integer, number
from ..errors import ShapeError, require
from ..kernels import nearest
from .checks import as_cloud

__all__ = ["ball_query", "gather_points", "knn"]


def gather_points(points: Tensor, index: Tensor) -> Tensor:
    """``points [B, N, D]`` at ``index [B, ...]`` -> ``[B, ..., D]``."""
    flat = index.flatten(1).unsqueeze(2).expand(-1, -1, points.shape[2])
    return points.gather(1, flat).reshape(*index.shape, points.shape[2])


@torch.no_grad()
def knn(points: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query, nearest first; a query that is a point is its own neighbour.

    Distances are sums of squared differences, exact where the difference is: 0 for a point itself, wherever
    the cloud lies. (The product form ``|a|^2 + |b|^2 - 2ab`` gave 8192 there for coordinates around 1e5.)

    Args:
        points: ``[B, N, D]``. queries: ``[B, M, D]``. k: at most N.

    Returns:
        indices ``[B, M, k]`` int64 and squared distances ``[B, M, k]``. On the CPU in float32, of equally far
        points the lower index comes first; elsewhere their order is that of ``torch.topk``.

    Raises:
        ConfigError: k out of range. ShapeError: batches or dimensions differ. As :func:`as_cloud`.
    """
    points, queries = as_cloud(points, "knn.points"), as_cloud(queries, "knn.queries", "[B, M, D]")
    if points.shape[::2] != queries.shape[::2]:
        raise ShapeError(
            f"knn: got points {tuple(points.shape)} and queries {tuple(queries.shape)}, expected "
            "[B, N, D] and [B, M, D] with the same B and D."
        )
    integer("knn.k", k)
    n = points.shape[1]
    require(k <= n, "knn.k", k, f"at most {n}, the number of points", "Ask for fewer neighbours.")
    return nearest(points, queries, k)


@torch.no_grad()
def ball_query(points: Tensor, queries: Tensor, radius: float, k: int) -> Tensor:
    """The up to k nearest points within ``radius``, ``[B, M, k]``; missing ones are the nearest again.

    Queries are points of the cloud as a rule: then the nearest is the query itself. Without any point inside,
    all k are the nearest. PointNet++ takes the first k hits in the order of points, and pads with the first.

    Args:
        radius: > 0, same unit as the coordinates; on the border is inside. The rest as in :func:`knn`.
    """
    number("ball_query.radius", radius, above=0)
    index, distance = knn(points, queries, k)
    return torch.where(distance <= radius * radius, index, index[..., :1])
