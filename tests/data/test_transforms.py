"""The contract every transform of events keeps, and what each one does."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from event_strategies import recordings
from hypothesis import given
from hypothesis import strategies as st
from transform_settings import EVERY, KEEPS_ALL, SETTINGS

import snnkit.data.transforms as T
from snnkit.data import Events
from snnkit.errors import ConfigError, InputTypeError, ShapeError

every = pytest.mark.parametrize(("name", "transform"), EVERY, ids=[str(t) for _, t in EVERY])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lost(events: Events) -> int:
    return sum(events.info.get("dropped", {}).values())


# -- contract --------------------------------------------------------------------------------------


def test_every_transform_is_tried():
    assert set(SETTINGS) == set(T.TRANSFORMS.names())
    for name, several in SETTINGS.items():
        assert all(type(t) is T.TRANSFORMS.get(name) for t in several)


@every
@given(data=st.data())
def test_result_is_a_valid_recording_and_every_event_is_accounted_for(name, transform, data):
    events = data.draw(recordings(min_side=2))
    columns = events.to_structured()
    out = transform(events, seeded(data.draw(st.integers(0, 9))))
    out.validate()
    assert len(out) + lost(out) == len(events)
    if name in KEEPS_ALL:
        assert len(out) == len(events)
    assert np.array_equal(events.to_structured(), columns)
    assert lost(events) == 0


@every
def test_seed_decides(name, transform, random_events):
    events = random_events(500)
    assert transform(events, seeded(1)) == transform(events, seeded(1))
    if not transform.random:
        assert transform(events, seeded(1)) == transform(events, seeded(2)) == transform(events)
    torch.manual_seed(5)
    one = transform(events)
    torch.manual_seed(5)
    assert one == transform(events)


@every
def test_it_prints_compares_and_pickles(name, transform):
    again = eval(str(transform), vars(T))
    assert again == transform == pickle.loads(pickle.dumps(transform))
    assert hash(again) == hash(transform)
    with pytest.raises(dataclasses.FrozenInstanceError):
        transform.anything = 1


@every
def test_frames_are_refused_by_name(name, transform):
    with pytest.raises(InputTypeError, match=f"{type(transform).__name__}: got Tensor.*before they become"):
        transform(torch.zeros(2, 2, 3, 3))


# -- one by one ------------------------------------------------------------------------------------


@given(recordings(min_side=2), st.integers(1, 60))
def test_denoise_is_the_loop(events, window):
    keep = []
    for i, (t, x, y) in enumerate(zip(events.t, events.x, events.y, strict=True)):
        near = [
            j for j in range(i)
            if max(abs(int(events.x[j]) - int(x)), abs(int(events.y[j]) - int(y))) == 1
            and t - events.t[j] <= window
        ]  # fmt: skip
        keep.append(bool(near))
    assert np.array_equal(T.Denoise(window)(events).to_structured(), events.to_structured()[keep])


@given(recordings(), st.integers(1, 60))
def test_refractory_is_the_loop(events, period):
    last: dict[tuple[int, int], int] = {}
    keep = []
    for t, x, y in zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), strict=True):
        keep.append((x, y) not in last or t - last[x, y] >= period)
        if keep[-1]:
            last[x, y] = t
    assert np.array_equal(T.Refractory(period)(events).to_structured(), events.to_structured()[keep])


def square(n: int = 4) -> Events:
    """One event in every pixel, row by row, a µs apart."""
    y, x = np.divmod(np.arange(n * n), n)
    return Events(np.arange(n * n), x, y, x % 2, (n, n, 2), (0, n * n))


def test_crop_is_centred_or_placed():
    out = T.Crop(2, 2)(square())
    assert out.sensor_size == (2, 2, 2)
    assert out.t.tolist() == [5, 6, 9, 10]
    assert out.x.tolist() == [0, 1, 0, 1]
    assert out.info["dropped"] == {"crop": 12}
    assert T.Crop(1, 4, left=3, top=0)(square()).t.tolist() == [3, 7, 11, 15]
    for bad in (T.Crop(5, 1), T.Crop(2, 2, left=3), T.Crop(1, 1, top=4)):
        with pytest.raises(ConfigError, match=r"Crop.*inside of the sensor 4x4"):
            bad(square())


def test_downsample_by_any_ratio():
    out = T.Downsample(3, 2)(square())
    assert out.sensor_size == (3, 2, 2)
    assert out.x[:4].tolist() == [0, 0, 1, 2]
    assert out.y[::4].tolist() == [0, 0, 1, 1]
    with pytest.raises(ConfigError, match="at most the 4x4 pixels"):
        T.Downsample(5, 4)(square())


def test_flips():
    assert T.FlipX(1.0)(square()).x[:4].tolist() == [3, 2, 1, 0]
    assert T.FlipY(1.0)(square()).y[::4].tolist() == [3, 2, 1, 0]
    back = T.TimeReverse(1.0)(square())
    assert back.x[:4].tolist() == [3, 2, 1, 0]
    assert back.p[:4].tolist() == [0, 1, 0, 1]
    assert T.TimeReverse(1.0)(back) == square()
    assert T.FlipPolarity(1.0)(square()).p[:4].tolist() == [1, 0, 1, 0]
    assert T.FlipPolarity()(square()) == square()
    assert T.FlipX(0.0)(square()) == square()


def test_labels_are_swapped_with_the_sides():
    flip = T.FlipX(1.0, swap=((1, 2), (3, 6)))
    assert [flip.labelled(square(), label)[1] for label in range(7)] == [0, 2, 1, 6, 4, 5, 3]
    assert flip.labelled(square(), 1)[0] == T.FlipX(1.0)(square())
    assert T.FlipX(0.0, swap=((1, 2),)).labelled(square(), 1) == (square(), 1)
    both = T.Compose((flip, T.Crop(2, 2), flip))
    assert both.labelled(square(), 6)[1] == 6
    for transform in (flip, both):
        with pytest.raises(ConfigError, match=r"changes labels.*labelled"):
            transform(square())
    for bad in (((1, 2), (2, 3)), ((1,),), 3):
        with pytest.raises(ConfigError, match=r"FlipX\.swap"):
            T.FlipX(swap=bad)


def test_drops_leave_the_share_they_say(random_events):
    events = random_events(20_000)
    kept = [len(T.DropRandom((r, r))(events, seeded())) / 20_000 for r in (0, 0.3, 1)]
    assert kept[0] == 1
    assert kept[1] == pytest.approx(0.7, abs=0.02)
    assert kept[2] == 0
    out = T.DropTime((0.25, 0.25))(events, seeded())
    gap = np.diff(np.concatenate([[0], out.t, [315_000]])).max()
    assert gap == pytest.approx(0.25 * 315_000, rel=0.02)
    out = T.DropArea((0.5, 0.5))(events, seeded())
    assert len(out) / 20_000 == pytest.approx(0.75, abs=0.02)
    empty = np.bincount(out.y.astype(int) * 34 + out.x, minlength=34 * 34).reshape(34, 34) == 0
    assert empty.sum() == 17 * 17
    ways = {tuple(T.EventDrop()(events, seeded(s)).info.get("dropped", {})) for s in range(40)}
    assert ways == {(), ("drop_random",), ("drop_time",), ("drop_area",)}


def test_what_is_dropped_twice_is_counted_twice(random_events):
    half = T.DropRandom((0.5, 0.5))
    out = T.Compose((half, half))(random_events(1000), seeded())
    assert len(out) + out.info["dropped"]["drop_random"] == 1000
    assert len(out) == pytest.approx(250, abs=50)


def test_time_stays_in_the_recording():
    e = Events([0, 50, 99], [0, 1, 2], [0, 0, 0], [0, 1, 0], (3, 2, 2), (0, 100))
    jittered = T.TimeJitter(1e6)(e, seeded())
    assert set(jittered.t.tolist()) <= {0, 99}
    assert sorted(jittered.x.tolist()) == [0, 1, 2]
    shifted = T.TimeShift(60)(e, seeded(3))
    assert shifted.t_span == (0, 100)
    assert lost(shifted) + len(shifted) == 3
    cut = T.CropTime(40)(e, seeded())
    assert cut.t_span[1] - cut.t_span[0] == 40
    assert T.CropTime(500)(e).t_span == (0, 500)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: T.Crop(0, 1), lambda: T.Crop(1, 1, left=-1), lambda: T.Downsample(1.5, 1),
        lambda: T.Denoise(0), lambda: T.Refractory(True), lambda: T.DropRandom((0.5, 0.1)),
        lambda: T.DropTime((0, 1.1)), lambda: T.EventDrop(area_ratio=3), lambda: T.FlipX(1.1),
        lambda: T.TimeReverse(float("nan")), lambda: T.SpatialJitter(-1), lambda: T.TimeJitter("2"),
        lambda: T.TimeShift(-1), lambda: T.CropTime(0), lambda: T.FlipPolarity(-0.1), lambda: T.FlipY(2),
        lambda: T.EventMix(alpha=0), lambda: T.NDA(ops=-1), lambda: T.VoxelGrid(0),
        lambda: T.VoxelGrid(2, dtype=torch.int8), lambda: T.TimeSurface(1, 0), lambda: T.EventCloud(0),
    ],
)  # fmt: skip
def test_impossible_settings_are_refused(bad):
    with pytest.raises(ConfigError, match=r"\w+\.?\w*: got .*expected "):
        bad()


def test_compose_takes_transforms_only():
    with pytest.raises(InputTypeError, match="Compose: got function"):
        T.Compose((lambda e: e,))
    assert T.Compose([T.Crop(1, 1)]) == T.Compose((T.Crop(1, 1),))
    assert not T.Compose((T.Crop(1, 1),)).random
    assert T.Compose((T.Crop(1, 1), T.FlipX())).random


# -- two recordings --------------------------------------------------------------------------------


@given(recordings(), recordings(), st.integers(0, 5))
def test_event_mix_takes_events_of_both(a, b, seed):
    if a.sensor_size != b.sensor_size:
        with pytest.raises(ShapeError, match="expected the same"):
            T.EventMix()(a, b)
        return
    mixed, share = T.EventMix()(a, b, seeded(seed))
    mixed.validate()
    moved = b.t + a.t_span[0] - b.t_span[0]
    first = {tuple(map(int, e)) for e in zip(a.t, a.x, a.y, a.p, strict=True)}
    second = {tuple(map(int, e)) for e in zip(moved, b.x, b.y, b.p, strict=True)}
    assert {
        tuple(map(int, e)) for e in zip(mixed.t, mixed.x, mixed.y, mixed.p, strict=True)
    } <= first | second
    assert 0 <= share <= 1


def test_event_mix_shares_follow_the_events(random_events):
    a, b = random_events(3000, seed=1), random_events(3000, seed=2)
    shares = []
    for seed in range(30):
        mixed, share = T.EventMix()(a, b, seeded(seed))
        at_a = np.isin(mixed.t * 4096 + mixed.y * 64 + mixed.x, a.t * 4096 + a.y * 64 + a.x)
        assert at_a.mean() == pytest.approx(share, abs=0.01)
        assert len(mixed) == pytest.approx(3000, rel=0.1)  # one volume of uniform events is replaced
        shares.append(share)
    assert min(shares) < 0.2 < 0.8 < max(shares)


# -- frames ----------------------------------------------------------------------------------------


def test_nda_without_operations_is_the_mirror_or_nothing():
    x = torch.rand(3, 8, 2, 6, 6)
    y = T.NDA(ops=0)(x, seeded())
    mirrored = [torch.equal(y[:, b], x[:, b].flip(-1)) for b in range(8)]
    same = [torch.equal(y[:, b], x[:, b]) for b in range(8)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True))
    assert any(mirrored)
    assert any(same)
    assert torch.equal(T.NDA(ops=0, flip=0)(x), x)


def test_nda_moves_all_steps_of_a_sample_alike_and_leaves_its_input():
    x = torch.rand(1, 16, 2, 12, 12).expand(3, 16, 2, 12, 12).contiguous()
    before = x.clone()
    y = T.NDA(ops=3)(x, seeded(1))
    assert torch.equal(x, before)
    assert torch.equal(y[0], y[1])
    assert torch.equal(y, T.NDA(ops=3)(x, seeded(1)))
    assert not torch.equal(y, T.NDA(ops=3)(x, seeded(2)))


def test_each_nda_operation():
    x = torch.arange(36.0).view(1, 1, 1, 6, 6) + 1
    nda = T.NDA(flip=0, roll=5, cutout=3)
    rolled = nda._roll(x, 0.999, 0.5, 0)
    assert torch.equal(rolled, x.roll((5, 0), (-2, -1)))
    cut = nda._cut(x, 0.999, 0.5, 0.5)
    assert (cut == 0).sum() == 9
    torch.testing.assert_close(T.NDA(degrees=0)._rotate(x, 0.3, 0.3, 0), x)
    quarter = T.NDA(degrees=90)._rotate(x, 1.0, 0, 0)
    torch.testing.assert_close(quarter, torch.rot90(x, 1, (-2, -1)), atol=1e-4, rtol=0)
    torch.testing.assert_close(nda._shear(x, 0.5, 0, 0), x)
    assert not torch.equal(nda._shear(x, 1.0, 0, 0), x)
    with pytest.raises(ShapeError, match="NDA"):
        nda(torch.zeros(2, 3))
