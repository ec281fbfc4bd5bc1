"""Frames against a plain loop over the defining equation, and every known way to lose an event."""

from __future__ import annotations

import math
import pickle
import time

import numpy as np
import pytest
import torch
from event_strategies import recordings
from hypothesis import given
from hypothesis import strategies as st

from snnkit.data import LIMITS, DroppedEventsWarning, Events, Framing, to_frames
from snnkit.data import frames as frames_module
from snnkit.errors import ConfigError, InputTypeError, LimitError


def loop(events: Events, bins: list[int], steps: int) -> torch.Tensor:
    """The definition: one event after the other."""
    width, height, polarities = events.sensor_size
    frames = torch.zeros(steps, polarities, height, width)
    for k, x, y, p in zip(bins, events.x, events.y, events.p, strict=True):
        frames[k, p, y, x] += 1
    return frames


@given(recordings(), st.integers(1, 12), st.sampled_from(["recording", "events"]))
def test_equal_bins_are_those_of_the_equation(events, steps, span):
    start, end = events.t_span
    if span == "events":
        start, end = (int(events.t[0]), int(events.t[-1])) if len(events) else (0, 0)
    bins = [min((int(t) - start) * steps // (end - start), steps - 1) if end > start else 0 for t in events.t]
    frames = to_frames(events, T=steps, span=span)
    assert torch.equal(frames, loop(events, bins, steps))
    assert frames.sum() == len(events)


@given(recordings(), st.integers(1, 70), st.sampled_from(["recording", "events"]))
def test_windows_are_those_of_the_equation(events, window, span):
    start, end = events.t_span
    if span == "events":
        start, end = (int(events.t[0]), int(events.t[-1]) + 1) if len(events) else (0, 0)
    window *= max(1, (end - start) // 100)
    bins = [(int(t) - start) // window for t in events.t]
    frames = to_frames(events, window_us=window, span=span)
    assert torch.equal(frames, loop(events, bins, math.ceil((end - start) / window)))
    assert frames.sum() == len(events)


@given(recordings(), st.integers(1, 40))
def test_counts_are_those_of_the_equation(events, count):
    frames = to_frames(events, count=count)
    assert torch.equal(
        frames, loop(events, [i // count for i in range(len(events))], -(-len(events) // count))
    )
    assert all(frame.sum() == count for frame in frames[:-1])


@given(recordings(), st.integers(1, 6))
def test_polarities_agree_with_each_other(events, steps):
    separate = to_frames(events, T=steps)
    assert torch.equal(to_frames(events, T=steps, polarity="merge"), separate.sum(1, keepdim=True))
    assert torch.equal(to_frames(events, T=steps, binary=True), (separate > 0).float())
    if events.sensor_size[2] == 2:
        off, on = separate.unbind(1)
        signed = to_frames(events, T=steps, polarity="signed")
        assert torch.equal(signed, (on - off)[:, None])
        assert torch.equal(to_frames(events, T=steps, polarity="signed", binary=True), signed.sign())
        assert torch.equal(to_frames(events, T=steps, polarity="on_only"), on[:, None])
        three = torch.stack([off, on, off + on], 1)
        assert torch.equal(to_frames(events, T=steps, polarity="with_sum"), three)
        halves = to_frames(events, T=steps, polarity="with_sum", dtype=torch.float16)
        assert torch.equal(halves.float(), three)


def events_at(*t: int, span: tuple[int, int] | None = None, size=(34, 34, 2)) -> Events:
    n = len(t)
    return Events(t, [33] * n, [0] * n, [1] * n, size, span)


@pytest.mark.parametrize("span", ["recording", "events"])
def test_one_event_in_one_bin(span):
    assert to_frames(events_at(17), T=1, span=span).sum() == 1
    assert to_frames(events_at(17), T=4, span=span)[0].sum() == 1


def test_simultaneous_events_share_bin_0():
    assert to_frames(events_at(5, 5, 5), T=3, span="events").sum((1, 2, 3)).tolist() == [3, 0, 0]
    assert to_frames(events_at(5, 5, 5), window_us=10, span="events").sum((1, 2, 3)).tolist() == [3]


def test_last_event_is_kept():
    e = events_at(0, 10, 20)
    assert to_frames(e, T=2, span="events").sum((1, 2, 3)).tolist() == [1, 2]
    assert to_frames(e, window_us=10, span="events").sum((1, 2, 3)).tolist() == [1, 1, 1]
    assert to_frames(e, T=10).sum() == 3


def test_bins_follow_the_recording_not_its_events():
    e = events_at(40, 60, span=(0, 100))
    assert to_frames(e, T=4).sum((1, 2, 3)).tolist() == [0, 1, 1, 0]
    assert to_frames(e, window_us=30).sum((1, 2, 3)).tolist() == [0, 1, 1, 0]
    assert to_frames(e, window_us=2**70).sum((1, 2, 3)).tolist() == [2]
    assert to_frames(e, count=2**70).sum((1, 2, 3)).tolist() == [2]


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.float16])
def test_no_events_give_zeros_of_the_requested_shape(dtype):
    nothing = events_at(span=(0, 100))
    for frames, steps in (
        (to_frames(nothing, T=5, dtype=dtype), 5),
        (to_frames(nothing, T=5, dtype=dtype, span="events"), 5),
        (to_frames(nothing, window_us=30, dtype=dtype), 4),
        (to_frames(nothing, window_us=30, dtype=dtype, span="events"), 0),
        (to_frames(nothing, count=3, dtype=dtype), 0),
        (to_frames(events_at(), T=5, dtype=dtype), 5),
    ):
        assert frames.shape == (steps, 2, 34, 34)
        assert frames.dtype == dtype
        assert not frames.any()


def test_axis_order_is_time_polarity_row_column():
    frames = to_frames(Events([0, 9], [3, 0], [1, 0], [1, 0], (4, 2, 2)), T=2)
    assert frames.shape == (2, 2, 2, 4)
    assert frames[0, 1, 1, 3] == frames[1, 0, 0, 0] == 1
    assert to_frames(Events([0, 9], [3, 0], [1, 0], [0, 0], (4, 2, 1)), T=2).shape == (2, 1, 2, 4)


def test_one_dimensional_sensor_gives_units():
    e = Events([0, 5, 9], [0, 6, 6], [0, 0, 0], [0, 0, 0], (7, 1, 1))
    assert to_frames(e, T=2).tolist() == [[1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 2]]
    assert to_frames(e.with_(sensor_size=(7, 1, 2), p=[0, 1, 1]), T=1).tolist() == [[1] + [0] * 12 + [2]]


def test_drop_last_reports_what_it_drops():
    e = events_at(*range(10))
    with pytest.warns(DroppedEventsWarning, match="2 of 10 events dropped") as caught:
        assert to_frames(e, window_us=4, drop_last=True).shape[0] == 2
    assert caught[0].filename == __file__
    with pytest.warns(DroppedEventsWarning, match="1 of 10"):
        assert to_frames(e, count=3, drop_last=True).sum() == 9
    with pytest.warns(DroppedEventsWarning, match="10 of 10"):
        assert to_frames(e, window_us=99, drop_last=True).shape == (0, 2, 34, 34)
    assert to_frames(e, window_us=5, drop_last=True).sum() == 10  # nothing partial, no warning


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({}, ("exactly one of T=", "window_us", "count")),
        ({"T": 4, "count": 4}, ("exactly one", "'T': 4")),
        ({"T": 0}, ("to_frames.T", "got 0", "int > 0")),
        ({"T": -3}, ("to_frames.T", "-3")),
        ({"T": 2.5}, ("to_frames.T", "2.5")),
        ({"T": True}, ("to_frames.T", "True")),
        ({"T": "4"}, ("to_frames.T", "'4'")),
        ({"window_us": 0}, ("to_frames.window_us", "got 0")),
        ({"window_us": float("nan")}, ("to_frames.window_us", "nan")),
        ({"count": 0}, ("to_frames.count", "got 0")),
        ({"T": 4, "polarity": "both"}, ("polarity", "'both'", "'separate'", "'on_only'")),
        ({"T": 4, "span": "all"}, ("span", "'recording' or 'events'")),
        ({"T": 4, "binary": 1}, ("binary", "bool")),
        ({"T": 4, "drop_last": True}, ("drop_last", "no rest")),
        ({"T": 4, "dtype": torch.complex64}, ("dtype", "complex64", "torch.float32")),
        ({"T": 4, "dtype": np.float32}, ("dtype",)),
        ({"T": 4, "dtype": torch.bool}, ("dtype", "binary=True")),
        ({"T": 4, "dtype": torch.uint8, "polarity": "signed"}, ("dtype", "signed dtype")),
    ],
)
def test_bad_arguments_are_named(arguments, parts):
    with pytest.raises(ConfigError) as caught:
        to_frames(events_at(1, 2), **arguments)
    for part in parts:
        assert part in str(caught.value)


def test_sensor_without_polarity_has_none_to_choose():
    e = Events([0], [0], [0], [0], (2, 2, 1))
    for polarity in ("signed", "on_only", "with_sum"):
        with pytest.raises(ConfigError, match=f"{polarity}.*records no polarity"):
            to_frames(e, T=1, polarity=polarity)


def test_only_events_become_frames():
    with pytest.raises(InputTypeError, match=r"got ndarray, expected snnkit.data.Events.*from_structured"):
        to_frames(events_at(1).to_structured(), T=4)


@pytest.mark.parametrize("arguments", [{"window_us": 1000}, {"T": 2**40}, {"T": 2**80}])
def test_size_is_refused_before_allocation(arguments):
    far = events_at(0, 2**53 - 1)
    begin = time.perf_counter()
    with pytest.raises(LimitError, match=r"T\*P\*H\*W: \d+ exceeds the limit frame_cells.*LIMITS"):
        to_frames(far, **arguments)
    assert time.perf_counter() - begin < 0.5


def test_limit_can_be_changed(monkeypatch):
    monkeypatch.setattr(LIMITS, "frame_cells", 4 * 2 * 34 * 34 - 1)
    with pytest.raises(LimitError, match="frame_cells"):
        to_frames(events_at(1), T=4)
    assert to_frames(events_at(1), T=3).shape[0] == 3


@pytest.mark.parametrize(("dtype", "top"), [(torch.uint8, 255), (torch.int8, 127), (torch.bfloat16, 256)])
def test_count_beyond_the_dtype_is_an_error(dtype, top):
    assert to_frames(events_at(*[1] * top), T=1, dtype=dtype).sum(dtype=torch.float64) == top
    too_many = events_at(*[1] * (top + 1))
    with pytest.raises(LimitError, match=f"count of {top + 1}.*{dtype}.*{top}.*float32"):
        to_frames(too_many, T=1, dtype=dtype)
    assert to_frames(too_many, T=1, dtype=dtype, binary=True).sum() == 1
    assert to_frames(too_many, T=1, dtype=torch.bool, binary=True).sum() == 1


def test_result_does_not_depend_on_the_size_of_chunks(random_events, monkeypatch):
    e = random_events(5000)
    whole = [to_frames(e, T=7, polarity=polarity) for polarity in ("separate", "merge", "signed")]
    for cells in (1, 2 * 34 * 34, 5 * 34 * 34):
        monkeypatch.setattr(frames_module, "_CELLS_AT_ONCE", cells)
        for frames, polarity in zip(whole, ("separate", "merge", "signed"), strict=True):
            assert torch.equal(to_frames(e, T=7, polarity=polarity), frames)


def test_input_is_not_written_and_framing_is_reusable(random_events):
    e = random_events(100)
    before = e.to_structured()
    framing = pickle.loads(pickle.dumps(Framing(T=3, polarity="merge")))
    assert torch.equal(framing(e), to_frames(e, T=3, polarity="merge"))
    assert np.array_equal(e.to_structured(), before)
