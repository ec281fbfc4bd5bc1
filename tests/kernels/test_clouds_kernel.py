"""Farthest points and neighbours: the C library and the torch form against a loop that is written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from snnkit.errors import BackendError
from snnkit.kernels import farthest, nearest, use_backend

BACKENDS = pytest.mark.parametrize("name", ["native", "reference"])
SIZES = pytest.mark.parametrize("number", [1, 7, 8, 9, 41])
DIMS = pytest.mark.parametrize("dims", [1, 3, 4, 8])


def cloud(number: int, dims: int, *, grid: bool = False) -> Tensor:
    """Two clouds; on a grid, so that many distances are equal."""
    return torch.randint(0, 4, (2, number, dims)).float() if grid else torch.randn(2, number, dims)


def squared(points: Tensor, queries: Tensor) -> list[list[float]]:
    """From every query to every point: in float32, added in the order of the coordinates."""
    p, q = points.numpy(), queries.numpy()
    total = np.zeros((len(q), len(p)), p.dtype)
    for axis in range(p.shape[1]):
        total += (q[:, None, axis] - p[None, :, axis]) ** 2
    return total.tolist()


def farthest_loop(points: Tensor, count: int, start: int, distinct: bool) -> list[int]:
    d, chosen = squared(points, points), [start]
    while len(chosen) < count:
        allowed = [i for i in range(len(d)) if not (distinct and i in chosen)]
        chosen.append(max(allowed, key=lambda i: min(d[c][i] for c in chosen)))  # the first of equals
    return chosen


@BACKENDS
@SIZES
@DIMS
@pytest.mark.parametrize("grid", [False, True])
@pytest.mark.parametrize("distinct", [False, True])
def test_farthest_equals_the_loop(name: str, number: int, dims: int, grid: bool, distinct: bool) -> None:
    points, count = cloud(number, dims, grid=grid), min(number, 9)
    start = torch.tensor([0, number - 1])
    with use_backend(name):
        got = farthest(points, count, start, distinct=distinct)
    wanted = [farthest_loop(points[b], count, int(start[b]), distinct) for b in range(2)]
    assert got.tolist() == wanted


@BACKENDS
def test_all_points_in_any_order(name: str) -> None:
    points = torch.randn(3, 50, 3)
    with use_backend(name):
        assert (
            farthest(points, 50, torch.zeros(3, dtype=torch.int64)).sort(1).values == torch.arange(50)
        ).all()


@BACKENDS
@SIZES
@DIMS
@pytest.mark.parametrize("grid", [False, True])
def test_nearest_equals_the_loop(name: str, number: int, dims: int, grid: bool) -> None:
    points, queries, k = cloud(number, dims, grid=grid), cloud(5, dims, grid=grid), min(number, 6)
    with use_backend(name):
        index, distance = nearest(points, queries, k)
    for b in range(2):
        for m, d in enumerate(squared(points[b], queries[b])):
            order = sorted(range(number), key=lambda i: d[i])  # stable: of equals the lower index
            assert distance[b, m].tolist() == [d[i] for i in order[:k]]
            assert [d[i] for i in index[b, m].tolist()] == [d[i] for i in order[:k]]
            assert len(set(index[b, m].tolist())) == k
            if name == "native":
                assert index[b, m].tolist() == order[:k]


@BACKENDS
def test_far_from_the_origin(name: str) -> None:
    """Where the product form gives 8192 for the distance of a point to itself."""
    points = torch.randn(2, 64, 3) + 1e5
    with use_backend(name):
        index, distance = nearest(points, points, 3)
    assert not distance[..., 0].any()
    assert (index[..., 0] == torch.arange(64)).all()


@BACKENDS
def test_farther_than_a_float_tells(name: str) -> None:
    """Squares of such differences are infinite: never what happened to be in memory."""
    points = torch.tensor([[[3e30] * 3, [0.0] * 3, [-3e30] * 3, [1e30] * 3]])
    with use_backend(name):
        index, distance = nearest(points, torch.zeros(1, 1, 3), 3)
        far = nearest(points[:, [0, 2, 3]], torch.zeros(1, 1, 3), 3)
        chosen = farthest(points, 2, torch.tensor([1]))
    assert index[0, 0, 0] == 1
    assert len(set(index.flatten().tolist()) & set(range(4))) == 3
    assert distance.tolist() == [[[0.0, math.inf, math.inf]]]
    assert sorted(far[0].flatten().tolist()) == [0, 1, 2]
    assert bool(far[1].isinf().all())
    assert chosen.tolist() == [[1, 0]]


def test_threads_do_not_change_a_bit() -> None:
    points, start = torch.randn(8, 1000, 3), torch.zeros(8, dtype=torch.int64)
    one = farthest(points, 200, start), *nearest(points, points, 16)
    torch.set_num_threads(2)
    two = farthest(points, 200, start), *nearest(points, points, 16)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@BACKENDS
def test_views_and_empty_batches(name: str) -> None:
    points = torch.randn(2, 3, 20).transpose(1, 2)
    start = torch.zeros(2, dtype=torch.int64)
    with use_backend(name):
        assert torch.equal(farthest(points, 5, start), farthest(points.contiguous(), 5, start))
        assert torch.equal(
            nearest(points, points[:, ::2], 3)[0], nearest(*[points.clone()] * 2, 3)[0][:, ::2]
        )
        assert farthest(points[:0], 5, start[:0]).shape == (0, 5)
        assert nearest(points[:0], points[:0], 3)[0].shape == (0, 20, 3)


@pytest.mark.parametrize("points", [torch.randn(1, 9, 3, dtype=torch.float64), torch.randn(1, 9, 9)])
def test_what_the_library_refuses(points: Tensor) -> None:
    start = torch.zeros(1, dtype=torch.int64)
    with use_backend("native"), pytest.raises(BackendError, match=r"float32|dimensions"):
        farthest(points, 3, start)
    wanted = farthest_loop(points[0], 3, 0, False)
    assert farthest(points, 3, start).tolist() == [wanted]
