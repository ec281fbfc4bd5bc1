"""What every registered event format must do, whoever wrote it."""

from __future__ import annotations

import contextlib
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from reader_samples import FILES, SENSORS, SETTINGS, SIZE, WRITERS, needs, sample, some_events

from snnkit.data import FORMATS, LIMITS, DroppedEventsWarning, Events, identify_format, open_events, readers
from snnkit.data.readers import source
from snnkit.errors import ConfigError, FormatError, InputTypeError, LimitError

every_format = pytest.mark.parametrize("name", FORMATS)
RECORDS = {"40-bit": 5, "40-bit-1d": 5, "aedat2": 8, "dat": 8, "evt2": 4, "evt3": 2}
HEADERS = sorted(set(FORMATS) - {"40-bit", "40-bit-1d"})


def read(name: str, path: Path, **settings) -> Events:
    return FORMATS.get(name).read(path, **(SETTINGS[name] | settings))


def test_every_format_has_a_sample() -> None:
    assert set(FILES) == set(FORMATS)


@every_format
@pytest.mark.parametrize("n", [1, 40, 2000])
def test_what_is_in_the_file(name, n, file):
    needs(name)
    content, wanted = sample(name, n)
    path = file(content)
    e = read(name, path)
    if name == "aedat4":
        assert len(e) == 111_954
        return
    t = np.rint((wanted.t / 1e6).astype(np.float32).astype(float) * 1e6) if name == "hdf5" else wanted.t
    assert e.t.tolist() == t.tolist()
    for column in "xy":
        assert np.array_equal(getattr(e, column), getattr(wanted, column)), column
    assert np.array_equal(e.p, wanted.p)
    assert {r: c for r, c in e.info["dropped"].items() if r != "other_packets"} == {}
    assert e.validate().sensor_size[2] == SENSORS.get(name, SIZE)[2]
    assert not any(getattr(e, column).flags.writeable for column in "txyp")
    assert pickle.loads(pickle.dumps(e)) == e


@every_format
def test_small_blocks_change_nothing(name, file, monkeypatch):
    needs(name)
    path = file(sample(name, 500)[0])
    whole = read(name, path)
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(source, "_BLOCK_BYTES", size)
        if name != "aedat4" or size == 1000:
            assert read(name, path) == whole


@every_format
def test_recognised_by_content(name, file):
    needs(name)
    path = file(sample(name)[0])
    assert identify_format(path) == name
    assert open_events(path, **SETTINGS[name]) == read(name, path)


@every_format
def test_foreign_files_are_refused(name, file):
    needs(name)
    for other in sorted(set(FORMATS) - {"aedat4"}):
        if "40-bit" in name or other == name:
            continue
        with pytest.raises(FormatError, match=r"expected|no header|does not tell") as caught:
            read(name, file(sample(other)[0]))
        assert caught.value.path.endswith("recording")


@every_format
def test_empty_file(name, file):
    needs(name)
    path = file(b"")
    if name in HEADERS:
        with pytest.raises(FormatError):
            read(name, path)
    else:
        assert len(read(name, path)) == 0
    with pytest.raises(FormatError, match="empty"):
        open_events(path)


@every_format
def test_what_cannot_be_read(name, tmp_path):
    needs(name)
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "not a regular file"),
        (tmp_path / "pipe", "not a regular file"),
        ("a\0b", "null"),
    ):
        for call in (FORMATS.get(name).read, open_events):
            with pytest.raises(FormatError, match=reason):
                call(path, **SETTINGS[name])
    for path in (3, None, b"a"):
        with pytest.raises(InputTypeError, match="expected a path"):
            read(name, path)


@every_format
@pytest.mark.parametrize("policy", ["on_truncated", "on_out_of_range", "on_unsorted"])
def test_unknown_policies(name, policy, file):
    path = file(sample("dat")[0])
    for value in ("ignore", None, 3, ["drop"]):
        with pytest.raises(ConfigError, match=policy):
            read(name, path, **{policy: value})


@every_format
@pytest.mark.parametrize("size", [(), (34, 34), (0, 4, 2), (4, 4, 3), (4, 4.5, 2), "abc", (2**20, 4, 2)])
def test_impossible_sensors(name, size, file):
    needs(name)
    with pytest.raises(ConfigError, match="sensor_size"):
        read(name, file(sample(name)[0]), sensor_size=size)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_truncated_files(name, file):
    content, wanted = sample(name)
    for cut in range(1, RECORDS[name]):
        path = file(content[:-cut])
        with pytest.raises(FormatError) as caught:
            read(name, path)
        for part in (str(path), "bytes", 'on_truncated="drop"'):
            assert part in str(caught.value)
        assert caught.value.offset is not None
        with pytest.warns(
            DroppedEventsWarning, match=f"dropped {RECORDS[name] - cut} trailing bytes"
        ) as seen:
            e = read(name, path, on_truncated="drop")
        assert e.info["dropped"]["trailing_bytes"] == RECORDS[name] - cut
        assert len(e) == len(wanted) - 1
        assert seen[0].filename == __file__


@every_format
def test_any_cut_is_seen(name, file):
    """A shorter file is an error, or holds the events of its whole records."""
    needs(name)
    content, _ = sample(name)
    wanted, read_whole = read(name, file(content)).t, 0
    for end in np.unique(np.linspace(0, len(content) - 1, 100).astype(int)):
        with contextlib.suppress(FormatError):
            t = read(name, file(content[:end])).t
            assert np.array_equal(t, wanted[: t.size])
            read_whole += 1
    assert read_whole == 0 if name in ("npz", "npy", "hdf5") else read_whole < 60


@every_format
def test_events_off_the_sensor(name, file):
    if name in ("aedat4",):
        pytest.skip("its sample lies on its sensor")
    content, wanted = sample(name)
    small = (20, 1, SENSORS[name][2]) if name in SENSORS else (20, 30, 2)
    path = file(content)
    off = int((wanted.x >= 20).sum())
    first = int((wanted.x >= 20).argmax())
    with pytest.raises(FormatError) as caught:
        read(name, path, sensor_size=small)
    for part in (f"x = {wanted.x[first]}", f"{off} of 40", f"event {first}", 'on_out_of_range="drop"'):
        assert part in str(caught.value)
    with pytest.warns(DroppedEventsWarning, match=f"dropped {off} of 40") as seen:
        e = read(name, path, sensor_size=small, on_out_of_range="drop")
    assert seen[0].filename == __file__
    assert e.info["dropped"]["out_of_range"] == off
    assert e.x.tolist() == wanted.x[wanted.x < 20].tolist()


@pytest.mark.parametrize("name", sorted({"40-bit", "40-bit-1d", "aedat2", "aedat3", "dat", "npy", "hdf5"}))
def test_unsorted_files(name, file):
    events = some_events(40, 0, SENSORS.get(name, SIZE))
    t = events.t.copy()
    t[10], t[30] = t[30], t[10]
    mixed = Events._trusted((t, events.x, events.y, events.p), events.sensor_size, (0, 10**6), {})
    path = file(FILES[name](mixed))
    with pytest.raises(FormatError) as caught:
        read(name, path)
    assert "time goes back" in str(caught.value)
    assert 'on_unsorted="sort"' in str(caught.value)
    with pytest.warns(DroppedEventsWarning, match="sorted 40 events") as seen:
        e = read(name, path, on_unsorted="sort")
    assert seen[0].filename == __file__
    order = np.argsort(t, kind="stable")
    assert e.x.tolist() == events.x[order].tolist()


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_an_error_names_the_byte(name, file, monkeypatch):
    """Event 300 of 500 is off the sensor: the offset given is where cutting the file leaves 300 events."""
    monkeypatch.setattr(source, "_BLOCK_BYTES", 512)
    events = some_events(500, 3, SENSORS.get(name, SIZE))
    x = events.x.copy()
    x %= 10
    x[300] = 12
    path = file(FILES[name](events.with_(x=x)))
    with pytest.raises(FormatError, match="event 300 has x = 12") as caught:
        read(name, path, sensor_size=(12, *events.sensor_size[1:]))
    path.write_bytes(path.read_bytes()[: caught.value.offset])
    assert len(read(name, path)) == 300


@every_format
def test_limits(name, file, monkeypatch):
    needs(name)
    path = file(sample(name)[0])
    monkeypatch.setattr(LIMITS, "events", 39)
    with pytest.raises(LimitError, match=r"exceeds the limit events = 39"):
        read(name, path)
    monkeypatch.setattr(LIMITS, "file_bytes", path.stat().st_size - 1)
    with pytest.raises(LimitError, match="file_bytes"):
        read(name, path)


@every_format
def test_sparse_giants_are_refused_without_memory(name, tmp_path):
    needs(name)
    path = tmp_path / "giant"
    with open(path, "wb") as f:
        f.write(sample(name)[0])
        f.truncate(17 * 2**30)  # takes no disk
    with pytest.raises(LimitError, match="file_bytes"):
        read(name, path)


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_write_and_read(name, tmp_path):
    path = tmp_path / "a"
    for n, seed in ((0, 0), (1, 1), (999, 2)):
        events = some_events(n, seed, SENSORS.get(name, SIZE))
        WRITERS[name](path, events)
        again = read(name, path)
        assert [getattr(again, c).tolist() for c in "txyp"] == [getattr(events, c).tolist() for c in "txyp"]
        first = path.read_bytes()
        WRITERS[name](path, again)
        if name != "npz":
            assert path.read_bytes() == first
    with pytest.raises(InputTypeError, match=r"snnkit\.data\.Events"):
        WRITERS[name](path, [1, 2])


def test_every_writer_is_checked():
    assert {n for n in dir(readers) if n.startswith("write_")} == {w.__name__ for w in WRITERS.values()}
