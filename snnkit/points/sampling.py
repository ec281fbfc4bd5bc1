"""Choosing M of N points; every function returns indices ``[B, M]`` int64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..checks import integer
from ..errors import DeviceError, require
from ..kernels import farthest
from ..registry import Registry
from .checks import as_cloud
from .neighbours import gather_points

__all__ = [
    "SAMPLERS",
    "canonical_order",
    "farthest_of_subset",
    "farthest_points",
    "queue_samples",
    "queue_sizes",
    "random_points",
    "stride_points",
    "subset_size",
]

_EXACT = 8192  # points, up to which "fps_subset" looks at all of them
SAMPLERS: Registry[Callable[..., Tensor]] = Registry("point sampler")


@torch.no_grad()
def canonical_order(points: Tensor) -> Tensor:
    """Indices ``[B, N]`` that sort each cloud by its last coordinate, ties by the ones before.

    Whatever follows then sees the same cloud in whichever order its points come, down to the last bit. Events
    (x, y, t) come out in order of time.
    """
    points = as_cloud(points, "canonical_order")
    order = torch.arange(points.shape[1], device=points.device).expand(points.shape[:2])
    for coordinate in points.unbind(2):  # the last sort counts most; a stable one keeps those before
        order = order.gather(1, coordinate.gather(1, order).argsort(dim=1, stable=True))
    return order


@SAMPLERS.register("fps")
@torch.no_grad()
def farthest_points(
    points: Tensor, count: int, *, start: int | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Farthest-point sampling: always the point farthest from those chosen (first of equals).

    Args:
        points: ``[B, N, D]``. count: M, at most N. Where points coincide, one may be chosen again.
        start: index of the first point; None: the point farthest from the centroid, which does not depend on
            the order of points (but for ties, see :func:`canonical_order`).
        generator: not used; samplers have one signature.

    O(N M). On the CPU in float32 by the C library, else M times five torch operations, which on CUDA is
    bound by launches, not by work.

    Raises:
        ConfigError: count or start out of range. As :func:`as_cloud`.

    Example:
        >>> corners = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]])
        >>> farthest_points(corners, 2, start=0).tolist()
        [[0, 3]]
    """
    points = as_cloud(points, "farthest_points")
    _count("farthest_points", points, count)
    return farthest(points, count, _start(points, start))


@SAMPLERS.register("fps_subset")
@torch.no_grad()
def farthest_of_subset(points: Tensor, count: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Of more than 8192 points, the farthest among ``4 count`` of them: O(M^2) instead of O(N M).

    :func:`farthest_points` itself is exact for any N.

    Args:
        points: ``[B, N, D]``. count: M, at most N.
        generator: of a random subset; None: evenly spaced in the order in which the points come, which
            repeats.
    """
    points = as_cloud(points, "farthest_of_subset")
    _count("farthest_of_subset", points, count)
    if subset_size(points.shape[1], count) == points.shape[1]:
        return farthest_points(points, count)
    choose = stride_points if generator is None else random_points
    some = choose(points, 4 * count, generator=generator)
    return some.gather(1, farthest_points(gather_points(points, some), count))


def subset_size(number: int, count: int) -> int:
    """Among how many points :func:`farthest_of_subset` looks."""
    return min(4 * count, number) if number > _EXACT else number


@SAMPLERS.register("random")
@torch.no_grad()
def random_points(points: Tensor, count: int, *, generator: torch.Generator | None = None) -> Tensor:
    """``count`` points of each cloud without replacement, all subsets equally likely.

    Args:
        generator: on the device of the points; None: torch's global one.
    """
    points = as_cloud(points, "random_points")
    _count("random_points", points, count)
    if generator is not None and generator.device.type != points.device.type:
        raise DeviceError(
            f"random_points.generator: is on {generator.device}, the points on {points.device}. "
            f"Use torch.Generator(device={points.device.type!r})."
        )
    noise = torch.rand(points.shape[:2], generator=generator, device=points.device, dtype=torch.float64)
    return noise.argsort(1)[:, :count]


@SAMPLERS.register("stride")
@torch.no_grad()
def stride_points(points: Tensor, count: int, *, generator: torch.Generator | None = None) -> Tensor:
    """Points ``floor(i N / M)``: evenly spaced in the order in which they come, which for events is time.

    Args:
        generator: not used; samplers have one signature.
    """
    points = as_cloud(points, "stride_points")
    _count("stride_points", points, count)
    index = torch.arange(count, device=points.device) * points.shape[1] // count
    return index.expand(len(points), count)


@torch.no_grad()
def queue_samples(points: Tensor, T: int, count: int) -> Tensor:
    """Other points at every step, first in, first out: indices ``[T, B, n]``.

    ::

        n = max(N // T, count);  r = min((N - n) // (T - 1), n)
        step 0: n farthest points of the cloud
        step t: r farthest points of those that were in no step yet enter at the end of the queue, r leave at
                its front

    All steps together hold exactly ``n + (T - 1) r`` distinct points, also where points coincide.

    Args:
        points: ``[B, N, D]``. T: steps >= 1. count: least points in a step, at most N.

    Reference:
        Q-SDE of Spiking Point Transformer, arXiv 2502.15811. Its public code applies indices into the rest of
        the cloud to the whole cloud, so that later steps hold points that were chosen before.
    """
    points = as_cloud(points, "queue_samples")
    integer("queue_samples.T", T)
    _count("queue_samples", points, count)
    batch, number, dims = points.shape
    n, r = queue_sizes(number, T, count)
    queue = farthest(points, n, _start(points, None), distinct=True)
    steps, used = [queue], torch.zeros(batch, number, dtype=torch.bool, device=points.device)
    used.scatter_(1, queue, True)
    for t in range(1, T):
        if r:
            # of each cloud equally many are left: their indices, in order, are the map back to the cloud
            rest = used.to(torch.uint8).argsort(dim=1, stable=True)[:, : number - n - (t - 1) * r]
            left = points.gather(1, rest.unsqueeze(2).expand(-1, -1, dims))
            new = rest.gather(1, farthest(left, r, _start(left, None), distinct=True))
            used.scatter_(1, new, True)
            queue = torch.cat([queue, new], 1)[:, r:]
        steps.append(queue)
    return torch.stack(steps)


def queue_sizes(number: int, T: int, count: int) -> tuple[int, int]:
    """Of :func:`queue_samples` for clouds of ``number`` points: how many in a step, how many enter."""
    n = max(number // T, count)
    return n, min((number - n) // (T - 1), n) if T > 1 else 0


def _start(points: Tensor, start: int | None) -> Tensor:
    if start is not None:
        integer("farthest_points.start", start, 0, points.shape[1] - 1)
        return torch.full((len(points),), start, device=points.device)
    return (points - points.mean(1, keepdim=True)).square_().sum(2).argmax(1)


def _count(where: str, points: Tensor, count: int) -> None:
    number = points.shape[1]
    integer(f"{where}.count", count)
    require(
        count <= number,
        f"{where}.count",
        count,
        f"at most {number}, the number of points",
        "Ask for fewer points, or give larger clouds.",
    )
