"""Windows of recordings as clouds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnkit.data import DATASETS, DigitsEvents, EventClouds, Events, holdout
from snnkit.data.transforms import Denoise, windows
from snnkit.errors import ConfigError, UnknownNameError


@pytest.fixture(scope="module")
def digits() -> DigitsEvents:
    return DigitsEvents("test")


def test_whole_recordings(digits: DigitsEvents) -> None:
    clouds = EventClouds(digits, points=64)
    assert len(clouds) == len(digits)
    x, y = clouds.tensors()
    assert x.shape == (360, 64, 3)
    assert (x.min(), x.max()) == (0, 1)
    assert torch.equal(y, digits.labels)
    assert (clouds.in_channels, clouds.img_size, clouds.num_classes) == (3, 64, 10)
    for i in (0, 7, -1):
        cloud, label = clouds[i]
        assert torch.equal(cloud, x[i])
        assert label == y[i]
    assert (x.diff(dim=1)[..., 2] >= 0).all()  # in order of time


def test_windows_are_samples(digits: DigitsEvents) -> None:
    clouds = EventClouds(digits, points=64, polarity=True, window_us=105_000, stride_us=105_000)
    parts = [w for i in range(20) for w in windows(digits.events(i), 105_000, stride_us=105_000)]
    assert int((clouds.recordings < 20).sum()) == sum(len(part) >= 16 for part in parts)
    assert torch.equal(clouds.labels, digits.labels[clouds.recordings])
    cloud, _ = clouds[1]
    assert set(cloud[:, 3].tolist()) <= {-1.0, 1.0}
    part = clouds.events(1)
    sensor = {(x / 15, y / 15) for x, y in zip(part.x.tolist(), part.y.tolist(), strict=True)}
    found = {tuple(p) for p in cloud[:, :2].double().tolist()}
    assert all(min(abs(a - x) + abs(b - y) for x, y in sensor) < 1e-6 for a, b in found)


def test_the_choice_of_events_repeats(digits: DigitsEvents) -> None:
    one, two, other = (EventClouds(digits, points=64, seed=s) for s in (0, 0, 1))
    assert torch.equal(one[3][0], two[3][0])
    assert not torch.equal(one[3][0], other[3][0])


def test_a_single_event_and_too_few(digits: DigitsEvents) -> None:
    lone = EventClouds(digits, points=8, min_events=1)
    column = np.zeros(1, np.int64)
    events = Events(column + 5, column, column, column, (16, 16, 2), (0, 10))
    assert not lone._made(0, events).any()  # x = y = t = 0, eight times
    with pytest.raises(ConfigError, match="no window of"):
        EventClouds(digits, points=64, min_events=10**6)
    with pytest.raises(ConfigError, match="stride_us: got 500, expected None without window_us"):
        EventClouds(digits, points=8, stride_us=500)
    with pytest.raises(IndexError, match="out of range"):
        lone[len(lone)]


def test_by_name() -> None:
    clouds = DATASETS.get("clouds")("test", of="digits", points=32, data={"dt_us": 5000})
    assert clouds[0][0].shape == (32, 3)
    with pytest.raises(UnknownNameError, match="did you mean 'digits'"):
        DATASETS.get("clouds")("test", of="digit")
    with pytest.raises(ConfigError, match="'shapes' holds no recordings"):
        DATASETS.get("clouds")("test", of="shapes")


def test_transforms_come_ahead_of_the_windows(digits: DigitsEvents) -> None:
    one = {"name": "denoise", "window_us": 5000}
    clouds = EventClouds(digits, points=64, min_events=1, window_us=105_000, transforms=[one])
    wanted = windows(Denoise(5000)(digits.events(0)), 105_000)
    assert [len(clouds.events(i)) for i in range(len(wanted))] == [len(part) for part in wanted]
    assert sum(map(len, wanted)) < sum(len(part) for part in windows(digits.events(0), 105_000))
    with pytest.raises(ConfigError, match="draw no random numbers"):
        EventClouds(digits, points=64, transforms=["event_drop"])


def test_windows_of_a_recording_are_held_out_together(digits: DigitsEvents) -> None:
    clouds = EventClouds(digits, points=64, window_us=105_000)
    for fold in range(3):
        train, held = (set(clouds.recordings[part].tolist()) for part in holdout(clouds, fold, 3))
        assert not train & held
        assert len(held) == pytest.approx(120, abs=10)


def test_draws_of_a_window_are_of_other_events(digits: DigitsEvents) -> None:
    one, three = (EventClouds(digits, points=64, draws=n) for n in (1, 3))
    assert len(three) == 3 * len(one)
    assert three.recordings[:7].tolist() == [0, 0, 0, 1, 1, 1, 2]
    first, second, _ = three.tensors()[0][:3]
    assert torch.equal(first, one[0][0])
    assert torch.equal(second, three[1][0])
    assert not torch.equal(first, second)
