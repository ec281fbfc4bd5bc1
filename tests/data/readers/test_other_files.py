"""SHD, npz, idx and wav: what they hold, and what makes each of them special."""

from __future__ import annotations

import gzip
import io
import pickle
import sys

import h5py
import numpy as np
import pytest
import torch
from hostile import crafted, good_file, idx, wav
from reader_samples import hdf5, some_events

from snnkit.data import (
    LIMITS,
    DroppedEventsWarning,
    Events,
    SpikeFile,
    open_events,
    read_idx,
    read_npy,
    read_npz,
    read_shd,
    read_wav,
    write_npz,
)
from snnkit.errors import ConfigError, FormatError, LimitError, MissingDependencyError

UNITS = (700, 1, 1)


def test_half_precision_times(file):
    """1e6 times a half is infinite; as a double it is a time."""
    events = Events([250_000, 500_000, 1_500_000], [3, 699, 0], [0, 0, 0], [0, 0, 0], UNITS)
    e = read_shd(file(hdf5(events, np.float16)), index=1)
    assert e.t.tolist() == [250_000, 500_000, 1_500_000]
    assert e.x.tolist() == [3, 699, 0]
    assert e.sensor_size == UNITS


def test_a_file_of_recordings(file):
    path = file(hdf5(some_events(20, 1, UNITS)))
    with SpikeFile(path) as spikes:
        assert len(spikes) == 3
        assert spikes.labels.tolist() == [4, 0, 19]
        assert spikes.extra("speaker").tolist() == [1, 2, 3]
        assert [len(spikes.events(i)) for i in range(3)] == [3, 20, 3]
        for index in (-1, 3, 1.0, True):
            with pytest.raises(ConfigError, match=r"in \[0, 2\]"):
                spikes.events(index)
        with pytest.raises(FormatError, match=r"extra/nothing"):
            spikes.extra("nothing")
        copy = pickle.loads(pickle.dumps(spikes))
        assert copy.events(1) == spikes.events(1)
        copy.close()
    assert len(spikes.events(0)) == 3  # opens again
    spikes.close()


class Recordings(torch.utils.data.Dataset):
    def __init__(self, path):
        self.file = SpikeFile(path)

    def __len__(self):
        return len(self.file)

    def __getitem__(self, i):
        return torch.tensor(self.file.events(i).x.astype(int))


def test_loader_workers_open_the_file_themselves(file):
    data = Recordings(file(hdf5(some_events(20, 1, UNITS))))
    data[0]  # the file is open when the workers are forked
    alone = list(torch.utils.data.DataLoader(data))
    forked = list(torch.utils.data.DataLoader(data, num_workers=2, multiprocessing_context="fork"))
    assert all(torch.equal(a, b) for a, b in zip(alone, forked, strict=True))
    data.file.close()


def test_units_off_the_cochlea(file):
    path = file(hdf5(Events([1, 2], [3, 700], [0, 0], [0, 0], (800, 1, 1))))
    with pytest.raises(FormatError, match="recording 1: event 1 has x = 700, allowed 0..699"):  # noqa: RUF043
        read_shd(path, index=1)
    with pytest.warns(DroppedEventsWarning, match="dropped 1 of 2"):
        assert len(read_shd(path, index=1, on_out_of_range="drop")) == 1


@pytest.mark.parametrize("settings", [{}, {"chunks": (2,)}, {"chunks": (2,), "compression": "gzip"}])
def test_ways_to_store_a_column(file, settings):
    events = some_events(9, 1, UNITS)
    path = file(hdf5(events))
    with h5py.File(path, "r+") as f:
        units = [f["spikes/units"][i] for i in range(3)]
        del f["spikes/units"]
        column = f.create_dataset("spikes/units", (3,), h5py.vlen_dtype(np.uint16), **settings)
        for i, values in enumerate(units):
            column[i] = values
    for i in (1, 2):
        assert np.array_equal(read_shd(path, index=i).x, units[i])


def test_a_heap_on_which_the_library_hangs(file):
    """The sizes of the objects in the heap lead to one of size 0, on which HDF5 waits for ever."""
    content = bytearray(hdf5(some_events(9, 1, UNITS)))
    heap = content.index(b"GCOL")
    content[heap + 24] = 81  # the size of the first object
    with pytest.raises(FormatError, match=f"an object of the heap at byte {heap}"):
        SpikeFile(file(bytes(content)))


def test_a_length_that_is_not_stored(file):
    """HDF5 would allocate 4 GiB."""
    content = bytearray(hdf5(some_events(9, 1, UNITS)))
    with h5py.File(io.BytesIO(content)) as f:
        at = f["spikes/times"].id.get_offset() + 16
    content[at : at + 4] = (2**30).to_bytes(4, "little")
    with pytest.raises(FormatError, match="recording 1 of 'spikes/times' claims 1073741824 values"):
        read_shd(file(bytes(content)), index=1)


def test_lengths_that_differ(file):
    path = file(hdf5(some_events(5, 1, UNITS)))
    with h5py.File(path, "r+") as f:
        f["spikes/units"][1] = np.zeros(4, np.uint16)
    with pytest.raises(FormatError, match=r"times \(5,\) and units \(4,\)"):
        read_shd(path, index=1)
    with h5py.File(path, "r+") as f:
        del f["labels"]
        f["labels"] = np.zeros(2, int)
    with pytest.raises(FormatError, match="lengths differ"):
        SpikeFile(path)


@pytest.mark.parametrize(("package", "extra"), [("h5py", "hdf5"), ("aedat", "aedat")])
def test_missing_packages(file, monkeypatch, package, extra):
    content = good_file("hdf5") if package == "h5py" else b"#!AER-DAT4.0\r\n" + bytes(100)
    monkeypatch.setitem(sys.modules, package, None)
    path = file(content)
    settings = {"index": 0} if package == "h5py" else {}
    with pytest.raises(MissingDependencyError, match=rf'needs {package}: pip install "snnkit\[{extra}\]"'):
        open_events(path, **settings)


def test_npz_keeps_sensor_and_interval(tmp_path):
    e = Events([5, 9], [3, 1], [0, 0], [1, 0], (4, 2, 2), (-7, 10**6))
    write_npz(tmp_path / "a.npz", e)
    assert read_npz(tmp_path / "a.npz") == e
    with np.load(tmp_path / "a.npz") as plain:
        assert plain["t"].tolist() == [5, 9]
    with pytest.raises(FormatError, match="x = 3, allowed 0..1"):  # noqa: RUF043
        read_npz(tmp_path / "a.npz", (2, 2, 2))


def test_npz_of_others(file):
    """Arrays of any integer type; the sensor has to be told."""
    buffer = io.BytesIO()
    np.savez(buffer, t=np.array([1, 2], np.uint32), x=np.array([0, 7], np.int8), p=np.array([True, False]))
    path = file(buffer.getvalue())
    e = read_npz(path, (8, 1, 2))
    assert [c.tolist() for c in (e.t, e.x, e.y, e.p)] == [[1, 2], [0, 7], [0, 0], [1, 0]]
    with pytest.raises(FormatError, match=r"does not tell the size of the sensor.*sensor_size"):
        read_npz(path)


def test_constant_columns_pack_tightly_and_are_read(tmp_path):
    n = 6_000_000
    e = Events(np.zeros(n, np.int64), np.zeros(n, int), np.zeros(n, int), np.zeros(n, int), (1, 1, 1))
    write_npz(tmp_path / "a.npz", e.slice_time(0, 1))
    with pytest.raises(LimitError, match=r"decompression_ratio.*LIMITS\.decompression_ratio"):
        read_npz(tmp_path / "a.npz")
    small = Events(*(c[: n // 6] for c in (e.t, e.x, e.y, e.p)), (1, 1, 1))
    write_npz(tmp_path / "a.npz", small)
    assert read_npz(tmp_path / "a.npz") == small


def test_damaged_npz(tmp_path):
    write_npz(tmp_path / "a.npz", some_events(200))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[120] ^= 4  # of packed data
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(FormatError, match="damaged"):
        read_npz(tmp_path / "a.npz")


def test_npy_that_is_cut(file):
    buffer = io.BytesIO()
    np.save(buffer, some_events(9).to_structured())
    path = file(buffer.getvalue()[:-20])
    with pytest.raises(FormatError, match="9 events take 117 bytes, but 97 follow the header"):
        read_npy(path, (34, 30, 2))
    with pytest.warns(DroppedEventsWarning, match="2 of 9 events are missing"):
        e = read_npy(path, (34, 30, 2), on_truncated="drop")
    assert (len(e), e.info["dropped"]) == (7, {"missing_events": 2})


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_of_all_types(file, dtype, pack):
    array = np.random.default_rng(0).integers(0, 100, (3, 2, 4)).astype(dtype)
    found = read_idx(file(pack(idx(array))))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert np.array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file ends after 0"),
        (b"\0\0\x08\x03\0\0", "the file ends after 2"),
        (b"\0\0\x07\x01\0\0\0\1a", "begins with 0, 0, type, axes"),
        (good_file("idx") + b"a", r"together 60 bytes; 61 follow"),
        (good_file("idx")[:-1], r"together 60 bytes; 59 follow"),
        (gzip.compress(good_file("idx") + b"a"), "more than the 60 bytes"),
        (gzip.compress(good_file("idx")[:-1]), "expected 60 bytes, the file ends after 59"),
        (good_file("idx.gz")[:-9], "cannot be unpacked"),
    ],
)
def test_idx_that_does_not_fit(file, content, message):
    with pytest.raises(FormatError, match=message):
        read_idx(file(content))


def test_idx_bomb(file):
    with pytest.raises(LimitError, match="decompression_ratio"):
        read_idx(file(dict(crafted("idx.gz"))["bomb"]))


def test_wav(file):
    samples = np.array([0, 1, -1, 32767, -32768], "<i2")
    sound = read_wav(file(wav(samples.tobytes(), 16_000)))
    assert sound.samples.tolist() == samples.tolist()
    assert sound.rate == 16_000
    listed = wav(samples.tobytes())
    listed = listed[:36] + b"LIST\3\0\0\0abc\0" + listed[36:]  # a chunk of odd length is padded
    assert read_wav(file(listed)).samples.tolist() == samples.tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with RIFF....WAVE"),
        (b"RIFX" + wav(b"ab")[4:], "begins with RIFF....WAVE"),
        (wav(b"abcd", channels=2), "channels = 2, expected 1"),
        (wav(b"abc", bits=24), "bits = 24, expected 16"),
        (wav(b"ab", rate=44_100), "rate = 44100, expected 8000"),
        (wav(b"ab", encoding=3), r"encoding = 3, expected 1 \(PCM\)"),
        (wav(b""), "no samples"),
        (wav(b"abc"), "3 bytes, expected a multiple of 2"),
        (wav(b"abcd", data=900), "tells 900 bytes, but 4 are left"),
        (wav(b"ab", fmt=4), "the chunk 'fmt ' has 4 bytes"),
        (wav(b"ab")[:36], "no chunk 'data'; found"),
        (wav(b"ab")[:12] + wav(b"ab")[36:], "no chunk 'fmt '"),
    ],
)
def test_wav_that_does_not_fit(file, content, message):
    with pytest.raises(FormatError, match=message):
        read_wav(file(content), rate=8000)


def test_wav_that_is_cut(file):
    path = file(wav(b"abcd", data=900))
    with pytest.warns(DroppedEventsWarning, match="the last 896 bytes of the sound are missing"):
        assert read_wav(path, on_truncated="drop").samples.size == 2


def test_limit_of_recordings(file, monkeypatch):
    monkeypatch.setattr(LIMITS, "members", 2)
    with pytest.raises(LimitError, match="3 exceeds the limit members = 2"):
        SpikeFile(file(hdf5(some_events(5, 1, UNITS))))
