"""The 40-bit reader: exact values, every kind of damage, and nothing repaired without being asked."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnkit.data import LIMITS, DroppedEventsWarning, Events, read_nmnist, write_nmnist, write_nmnist_1d
from snnkit.errors import ConfigError, FormatError, InputTypeError, LimitError

RECORD = bytes([5, 7, 0x81, 0x02, 0x03])  # x 5, y 7, ON, t = 0x010203


def record(x: int, y: int, p: int, t: int) -> bytes:
    return bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255])


@pytest.fixture
def file(tmp_path):
    """``file(bytes)`` -> path."""

    def make(content: bytes):
        path = tmp_path / "00001.bin"
        path.write_bytes(content)
        return path

    return make


def test_one_record_bit_by_bit(file):
    e = read_nmnist(file(RECORD))
    assert (e.t.tolist(), e.x.tolist(), e.y.tolist(), e.p.tolist()) == ([0x010203], [5], [7], [1])
    assert e.t_span == (0, 0x010204)
    assert e.info == {"dropped": {}}
    assert read_nmnist(file(record(0, 33, 0, 2**23 - 1))).t.tolist() == [8388607]
    assert read_nmnist(str(file(RECORD)), duration_us=315_000).t_span == (0, 315_000)


@pytest.mark.data
def test_published_sample(recordings):
    e = read_nmnist(recordings / "format_samples" / "sample_nmnist.bin")
    assert len(e) == 4325
    assert e.info["dropped"] == {}


@pytest.mark.data
def test_gesture_clips_have_the_same_format(recordings):
    counts = [
        len(read_nmnist(recordings / "dvs_gesture_clips" / f"{k}.bin", (128, 128, 2))) for k in (1, 2, 7)
    ]
    assert counts == [63471, 84260, 159617]
    with pytest.raises(FormatError, match="34x34x2"):
        read_nmnist(recordings / "dvs_gesture_clips" / "1.bin")


def test_empty_file_has_no_events(file):
    e = read_nmnist(file(b""))
    assert len(e) == 0
    assert e.t_span == (0, 0)
    assert e.info == {"dropped": {}}


@pytest.mark.parametrize("rest", [1, 2, 3, 4])
@pytest.mark.parametrize("whole", [0, 1, 100])
def test_truncated_file(file, rest, whole):
    path = file(RECORD * whole + RECORD[:rest])
    with pytest.raises(FormatError) as caught:
        read_nmnist(path)
    error = caught.value
    assert (error.path, error.offset) == (str(path), 5 * whole)
    for part in (f"{rest} of 5 bytes", f"{5 * whole + rest} bytes", "multiple of 5", 'on_truncated="drop"'):
        assert part in str(error)
    with pytest.warns(DroppedEventsWarning, match=f"dropped {rest} trailing bytes") as caught_warnings:
        e = read_nmnist(path, on_truncated="drop")
    assert caught_warnings[0].filename == __file__
    assert len(e) == whole
    assert e.info["dropped"] == {"trailing_bytes": rest}


@pytest.mark.parametrize(("x", "y", "what"), [(34, 0, "x = 34"), (200, 3, "x = 200"), (3, 240, "y = 240")])
def test_events_off_the_sensor(file, x, y, what):
    path = file(record(1, 1, 1, 10) + record(x, y, 0, 20) + record(2, 2, 1, 30))
    with pytest.raises(FormatError) as caught:
        read_nmnist(path)
    assert caught.value.offset == 5
    for part in (
        str(path),
        "byte 5",
        "event 1",
        what,
        "0..33",
        "34x34x2",
        "1 of 3",
        'on_out_of_range="drop"',
    ):
        assert part in str(caught.value)
    with pytest.warns(DroppedEventsWarning, match="dropped 1 of 3 events"):
        e = read_nmnist(path, on_out_of_range="drop")
    assert e.t.tolist() == [10, 30]
    assert e.info["dropped"] == {"out_of_range": 1}


def test_time_that_goes_back(file):
    path = file(record(1, 1, 1, 10) + record(2, 1, 1, 30) + record(3, 1, 1, 20) + record(4, 1, 1, 30))
    with pytest.raises(FormatError) as caught:
        read_nmnist(path)
    assert caught.value.offset == 10
    for part in ("event 2", "20 µs", "30 µs", "1 times", 'on_unsorted="sort"'):
        assert part in str(caught.value)
    with pytest.warns(DroppedEventsWarning, match="sorted 4 events"):
        e = read_nmnist(path, on_unsorted="sort")
    assert e.x.tolist() == [1, 3, 2, 4]


def test_all_policies_at_once(file):
    path = file(record(1, 1, 1, 30) + record(99, 1, 1, 0) + record(2, 1, 1, 20) + b"\0\0")
    with pytest.warns(DroppedEventsWarning) as caught:
        e = read_nmnist(path, on_truncated="drop", on_out_of_range="drop", on_unsorted="sort")
    assert len(caught) == 3
    assert e.t.tolist() == [20, 30]
    assert e.info["dropped"] == {"trailing_bytes": 2, "out_of_range": 1}
    with pytest.warns(DroppedEventsWarning, match="dropped 1"), pytest.raises(FormatError) as error:
        read_nmnist(file(path.read_bytes()[:15]), on_out_of_range="drop")
    assert error.value.offset == 10  # of the record in the file, not among those that were kept


def test_clock_overflow_marks(file):
    content = record(1, 1, 1, 8000) + record(0, 240, 0, 0) + record(2, 1, 1, 5) + record(3, 1, 1, 9)
    path = file(content)
    e = read_nmnist(path, (240, 180, 2), clock_overflow=True)
    assert e.t.tolist() == [8000, 8197, 8201]
    assert e.x.tolist() == [1, 2, 3]
    with pytest.raises(ConfigError, match=r"clock_overflow.*y = 240 is a pixel"):
        read_nmnist(path, (304, 256, 2), clock_overflow=True)
    with pytest.raises(FormatError, match="y = 240"):
        read_nmnist(path)
    with pytest.raises(FormatError) as caught:
        read_nmnist(file(content + record(250, 1, 1, 9)), (240, 180, 2), clock_overflow=True)
    assert caught.value.offset == 20


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"on_truncated": "ignore"}, ("on_truncated", "'ignore'", "'error' or 'drop'")),
        ({"on_out_of_range": "clip"}, ("on_out_of_range", "'error' or 'drop'")),
        ({"on_unsorted": "drop"}, ("on_unsorted", "'error' or 'sort'")),
        ({"sensor_size": (34, 34)}, ("sensor_size", "(W, H, P)")),
        ({"duration_us": -1}, ("duration_us", "-1")),
        ({"duration_us": 0.3}, ("duration_us", "0.3", "µs")),
    ],
)
def test_bad_arguments(file, arguments, parts):
    with pytest.raises(ConfigError) as caught:
        read_nmnist(file(RECORD), **arguments)
    for part in parts:
        assert part in str(caught.value)


def test_what_cannot_be_read(tmp_path):
    for path, reason in (
        (tmp_path / "none.bin", "No such file"),
        (tmp_path, "not a regular file"),
        ("a\0b", "null"),
    ):
        with pytest.raises(FormatError, match=reason):
            read_nmnist(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="not a regular file"):  # and does not wait for a writer
        read_nmnist(tmp_path / "pipe")
    for path in (3, None, b"a.bin"):
        with pytest.raises(InputTypeError, match="expected a path"):
            read_nmnist(path)


def test_limits_are_checked_before_reading(file, monkeypatch):
    path = file(RECORD * 4)
    monkeypatch.setattr(LIMITS, "events", 3)
    with pytest.raises(LimitError, match=r"00001\.bin.*4 exceeds the limit events = 3"):
        read_nmnist(path)
    monkeypatch.setattr(LIMITS, "file_bytes", 19)
    with pytest.raises(LimitError, match="20 exceeds the limit file_bytes = 19"):
        read_nmnist(path)


def test_sparse_giant_is_refused_without_memory(tmp_path):
    path = tmp_path / "giant.bin"
    with open(path, "wb") as f:
        f.truncate(17 * 2**30)  # takes no disk
    with pytest.raises(LimitError, match="file_bytes"):
        read_nmnist(path)


@given(st.binary(max_size=60))
def test_random_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "random.bin"
    path.write_bytes(content)
    try:
        e = read_nmnist(path)
    except FormatError as caught:
        error = caught
    else:
        error = None
    if error:
        assert error.path == str(path)
        assert 0 <= error.offset < len(content)
    else:
        assert len(e) * 5 == len(content)
        write_nmnist(path, e)
        assert path.read_bytes() == content


def test_random_file_is_corrupt(file):
    content = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8).tobytes()
    with pytest.raises(FormatError, match="events are out of range"):
        read_nmnist(file(content))


@given(
    st.lists(st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 255), st.integers(0, 239), st.booleans())),
)
def test_round_trip(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round.bin"
    t, x, y, p = (list(c) for c in zip(*sorted(rows), strict=True)) if rows else ([], [], [], [])
    e = Events(t, x, y, np.array(p, bool), (256, 240, 2), (0, max(t, default=-1) + 1))
    write_nmnist(path, e)
    assert path.stat().st_size == 5 * len(e)
    assert read_nmnist(path, (256, 240, 2)) == e


def test_what_the_format_cannot_hold(tmp_path):
    path = tmp_path / "a.bin"
    for e, message in (
        (Events([2**23], [0], [0], [0], (4, 4, 2)), "8388608.*23 bit.*with_"),
        (Events([-1], [0], [0], [0], (4, 4, 2)), "-1"),
        (Events([0], [0], [0], [0], (346, 260, 2)), "346.*256"),
    ):
        with pytest.raises(ConfigError, match=message):
            write_nmnist(path, e)
    with pytest.raises(InputTypeError, match=r"expected snnkit\.data\.Events"):
        write_nmnist(path, [1, 2])
    with pytest.raises(ConfigError, match=r"write_nmnist_1d: sensor_size.*one row"):
        write_nmnist_1d(path, Events([0], [0], [0], [0], (4, 4, 2)))
    assert not path.exists()


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    e = Events([1], [2], [3], [1], (34, 34, 2))
    write_nmnist(path, e)
    old = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_nmnist(path, e.with_(x=[4]))
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["a.bin"]
    assert stat.S_ISREG(path.stat().st_mode)
