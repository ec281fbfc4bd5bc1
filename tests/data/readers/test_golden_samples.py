"""The published recordings: counts, ranges and times that others found too."""

from __future__ import annotations

import numpy as np
import pytest

from snnkit.data import identify_format, open_events, read_evt2, read_evt3, read_idx, read_nmnist, read_wav

pytestmark = pytest.mark.data

# file: format, events, first and last x, y and t, share of ON (None: not published)
GOLDEN = {
    "sample_nmnist.bin": ("40-bit", 4325, None, None, None, None),
    "sample_ncars.dat": ("dat", 2009, (0, 77), (0, 41), (0, 99_952), 0.672),
    "evt2_sample.raw": ("evt2", 539_481, (60, 599), (18, 475), (1_317_888, 1_367_888), 0.682),
    "evt3_sample.raw": ("evt3", 219_596, (0, 1279), (0, 719), (11_718_656, 11_727_457), 0.526),
    "ntidigits_1.bs1": ("40-bit-1d", 898, None, None, (None, 1_079_040), 1.0),
    "sample_aedat_header.aedat": ("aedat2", 0, None, None, None, None),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_counts(recordings, name):
    path = recordings / "format_samples" / name
    kind, count, x, y, t, on = GOLDEN[name]
    assert identify_format(path) == kind
    e = open_events(path)
    assert len(e) == count
    assert e.info["dropped"] == {}
    for values, span in ((e.x, x), (e.y, y), (e.t, t)):
        if span:
            assert values.max() == span[1]
            assert span[0] in (None, values.min())
    if on is not None:
        assert round(float(e.p.mean()), 3) == on


def test_kinds_of_events(recordings):
    e = read_evt2(recordings / "format_samples" / "evt2_sample.raw")
    assert (len(e) - int(e.p.sum()), int(e.p.sum())) == (171_626, 367_855)
    assert e.sensor_size == (640, 480, 2)
    assert read_evt3(recordings / "format_samples" / "evt3_sample.raw").sensor_size == (1280, 720, 2)


def test_times_of_evt3_do_not_jump(recordings):
    """A decoder that counts wraps of TIME_LOW ends 45 ms late, by jumps of 4097 µs."""
    t = read_evt3(recordings / "format_samples" / "evt3_sample.raw").t
    assert np.diff(t).max() < 100


def test_ntidigits(recordings):
    e = open_events(recordings / "format_samples" / "ntidigits_1.bs1")
    assert e.x.max() <= 63
    assert not e.y.any()


def test_aedat_header(recordings):
    e = open_events(recordings / "format_samples" / "sample_aedat_header.aedat")
    assert e.info["start_time_ms"] == 1_695_355_587_880
    assert e.info["chip"] == "eu.seebetter.ini.chips.davis.Davis346red"
    assert e.sensor_size == (346, 260, 2)


def test_aedat4(recordings):
    pytest.importorskip("aedat", reason="aedat is not installed: AEDAT 4 is not read")
    e = open_events(recordings / "format_samples" / "sample.aedat4")
    assert (len(e), e.sensor_size) == (111_954, (320, 240, 2))  # count by the package aedat, 2.3.0


def test_gesture_clips(recordings):
    clips = [read_nmnist(recordings / "dvs_gesture_clips" / f"{k}.bin", (128, 128, 2)) for k in range(1, 8)]
    assert [len(e) for e in clips] == [63471, 84260, 113063, 151879, 181179, 124244, 159617]
    assert {round(int(e.t[-1]) / 1000) for e in clips} == {1450}


def test_mnist(recordings):
    for split, n in (("train", 7000), ("test", 1000)):
        images = read_idx(recordings / "mnist_mini" / f"{split}-images-idx3-ubyte.gz")
        labels = read_idx(recordings / "mnist_mini" / f"{split}-labels-idx1-ubyte.gz")
        assert (images.shape, labels.shape) == ((n, 28, 28), (n,))
        assert set(labels.tolist()) == set(range(10))
        assert images.dtype == np.uint8


def test_spoken_digits(recordings):
    seconds = []
    for path in sorted((recordings / "fsdd" / "test").glob("*.wav")):
        sound = read_wav(path, rate=8000)
        seconds.append(sound.samples.size / sound.rate)
    assert len(seconds) == 120
    assert 0.14 <= min(seconds) <= max(seconds) <= 2.29
