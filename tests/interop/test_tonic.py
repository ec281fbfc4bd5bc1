"""What comes from tonic is checked, seeded and labelled; with tonic itself where it is installed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnkit.data import Events, Framing, Transformed, to_frames
from snnkit.errors import ConfigError, InputTypeError
from snnkit.interop import TonicDataset, TonicFrames, TonicTransform

DTYPE = np.dtype([("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")])


class Recordings:
    """The interface of a data set of tonic: a sensor, targets, items of (structured array, target)."""

    sensor_size = (34, 34, 2)

    def __init__(self, targets=(3, 0, 1)):
        self.targets = list(targets)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return array([0, 5, 9 + i], [0, 33, 7], [1, 2, 3], [True, False, True]), self.targets[i]


def array(t, x, y, p):
    out = np.empty(len(t), DTYPE)
    out["t"], out["x"], out["y"], out["p"] = t, x, y, p
    return out


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


RECORDING = Events([0, 5, 9], [0, 33, 7], [1, 2, 3], [1, 0, 1], (34, 34, 2), (0, 100))


def test_data_set():
    data = TonicDataset(Recordings(), T=4)
    assert data.labels.tolist() == [3, 0, 1]
    assert (len(data), data.num_classes, data.in_channels, data.img_size) == (3, 4, 2, 34)
    assert data.events(1) == RECORDING.with_(t=[0, 5, 10], t_span=(0, 11))
    assert data[1][0].sum() == 3
    assert Transformed(data, [Framing(T=2)])[2][1] == 1


def test_labels_of_any_kind():
    assert TonicDataset(Recordings(["dog", "cat", "dog"])).classes == ("cat", "dog")
    assert TonicDataset(Recordings(["dog", "cat", "dog"])).labels.tolist() == [1, 0, 1]
    source = Recordings([np.int64(2)] * 3)
    assert TonicDataset(source, labels=[0, 1, 0]).labels.tolist() == [0, 1, 0]
    source.sensor_size = None
    with pytest.raises(ConfigError, match=r"give sensor_size=\(W, H, P\)"):
        TonicDataset(source)
    with pytest.raises(ConfigError, match="smallest label"):
        TonicDataset(Recordings([-1, 0, 1]))
    with pytest.raises(InputTypeError, match="cannot be sorted"):
        TonicDataset(Recordings([1, "a", None]))


def bad(t=(0, 5), x=(0, 1), y=(0, 1)):
    return type("Bad", (Recordings,), {"__getitem__": lambda self, i: (array(t, x, y, [1, 0]), 0)})()


def test_events_are_validated_on_the_way():
    for source, message in (
        (bad(x=(0, 40)), "x = 40"),
        (bad(y=(-1, 0)), "y = -1"),
        (bad(t=(5, 0)), "earlier"),
    ):
        with pytest.raises(ConfigError, match=message):
            TonicDataset(source).events(0)
    with pytest.warns(UserWarning, match="dropped 1"):
        assert len(TonicDataset(bad(x=(0, 40)), on_out_of_range="drop").events(0)) == 1
    with pytest.warns(UserWarning, match="sorted"):
        assert TonicDataset(bad(t=(5, 0)), on_unsorted="sort").events(0).t.tolist() == [0, 5]
    with pytest.raises(InputTypeError, match="expected a structured array"):
        TonicDataset([(np.zeros(3), 0)], sensor_size=(2, 2, 2)).events(0)
    with pytest.raises(InputTypeError, match=r"expected \(events, label\)"):
        TonicDataset([3], sensor_size=(2, 2, 2))
    with pytest.raises(InputTypeError, match="expected a data set of tonic"):
        TonicDataset(3)


def test_units_of_time():
    assert TonicDataset(Recordings(), time_unit="ms").events(0).t.tolist() == [0, 5000, 9000]
    floats = np.array([(0.25, 1, 1)], [("t", "f4"), ("x", "i2"), ("p", "i1")])
    data = TonicDataset([(floats, 0)], sensor_size=(4, 1, 1), time_unit="ms")
    assert data.events(0).t.tolist() == [250]
    floats["t"] = np.nan
    with pytest.raises(ConfigError, match="finite"):
        data.events(0)


def jitter(events):
    events["x"] = np.random.randint(0, 34, len(events))  # noqa: NPY002 as tonic does
    return events


def test_transforms_are_seeded_and_leave_the_rest_alone():
    transform = TonicTransform(jitter)
    np.random.seed(7)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = transform(RECORDING, seeded(1))
    assert one == transform(RECORDING, seeded(1))
    assert one != transform(RECORDING, seeded(2))
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert RECORDING.x.tolist() == [0, 33, 7]
    assert one.t_span == (0, 100)


def test_results_of_transforms_are_validated():
    def late(events):
        events["t"] += 1000
        return events

    assert TonicTransform(late)(RECORDING).t_span == (1000, 1010)
    with pytest.raises(ConfigError, match="x = 33"):
        TonicTransform(lambda e: e, sensor_size=(20, 34, 2))(RECORDING)
    with pytest.raises(InputTypeError, match="structured array"):
        TonicTransform(lambda e: e["t"])(RECORDING)
    with pytest.raises(InputTypeError, match="expected numbers"):
        TonicFrames(lambda e: "no array")(RECORDING)
    with pytest.raises(InputTypeError, match="Events"):
        TonicFrames(len)(np.zeros(3))


# -- with tonic itself -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transforms():
    pytest.importorskip("tonic", reason="tonic is not installed")
    return pytest.importorskip("tonic.transforms", exc_type=ImportError)


@pytest.mark.oracle
def test_frames_of_tonic_lose_the_last_event_and_ours_do_not(transforms, many_events):
    frames = TonicFrames(transforms.ToFrame(sensor_size=(34, 34, 2), n_time_bins=10))(many_events)
    assert frames.shape == (10, 2, 34, 34)
    assert to_frames(many_events, T=10).sum() == len(many_events)
    assert frames.sum() <= len(many_events)


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("name", "settings", "sensor"),
    [
        ("Denoise", {"filter_time": 10_000}, None),
        ("Downsample", {"sensor_size": (34, 34, 2), "target_size": (17, 17)}, (17, 17, 2)),
        ("DropEvent", {"p": 0.5}, None),
        ("RandomFlipLR", {"sensor_size": (34, 34, 2), "p": 1}, None),
        ("RandomFlipPolarity", {"p": 0.5}, None),
        ("SpatialJitter", {"sensor_size": (34, 34, 2), "clip_outliers": True}, None),
        ("RefractoryPeriod", {"delta": 1000}, None),
        ("UniformNoise", {"sensor_size": (34, 34, 2), "n": 10}, None),
    ],
)
def test_transforms_of_tonic(transforms, many_events, name, settings, sensor):
    transform = TonicTransform(getattr(transforms, name)(**settings), sensor)
    out = transform(many_events, seeded(1)).validate()
    assert out == transform(many_events, seeded(1))
    assert len(out) > 0


@pytest.fixture
def many_events():
    rng = np.random.default_rng(0)
    return Events(
        np.sort(rng.integers(0, 300_000, 2000)), *(rng.integers(0, n, 2000) for n in (34, 34, 2)), (34, 34, 2)
    )
