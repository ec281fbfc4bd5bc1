"""From clouds ``[B, N, D]`` to maps ``[B, C, M, K]`` of M groups of K neighbours.

Behind them a 1x1 convolution acts on every neighbour alike, so all blocks for maps take clouds as well. What
is computed here depends on coordinates alone: once per cloud, without gradient, shared by all time steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..checks import integer, number
from ..errors import ShapeError, require
from ..points import (
    GROUP_FEATURES,
    SAMPLERS,
    Groups,
    as_cloud,
    canonical_order,
    farthest_points,
    gather_points,
    group_points,
    queue_samples,
    queue_sizes,
    subset_size,
)

__all__ = ["AllPoints", "PointGroups", "PointPyramid", "PointQueue", "map_at"]

_OPS = 8.0  # of a squared distance in three dimensions, and of what is done with it


class AllPoints(nn.Module):
    """Every point by itself: ``[B, N, D]`` -> ``[B, D, N, 1]``, in canonical order.

    Args:
        in_channels: D, coordinates and further features.

    Raises:
        ShapeError: another D, or no cloud. NumericsError: NaN or Inf.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = integer("AllPoints.in_channels", in_channels, 3)
        self.channels = in_channels

    def forward(self, points: Tensor) -> Tensor:
        """See the class."""
        return _canonical(points, self.in_channels, "AllPoints").transpose(1, 2).unsqueeze(3)

    def preprocessing_ops(self, points: Tensor) -> float:
        """Operations on coordinates that the energy estimator may count: none."""
        return 0.0


class PointGroups(nn.Module):
    """M groups of K neighbours: ``[B, N, 3 + E]`` -> ``[B, C, M, K]``.

    Args:
        groups: M, number of groups. k: K, neighbours of each, the centre included.
        features: name in :data:`snnkit.points.GROUP_FEATURES`; the further E channels of a neighbour follow.
        sampler: name in :data:`snnkit.points.SAMPLERS`, which chooses the centres.
        radius: neighbours beyond it are replaced by the centre; None: all are kept.
        in_channels: 3 + E.

    Points are put in canonical order first, so that the result does not depend on theirs, down to the last
    bit (of the sampler "random": its distribution).

    Raises:
        ConfigError: a setting out of range; at a call: fewer points than ``groups`` or ``k``.
        ShapeError: no cloud ``[B, N, in_channels]``. NumericsError: NaN or Inf.
    """

    def __init__(
        self,
        groups: int,
        k: int,
        *,
        features: str = "abs_min",
        sampler: str = "fps",
        radius: float | None = None,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.groups, self.k = integer("PointGroups.groups", groups), integer("PointGroups.k", k)
        self.features, self.sampler = features, sampler
        self.radius = None if radius is None else number("PointGroups.radius", radius, above=0)
        self.in_channels = integer("PointGroups.in_channels", in_channels, 3)
        SAMPLERS.get(sampler)
        none = torch.zeros(1, 1, dtype=torch.int64)
        example = Groups(none, none.unsqueeze(2), torch.zeros(1, 1, 3), torch.zeros(1, 1, 1, 3))
        self.channels = GROUP_FEATURES.get(features)(example).shape[3] + in_channels - 3

    @torch.no_grad()
    def forward(self, points: Tensor) -> Tensor:
        """See the class."""
        points = _canonical(points, self.in_channels, "PointGroups")
        number = points.shape[1]
        for name, least in (("groups", self.groups), ("k", self.k)):
            wanted = f"at most {number}, the number of points"
            require(least <= number, f"PointGroups.{name}", least, wanted, "Give larger clouds.")
        xyz = points[..., :3]
        groups = group_points(xyz, SAMPLERS.get(self.sampler)(xyz, self.groups), self.k, radius=self.radius)
        features = GROUP_FEATURES.get(self.features)(groups)
        if self.in_channels > 3:
            features = torch.cat([features, gather_points(points[..., 3:], groups.neighbours)], 3)
        return features.permute(0, 3, 1, 2)

    def preprocessing_ops(self, points: Tensor) -> float:
        """Multiply-accumulate-like operations of sampling and search, for all clouds of a call."""
        batch, number, _ = points.shape
        sampled = {"fps": number, "fps_subset": subset_size(number, self.groups)}.get(self.sampler, 0)
        return _OPS * batch * self.groups * (sampled + number)

    def extra_repr(self) -> str:
        """Every setting."""
        return (
            f"groups={self.groups}, k={self.k}, features={self.features!r}, sampler={self.sampler!r}, "
            f"radius={self.radius}, in_channels={self.in_channels}"
        )


class PointPyramid(nn.Module):
    """Groups of ever fewer points: level i holds the ``N // reductions[i]`` farthest points of level i-1.

    Args:
        k: neighbours, at most as many as there are points on a level.
        reductions: total reduction of each level, the first is 1.

    Shape:
        ``[B, N, 3+]`` in canonical order -> for each level ``(down, within)``: Groups whose centres are the
        points of the level and whose neighbours lie on the level before, and on the level itself.
    """

    def __init__(self, k: int, reductions: Sequence[int]) -> None:
        super().__init__()
        self.k, self.reductions = integer("PointPyramid.k", k), tuple(reductions)

    @torch.no_grad()
    def forward(self, points: Tensor) -> list[tuple[Groups, Groups]]:
        """See the class."""
        xyz, levels = points[..., :3].contiguous(), []
        for count in self._counts(points.shape[1]):
            everything = torch.arange(xyz.shape[1], device=xyz.device).expand(xyz.shape[:2])
            chosen = everything if count == xyz.shape[1] else farthest_points(xyz, count)
            down = group_points(xyz, chosen, min(self.k, xyz.shape[1]))
            xyz = down.centre
            everything = torch.arange(count, device=xyz.device).expand(xyz.shape[:2])
            levels.append((down, group_points(xyz, everything, min(self.k, count))))
        return levels

    def _counts(self, number: int) -> list[int]:
        require(
            number >= self.reductions[-1],
            "PointPyramid: points",
            number,
            f"at least {self.reductions[-1]}, the total reduction",
            "Give larger clouds, or fewer stages.",
        )
        return [number // reduction for reduction in self.reductions]

    def preprocessing_ops(self, points: Tensor) -> float:
        """Multiply-accumulate-like operations of sampling and search, for all clouds of a call."""
        counts = self._counts(points.shape[1])
        before = [points.shape[1], *counts]
        pairs = sum(2 * n * m + m * m for n, m in zip(before, counts, strict=False))
        return _OPS * points.shape[0] * pairs


class PointQueue(nn.Module):
    """Other points of a cloud at every step, see :func:`snnkit.points.queue_samples`.

    Points are put in canonical order first: where distances tie, theirs would decide which are chosen.

    Args:
        T: number of steps. least: number of points in a step at least; None: half of the cloud.

    Shape:
        ``[B, N, D]``, coordinates first -> ``[T, B, n, D]``.
    """

    def __init__(self, T: int, least: int | None = None) -> None:
        super().__init__()
        self.T = integer("PointQueue.T", T)
        self.least = None if least is None else integer("PointQueue.least", least)

    @torch.no_grad()
    def forward(self, points: Tensor) -> Tensor:
        """See the class."""
        points = _canonical(points, points.shape[-1], "PointQueue")
        index = queue_samples(points[..., :3], self.T, self._least(points.shape[1]))
        return torch.stack([gather_points(points, step) for step in index])

    def preprocessing_ops(self, points: Tensor) -> float:
        """Multiply-accumulate-like operations of sampling, for all clouds of a call."""
        batch, number, _ = points.shape
        n, r = queue_sizes(number, self.T, self._least(number))
        return _OPS * batch * (number * n + sum(r * (number - n - t * r) for t in range(self.T - 1)))

    def _least(self, number: int) -> int:
        return self.least or max(number // 2, 1)


def map_at(x: Tensor, index: Tensor) -> Tensor:
    """``x [T, B, C, N, 1]`` at ``index [S, B, M, K]``, S = 1 or T -> ``[T, B, C, M, K]``."""
    steps, batch, channels = x.shape[:3]
    flat = index.flatten(2).unsqueeze(2).expand(steps, batch, channels, -1)
    return x.squeeze(4).gather(3, flat).unflatten(3, index.shape[2:])


@torch.no_grad()
def _canonical(points: Tensor, channels: int, where: str) -> Tensor:
    points = as_cloud(points, where, f"[B, N, {channels}]")
    if points.shape[2] != channels:
        raise ShapeError(
            f"{where}: got shape {tuple(points.shape)}, expected [B, N, {channels}]. "
            "Create the model with in_channels=... to fit."
        )
    return gather_points(points, canonical_order(points))
