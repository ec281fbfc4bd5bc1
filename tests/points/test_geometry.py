"""Samplers, neighbours, groups and queues: golden values, laws, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.errors import ConfigError, DeviceError, DTypeError, NumericsError, ShapeError
from snnkit.points import (
    GROUP_FEATURES,
    SAMPLERS,
    ball_query,
    canonical_order,
    farthest_of_subset,
    farthest_points,
    gather_points,
    group_points,
    knn,
    queue_samples,
    random_points,
    stride_points,
)

GOLDEN = torch.tensor(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0.5, 0.5, 1], [0, 0, 0.25], [0.9, 0.1, 0], [0.4, 0.6, 0.5]]
)[None]
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.names())


def golden_groups() -> Any:
    return group_points(GOLDEN, farthest_points(GOLDEN, 4, start=0), 3)


# -- golden values ---------------------------------------------------------------------------------


def test_golden_samples_and_neighbours() -> None:
    assert farthest_points(GOLDEN, 4, start=0).tolist() == [[0, 3, 4, 1]]
    assert farthest_points(GOLDEN, 8, start=0).tolist() == [[0, 3, 4, 1, 2, 7, 5, 6]]
    index, distance = knn(GOLDEN, gather_points(GOLDEN, farthest_points(GOLDEN, 4, start=0)), 3)
    assert index.tolist() == [[[0, 5, 7], [3, 7, 6], [4, 7, 5], [1, 6, 7]]]
    wanted = [[0, 0.0625, 0.77], [0, 0.77, 0.82], [0, 0.27, 1.0625], [0, 0.02, 0.97]]
    torch.testing.assert_close(distance[0], torch.tensor(wanted))


def test_golden_features() -> None:
    groups = golden_groups()
    torch.testing.assert_close(
        groups.offset[0, 1], torch.tensor([[0, 0, 0], [-0.6, -0.4, 0.5], [-0.1, -0.9, 0]])
    )
    signed = GROUP_FEATURES.get("signed")(groups)
    wanted = torch.tensor([[0, 0, 0], [-1.663610, -1.109073, 1.386342], [-0.277268, -2.495415, 0]])
    torch.testing.assert_close(signed[0, 1, :, :3], wanted, rtol=0, atol=2e-6)
    assert (signed[0, 1, :, 3:] == torch.tensor([1.0, 1.0, 0.0])).all()

    s = 0.9
    absolute = torch.tensor([[0, 0, 0], [0.6, 0.4, 0.5], [0.1, 0.9, 0]]) / s
    least = GROUP_FEATURES.get("abs_min")(groups)
    torch.testing.assert_close(least[0, 1, :, :3], absolute)
    minima = torch.tensor([[0, 0, 0], [0.4, 0.1, 0], [0, 0, 0.25], [0.4, 0, 0]])
    torch.testing.assert_close(least[0, :, 0, 3:], minima)
    torch.testing.assert_close(GROUP_FEATURES.get("abs_center")(groups)[0, 1, :, :3], absolute)
    both = GROUP_FEATURES.get("split")(groups)
    torch.testing.assert_close(both[0, 1, :, :3], torch.tensor([[0, 0, 0], [0, 0, 0.5], [0, 0, 0]]) / s)
    torch.testing.assert_close(
        both[0, 1, :, 3:6], torch.tensor([[0, 0, 0], [0.6, 0.4, 0], [0.1, 0.9, 0]]) / s
    )


@pytest.mark.parametrize(("T", "distinct"), [(2, 1024), (4, 1022)])
def test_queue_sampling_has_the_stated_number_of_points(T: int, distinct: int) -> None:
    """n + (T - 1) r; indices of the rest, taken for indices of the cloud, give about 768 for T = 2."""
    points = torch.rand(2, 1024, 3)
    index = queue_samples(points, T, 512)
    assert index.shape == (T, 2, 512)
    for b in range(2):
        assert all(len(step.unique()) == 512 for step in index[:, b])
        assert len(index[:, b].unique()) == distinct
        assert torch.equal(index[0, b], farthest_points(points, 512)[b])
        for t in range(1, T):  # first in, first out
            r = (1024 - 512) // (T - 1)
            assert torch.equal(index[t, b, :-r], index[t - 1, b, r:])


def test_queue_without_a_rest_repeats_itself() -> None:
    index = queue_samples(torch.rand(1, 8, 3), 3, 8)
    assert (index == index[0]).all()
    assert queue_samples(torch.rand(1, 9, 3), 3, 1).shape == (3, 1, 3)  # n = max(N // T, count)
    assert queue_samples(torch.rand(1, 9, 3), 1, 4).sort().values.tolist() == [[list(range(9))]]


@pytest.mark.parametrize("T", [1, 2, 3])
def test_queue_of_points_that_coincide(T: int) -> None:
    index = queue_samples(torch.ones(1, 9, 3), T, 3)
    assert index.shape == (T, 1, {1: 9, 2: 4, 3: 3}[T])
    assert len(index.unique()) == {1: 9, 2: 8, 3: 9}[T]


# -- laws ------------------------------------------------------------------------------------------


@every_sampler
def test_samplers(sampler: str) -> None:
    points = torch.rand(3, 20, 3)
    index = SAMPLERS.get(sampler)(points, 7, generator=torch.Generator().manual_seed(1))
    assert index.dtype == torch.int64
    assert index.shape == (3, 7)
    assert all(len(row.unique()) == 7 for row in index)
    assert SAMPLERS.get(sampler)(points, 20).sort(1).values.tolist() == [list(range(20))] * 3
    assert SAMPLERS.get(sampler)(points[:0], 7).shape == (0, 7)
    again = SAMPLERS.get(sampler)(points, 7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(index, again)


def test_farthest_of_many_points_are_of_a_subset() -> None:
    points = torch.rand(2, 8193, 3)
    for generator in (None, torch.Generator().manual_seed(3)):
        index = farthest_of_subset(points, 9, generator=generator)
        seed = torch.Generator().manual_seed(3)
        some = stride_points(points, 36) if generator is None else random_points(points, 36, generator=seed)
        inside = gather_points(points, some)
        assert torch.equal(index, some.gather(1, farthest_points(inside, 9)))
    few = points[:, :8192]
    assert torch.equal(farthest_of_subset(few, 9), farthest_points(few, 9))


def test_random_points_are_uniform() -> None:
    index = random_points(torch.zeros(4000, 5, 3), 2)
    share = torch.bincount(index.flatten(), minlength=5) / 4000
    assert (share - 0.4).abs().max() < 0.04


def test_stride() -> None:
    assert stride_points(torch.zeros(1, 10, 3), 4).tolist() == [[0, 2, 5, 7]]


@pytest.mark.parametrize("grid", [False, True])
def test_farthest_points_of_a_shuffled_cloud(grid: bool) -> None:
    """The same points, in canonical order also where distances are equal; a start at index 0 breaks it."""
    points = torch.randint(0, 5, (2, 60, 3)).float() if grid else torch.rand(2, 60, 3)
    found = []
    for shuffle in (torch.arange(60), torch.randperm(60)):
        moved = gather_points(points[:, shuffle], canonical_order(points[:, shuffle]))
        found.append(gather_points(moved, farthest_points(moved, 20)))
    assert torch.equal(*found)


def test_canonical_order_is_lexicographic() -> None:
    points = torch.randint(0, 3, (2, 40, 3)).float()
    rows = gather_points(points, canonical_order(points)).flip(2).tolist()
    assert rows == [sorted(cloud) for cloud in points.flip(2).tolist()]


def test_offsets_do_not_see_a_translation() -> None:
    points = torch.randint(0, 64, (2, 50, 3)).float()
    index = farthest_points(points, 10)
    moved = points + torch.tensor([16.0, -32.0, 128.0])
    assert torch.equal(farthest_points(moved, 10), index)
    assert torch.equal(group_points(moved, index, 8).offset, group_points(points, index, 8).offset)


def test_every_centre_is_its_own_neighbour() -> None:
    points = torch.rand(2, 30, 3)
    groups = group_points(points, random_points(points, 9), 4)
    assert torch.equal(groups.neighbours[..., 0], groups.chosen)
    assert not groups.offset[:, :, 0].any()


def test_ball_query_keeps_inside_the_radius() -> None:
    points = torch.rand(2, 60, 3)
    index = ball_query(points, points, 0.25, 12)
    far = (gather_points(points, index) - points.unsqueeze(2)).square().sum(3)
    assert far.max() <= 0.25**2
    nearest_ones, distance = knn(points, points, 12)
    inside = distance <= 0.25**2
    assert not inside.all()
    assert torch.equal(index[inside], nearest_ones[inside])
    assert torch.equal(index[~inside], nearest_ones[..., :1].expand_as(index)[~inside])
    lonely = ball_query(points, torch.full((2, 1, 3), 9.0), 0.1, 4)
    assert (lonely == lonely[..., :1]).all()


@pytest.mark.parametrize("name", GROUP_FEATURES.names())
def test_features_of_points_that_coincide_are_finite(name: str) -> None:
    groups = group_points(torch.ones(2, 6, 3), farthest_points(torch.ones(2, 6, 3), 3), 4)
    assert GROUP_FEATURES.get(name)(groups).isfinite().all()


def test_waves_tell_where_a_neighbour_is() -> None:
    groups = golden_groups()
    found = GROUP_FEATURES.get("waves")(groups)
    assert found.shape == (1, 4, 3, 9 + 18)
    assert torch.equal(found[..., :9], GROUP_FEATURES.get("split")(groups))
    place = gather_points(GOLDEN, groups.neighbours)[0, 3, 2]  # (.4, .6, .5), seen from (1, 0, 0)
    waves = [math.pi * 2**i * x for i in range(3) for x in place.tolist()]
    wanted = [(1 + math.sin(w)) / 2 for w in waves] + [(1 + math.cos(w)) / 2 for w in waves]
    torch.testing.assert_close(found[0, 3, 2, 9:], torch.tensor(wanted), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["abs_min", "abs_center", "split", "waves"])
def test_features_for_a_rate_lie_between_0_and_1(name: str) -> None:
    points = torch.rand(3, 40, 3)
    features = GROUP_FEATURES.get(name)(group_points(points, farthest_points(points, 9), 5))
    assert features.min() >= 0
    assert features.max() <= 1


def test_no_gradient() -> None:
    points = torch.rand(1, 9, 3, requires_grad=True)
    assert not group_points(points, farthest_points(points, 3), 2).offset.requires_grad


# -- what is refused -------------------------------------------------------------------------------


@every_sampler
@pytest.mark.parametrize("count", [0, -1, 8, 2.0, True])
def test_impossible_counts(sampler: str, count: Any) -> None:
    with pytest.raises(ConfigError, match=rf"got {count}.*(at most 7|int >= 1)"):
        SAMPLERS.get(sampler)(torch.rand(2, 7, 3), count)


@every_sampler
@pytest.mark.parametrize(
    ("points", "error"),
    [
        (torch.rand(7, 3), ShapeError),
        (torch.rand(2, 0, 3), ShapeError),
        (torch.rand(2, 7, 0), ShapeError),
        (torch.tensor([[[0.0, torch.nan]]]), NumericsError),
        (torch.tensor([[[torch.inf, 0.0]]]), NumericsError),
    ],
    ids=["rank", "no points", "no axes", "NaN", "Inf"],
)
def test_impossible_clouds(sampler: str, points: Tensor, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"expected|Expected"):
        SAMPLERS.get(sampler)(points, 1)


def test_other_refusals() -> None:
    points = torch.rand(2, 7, 3)
    with pytest.raises(ConfigError, match=r"knn.k: got 8, expected at most 7"):
        knn(points, points, 8)
    with pytest.raises(ShapeError, match=r"\(2, 7, 3\) and queries \(1, 7, 3\)"):
        knn(points, points[:1], 2)
    with pytest.raises(ConfigError, match=r"radius: got 0"):
        ball_query(points, points, 0, 2)
    with pytest.raises(ConfigError, match=r"start: got 7"):
        farthest_points(points, 2, start=7)
    with pytest.raises(ConfigError, match=r"queue_samples.T: got 0"):
        queue_samples(points, 0, 2)
    with pytest.raises(ShapeError, match="index"):
        group_points(points, torch.zeros(1, 3, dtype=torch.int64), 2)
    for index in ([[7], [0]], [[0], [-1]]):
        with pytest.raises(
            ConfigError, match=r"group_points.index: got '.* to .*', expected indices in \[0, 6"
        ):
            group_points(points, torch.tensor(index), 2)
    with pytest.raises(DTypeError, match=r"index of torch.float32, expected torch.int64"):
        group_points(points, torch.zeros(2, 1), 2)
    if torch.cuda.is_available():
        with pytest.raises(DeviceError):
            random_points(points, 2, generator=torch.Generator("cuda"))
