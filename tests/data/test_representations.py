"""What recordings become: voxels, surfaces and clouds against loops over their equations; a batch at once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from event_strategies import recordings
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snnkit.data import LIMITS, Events, Framing, batch_frames, collate_events, to_frames
from snnkit.data.batch_frames import scattered
from snnkit.data.transforms import EventCloud, TimeSurface, VoxelGrid, windows
from snnkit.errors import ConfigError, InputTypeError, LimitError

GOLDEN = Events([0, 25, 50, 100], [0, 1, 0, 1], [0] * 4, [1, 0, 1, 1], (2, 1, 2))
many = settings(max_examples=1000, deadline=None)


# -- conservation, a thousand recordings each ------------------------------------------------------


@many
@given(recordings(), st.integers(1, 12), st.sampled_from(["recording", "events"]))
def test_frames_hold_every_event(events, steps, span):
    assert to_frames(events, T=steps, span=span).sum() == len(events)
    assert to_frames(events, T=steps, span=span, polarity="merge").sum() == len(events)


@many
@given(recordings(), st.integers(1, 12), st.sampled_from(["recording", "events"]))
def test_voxels_are_the_equation_and_hold_all_polarity(events, steps, span):
    grid = VoxelGrid(steps, span=span, dtype=torch.float64)(events)
    sign = [2 * int(p) - 1 if events.sensor_size[2] == 2 else 1 for p in events.p]
    assert grid.sum().item() == pytest.approx(sum(sign), abs=1e-9)
    width, height, _ = events.sensor_size
    start, end = events.t_span
    if span == "events" and len(events):
        start, end = int(events.t[0]), int(events.t[-1])
    wanted = torch.zeros(steps, 1, height, width, dtype=torch.float64)
    for t, x, y, s in zip(events.t.tolist(), events.x, events.y, sign, strict=True):
        place = float(Fraction((steps - 1) * (t - start), end - start)) if end > start else 0
        for b in range(steps):
            wanted[b, 0, y, x] += s * max(0.0, 1 - abs(b - place))
    torch.testing.assert_close(grid, wanted, rtol=0, atol=1e-9)


@many
@given(
    st.lists(recordings(size=(3, 2, 2)), min_size=1, max_size=4),
    st.integers(1, 12),
    st.sampled_from(["recording", "events"]),
    st.sampled_from(["separate", "merge", "signed", "on_only", "with_sum"]),
    st.booleans(),
)
def test_a_batch_is_framed_as_its_recordings(batch, steps, span, polarity, binary):
    framing = Framing(T=steps, span=span, polarity=polarity, binary=binary)
    joined = collate_events([(e, 0) for e in batch])
    wanted = torch.stack([framing(e) for e in batch], 1)
    assert torch.equal(batch_frames(joined, framing), wanted)
    assert torch.equal(scattered(joined, framing), wanted)


# -- voxels ----------------------------------------------------------------------------------------


def test_voxels_by_hand():
    assert VoxelGrid(3)(GOLDEN).tolist() == [[[[1.0, -0.5]]], [[[1.0, -0.5]]], [[[0.0, 1.0]]]]


def test_voxels_of_few_events_are_finite():
    one = Events([7], [1], [0], [0], (2, 1, 2))
    assert VoxelGrid(4)(one).flatten().tolist() == [0, -1, 0, 0, 0, 0, 0, 0]
    three = Events([7, 7, 7], [1] * 3, [0] * 3, [1] * 3, (2, 1, 2))
    assert VoxelGrid(2)(three).flatten().tolist() == [0, 3, 0, 0]
    assert not VoxelGrid(4)(Events([], [], [], [], (2, 1, 2))).any()
    assert VoxelGrid(1)(GOLDEN).sum() == 2


# -- surfaces --------------------------------------------------------------------------------------


def test_surface_by_hand():
    surface = TimeSurface(T=1, tau_us=50, span="events")(GOLDEN)
    wanted = torch.tensor([[[[0, math.exp(-1.5)]], [[math.exp(-1), 1]]]])
    torch.testing.assert_close(surface, wanted)


@example(Events([0, 2**45], [0, 0], [0, 1], [0, 0], (1, 2, 1), (0, 2**45 + 1)), 6, "recording")
@given(recordings(), st.integers(1, 6), st.sampled_from(["recording", "events"]))
def test_surface_is_the_equation(events, steps, span):
    start, end = events.t_span
    if span == "events":
        start, end = (int(events.t[0]), int(events.t[-1])) if len(events) else (0, 0)
    width, height, polarities = events.sensor_size
    wanted = torch.zeros(steps, polarities, height, width)
    for k in range(steps):
        for t, x, y, p in zip(events.t.tolist(), events.x, events.y, events.p, strict=True):
            bin_ = min((t - start) * steps // (end - start), steps - 1) if end > start else 0
            if bin_ <= k:
                age = start - t + Fraction((k + 1) * (end - start), steps)  # exact: it may be tiny beside t
                wanted[k, p, y, x] = math.exp(-max(age, 0) / 40)
    torch.testing.assert_close(TimeSurface(steps, 40, span)(events), wanted)


# -- clouds ----------------------------------------------------------------------------------------


def test_cloud_coordinates():
    e = Events([2**60, 2**60 + 1, 2**60 + 4], [0, 2, 4], [0, 1, 1], [1, 0, 1], (5, 2, 2))
    cloud = EventCloud(3, polarity=True)(e)
    assert cloud.tolist() == [[0, 0, 0, 1], [0.5, 1, 0.25, -1], [1, 1, 1, 1]]
    assert EventCloud(2)(Events([5, 5], [0, 0], [0, 0], [0, 0], (1, 1, 1))).tolist() == [[0, 0, 0]] * 2


def test_cloud_draws_without_repeats_while_it_can(random_events):
    e = random_events(1000)

    def draw(n, seed):
        return EventCloud(n)(e, torch.Generator().manual_seed(seed))

    assert torch.equal(draw(1000, 0), draw(1000, 1))
    assert torch.equal(draw(400, 0), draw(400, 0))
    assert not torch.equal(draw(400, 0), draw(400, 1))
    assert (draw(400, 0)[:, 2].diff() >= 0).all()
    assert len(draw(1500, 0).unique(dim=0)) == len(draw(1000, 0).unique(dim=0))
    with pytest.raises(ConfigError, match=r"number of events.*got 0.*min_events"):
        EventCloud(4)(random_events(0))


def test_windows_cover_the_recording():
    e = Events([0, 30, 55, 99], [0] * 4, [0] * 4, [0] * 4, (1, 2, 1), (0, 100))
    assert [w.t_span for w in windows(e, 50)] == [(0, 50), (25, 75), (50, 100)]
    assert [w.t.tolist() for w in windows(e, 40, stride_us=30)] == [[0, 30], [30, 55], [99]]
    assert [w.t_span for w in windows(e, 50, min_events=3)] == []
    assert [w.t_span for w in windows(e, 1000)] == [(0, 100)]
    for bad in ({"window_us": 0}, {"window_us": 5, "stride_us": 0}, {"window_us": 5, "min_events": -1}):
        with pytest.raises(ConfigError, match="windows"):
            windows(e, **bad)
    with pytest.raises(LimitError, match="number of windows"):
        windows(Events([2**52], [0], [0], [0], (1, 2, 1), (0, 2**53)), 1)


# -- a batch at once -------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "length"), [(7, 2**53), (26, 2_190_635_903_779_102)])
def test_batch_edges_at_the_limit_of_float64(steps, length):
    """The µs on both sides of every edge of a bin: float64 alone puts some into the bin before or behind."""
    edges = [-(-k * length // steps) for k in range(1, steps)]
    t = sorted(e + d for e in edges for d in (-1, 0))
    zeros = [0] * len(t)
    e = Events(t, zeros, zeros, zeros, (1, 2, 1), (0, length))
    together = scattered(collate_events([(e, 0)]), Framing(T=steps))
    assert together.sum((1, 2, 3, 4)).tolist() == [1, *[2] * (steps - 2), 1]
    assert torch.equal(together[:, 0], to_frames(e, T=steps))


def test_batch_refusals(random_events, monkeypatch):
    batch = collate_events([(random_events(300), 0)])
    with pytest.raises(ConfigError, match="bins by T"):
        batch_frames(batch, Framing(window_us=10))
    with pytest.raises(InputTypeError, match="EventBatch of collate_events"):
        batch_frames(random_events(3), Framing(T=2))
    gray = Events([0], [0], [0], [0], (2, 2, 1))
    with pytest.raises(ConfigError, match="records no polarity"):
        batch_frames(collate_events([(gray, 0)]), Framing(T=1, polarity="signed"))
    heap = Events([0] * 300, [0] * 300, [0] * 300, [0] * 300, (2, 2, 1))
    with pytest.raises(LimitError, match="count of 300"):
        batch_frames(collate_events([(heap, 0)]), Framing(T=1, dtype=torch.uint8))
    monkeypatch.setattr(LIMITS, "frame_cells", 10)
    with pytest.raises(LimitError, match=r"T\*B\*P\*H\*W"):
        batch_frames(batch, Framing(T=2))


def test_one_dimensional_batch():
    e = Events([0, 5, 9], [0, 6, 6], [0, 0, 0], [0, 0, 0], (7, 1, 1))
    together = batch_frames(collate_events([(e, 1), (e, 0)]), Framing(T=2))
    assert together.shape == (2, 2, 7)
    assert torch.equal(together[:, 1], to_frames(e, T=2))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_batch_on_cuda(random_events):
    batch = collate_events([(random_events(2000, seed=s), s) for s in range(4)])
    there = type(batch)(*(v.cuda() if isinstance(v, torch.Tensor) else v for v in batch))
    assert torch.equal(batch_frames(there, Framing(T=5)).cpu(), batch_frames(batch, Framing(T=5)))


def test_voxels_and_surfaces_refuse_what_is_too_large():
    far = Events([0], [0], [0], [0], (2, 2, 2))
    for representation in (VoxelGrid(2**40), TimeSurface(2**40, 1)):
        with pytest.raises(LimitError, match="frame_cells"):
            representation(far)
        with pytest.raises(InputTypeError, match=r"expected snnkit\.data\.Events"):
            representation(np.zeros(3))
