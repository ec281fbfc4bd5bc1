"""The tables of what other readers do with bad input, row by row, and what ours do instead.

``d`` rows: data set specification, section 4; ``r`` rows: reliability specification, rows 31 to 49, 52.
Rows about frames and voxel grids are tested beside those; rows about checkpoints where these are read.
"""

from __future__ import annotations

import io
import struct
import tracemalloc

import h5py
import numpy as np
import pytest
from hostile import crafted
from reader_samples import AEDAT_2, AEDAT_3, FILES, HEADER_2, HEADER_3, packet, polarity, sample

from snnkit.data import (
    DroppedEventsWarning,
    SpikeFile,
    open_events,
    read_aedat2,
    read_aedat3,
    read_evt2,
    read_evt3,
    read_nmnist,
    read_npy,
    read_npz,
    read_shd,
)
from snnkit.errors import FormatError, LimitError

RECORD = bytes([5, 7, 0x81, 2, 3])


@pytest.mark.parametrize("missing", [1, 2, 3, 4])
def test_d_nmnist_cut_by_some_bytes(file, missing):
    path = file((RECORD * 20)[:-missing])
    with pytest.raises(FormatError) as caught:
        read_nmnist(path)
    assert (caught.value.path, caught.value.offset) == (str(path), 95)
    for part in (f"{5 - missing} of 5 bytes", "multiple of 5"):
        assert part in str(caught.value)
    with pytest.warns(DroppedEventsWarning, match=f"dropped {5 - missing} trailing bytes"):
        assert len(read_nmnist(path, on_truncated="drop")) == 19


@pytest.mark.parametrize("name", ["evt2", "evt3", "dat"])
def test_d_prophesee_cut_inside_of_a_word(file, name):
    path = file(sample(name)[0][:-1])
    with pytest.raises(FormatError, match=r"the last record has .* bytes"):
        open_events(path)
    with pytest.warns(DroppedEventsWarning, match="trailing bytes"):
        open_events(path, on_truncated="drop")


def test_d_r31_empty_file(file):
    assert len(read_nmnist(file(b""))) == 0
    for read in (read_evt2, read_evt3, read_aedat2, read_aedat3, read_npy, read_npz, SpikeFile):
        with pytest.raises(FormatError):
            read(file(b""))


def test_d_random_bytes_are_no_nmnist(file):
    noise = np.random.default_rng(0).integers(0, 256, 5000).astype(np.uint8).tobytes()
    with pytest.raises(FormatError, match="34x34x2"):
        read_nmnist(file(noise))
    with pytest.raises(FormatError, match="no known event format"):
        open_events(file(noise))


def test_d_aedat3_without_magic(file):
    path = file(b"#Format: RAW\r\n#!END-HEADER\r\n" + packet([polarity(1, 2, 3, 1)]))
    with pytest.raises(FormatError, match=r"begins with b'#!AER-DAT3.1', got b'#Format: RAW'"):
        read_aedat3(path)


def test_d_aedat3_packet_header_cut(file):
    whole = AEDAT_3 + packet([polarity(1, 2, 3, 1)])
    path = file(whole + packet([])[:10])
    with pytest.raises(FormatError, match="the last packet header has 10 of 28 bytes") as caught:
        read_aedat3(path)
    assert caught.value.offset == len(whole)
    with pytest.warns(DroppedEventsWarning, match="dropped 10 trailing bytes"):
        e = read_aedat3(path, on_truncated="drop")
    assert (len(e), e.info["dropped"]) == (1, {"trailing_bytes": 10})


def test_d_aedat3_events_cut(file):
    path = file(AEDAT_3 + packet([polarity(i, i, 3, 1) for i in range(5)])[:-11])
    with pytest.raises(FormatError, match="tells 5 events of 8 bytes, but 29 bytes are left"):
        read_aedat3(path)
    with pytest.warns(DroppedEventsWarning, match="dropped 5 trailing bytes"):
        e = read_aedat3(path, on_truncated="drop")
    assert e.t.tolist() == [0, 1, 2]


def test_d_aedat3_invalid_events(file):
    events = [polarity(1, 2, 3, 1), polarity(2, 2, 3, 1, valid=0), polarity(3, 4, 5, 0)]
    e = read_aedat3(file(AEDAT_3 + packet(events)))
    assert e.t.tolist() == [1, 3]
    assert e.info["dropped"] == {"invalid": 1}


def test_aedat3_time_overflow(file):
    first, second = packet([polarity(2**31 - 1, 1, 2, 0)]), packet([polarity(7, 1, 2, 0)], overflow=1)
    assert read_aedat3(file(AEDAT_3 + first + second)).t.tolist() == [2**31 - 1, 2**31 + 7]


@pytest.mark.parametrize("head", [b"", b"#", b"#!AER-DAT\r\n", b"#!AER-DAT9.0\r\n", b"# no version\r\n"])
def test_d_r41_aedat_without_version(file, head):
    path = file(head + struct.pack(">II", 0x102, 5) * bool(head))
    with pytest.raises(FormatError):
        read_aedat2(path)
    with pytest.raises(FormatError):
        open_events(path)


def test_d_r40_aedat2_dvs128(file):
    """One event bit by bit, as jAER names the axes and as they are."""
    path = file(AEDAT_2 + struct.pack(">II", 100 << 8 | 30 << 1 | 1, 77))
    e = read_aedat2(path)
    assert [c.tolist() for c in (e.t, e.x, e.y, e.p)] == [[77], [97], [27], [0]]
    e = read_aedat2(path, layout="dvs128_raw")
    assert [c.tolist() for c in (e.x, e.y, e.p)] == [[30], [100], [1]]
    e = read_aedat2(file(AEDAT_2 + struct.pack(">IIII", 1 << 15, 5, 3, 6)))
    assert (e.t.tolist(), e.info["dropped"]) == ([6], {"other_words": 1})
    with pytest.raises(FormatError, match="x = 65535"):
        read_aedat2(file(AEDAT_2 + struct.pack(">II", 1 << 16, 5)))


def test_aedat2_davis(file):
    words = struct.pack(">IIII", 150 << 22 | 200 << 12 | 1 << 11, 9, 1 << 31, 10)
    path = file(b"#!AER-DAT2.0\n# AEChip: eu.seebetter.ini.chips.davis.Davis240C\n" + words)
    e = read_aedat2(path)
    assert [c.tolist() for c in (e.t, e.x, e.y, e.p)] == [[9], [200], [150], [1]]
    assert (e.sensor_size, e.info["dropped"]) == ((240, 180, 2), {"other_words": 1})


def test_aedat2_record_that_begins_like_a_header(file):
    """0x23 is #: the address of a DAVIS pixel may begin with it."""
    words = struct.pack(">II", 0x23400800, 9)
    e = read_aedat2(file(AEDAT_2 + words), (346, 260, 2), layout="davis")
    assert [c.tolist() for c in (e.x, e.y, e.p)] == [[0], [0x234008 >> 14], [1]]
    ended = AEDAT_2 + b"#End Of ASCII Header\r\n" + b"#\n\0\0\0\0\0\1"
    assert len(read_aedat2(file(ended), (1024, 512, 2), layout="davis")) == 1


def test_d_r43_aedat2_cut(file):
    path = file(sample("aedat2")[0][:-3])
    with pytest.raises(FormatError, match="5 of 8 bytes"):
        read_aedat2(path)
    with pytest.warns(DroppedEventsWarning, match="dropped 5 trailing"):
        assert len(read_aedat2(path, on_truncated="drop")) == 39


def test_d_evt3_read_as_evt2(file):
    with pytest.raises(FormatError, match="expected the encoding EVT2, the header names 'EVT3'"):
        read_evt2(file(sample("evt3")[0]))


@pytest.mark.parametrize("x", [34, 40, 200])
def test_d_r34_x_off_the_sensor(file, x):
    path = file(RECORD + bytes([x]) + RECORD[1:])
    with pytest.raises(FormatError, match=f"event 1 has x = {x}, allowed 0..33"):
        read_nmnist(path)
    with pytest.warns(DroppedEventsWarning, match="dropped 1 of 2"):
        e = read_nmnist(path, on_out_of_range="drop")
    assert e.info["dropped"] == {"out_of_range": 1}


def test_d_r35_negative_x(file):
    array = np.array([(5, -1, 3, 1)], [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    buffer = io.BytesIO()
    np.save(buffer, array)
    with pytest.raises(FormatError, match=r"event 0 has x = -1, allowed 0\.\.33"):
        read_npy(file(buffer.getvalue()), (34, 34, 2))


def test_d_r37_unsorted_and_single(file):
    back = file(RECORD + bytes([5, 7, 0x81, 2, 1]))
    with pytest.raises(FormatError, match="earlier than the one ahead"):
        read_nmnist(back)
    with pytest.warns(DroppedEventsWarning, match="sorted 2 events"):
        assert len(read_nmnist(back, on_unsorted="sort")) == 2
    assert len(read_nmnist(file(RECORD))) == 1


@pytest.mark.parametrize("length", [3, 7, 9])
def test_r32_r33_no_event_is_invented(file, length):
    with pytest.raises(FormatError, match="multiple of 5"):
        read_nmnist(file((RECORD * 2)[:length]))


def test_r38_time_jump(file):
    array = np.array(
        [(0, 1, 3, 1), (2**62, 1, 3, 1)], [("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")]
    )
    buffer = io.BytesIO()
    np.save(buffer, array)
    with pytest.raises(LimitError, match="time_span_us"):
        read_npy(file(buffer.getvalue()), (34, 34, 2))


def small_memory(read, *arguments, match: str, error: type[Exception] = FormatError, **settings):
    """``read`` refuses with less than 4 MiB of memory."""
    tracemalloc.start()
    with pytest.raises(error, match=match):
        read(*arguments, **settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_r42_packet_claims_32_gib(file):
    path = file(AEDAT_3 + packet([], number=2**32 - 1, capacity=2**32 - 1))
    small_memory(read_aedat3, path, match="tells 4294967295 events of 8 bytes, but 0 bytes are left")


HDF5 = dict(crafted("hdf5"))


@pytest.mark.parametrize("path", ["labels", "spikes/times", "spikes/units"])
def test_r44_hdf5_claims_8_tb(file, path):
    target = file(HDF5[f"{path} claims 8 TB"])
    assert target.stat().st_size < 20_000
    small_memory(SpikeFile, target, match="exceeds the limit members", error=LimitError)


@pytest.mark.parametrize("what", [k for k in HDF5 if "link" in k or "virtual" in k])
def test_r45_hdf5_that_names_other_data(file, what):
    with pytest.raises(FormatError, match=r"SoftLink|ExternalLink|virtual and external"):
        SpikeFile(file(HDF5[what]))


@pytest.mark.parametrize("path", ["labels", "spikes/times", "spikes/units"])
def test_r45_hdf5_external_storage(tmp_path, path):
    """The bytes of another file do not come out, although HDF5 itself reads them."""
    (tmp_path / "secret").write_bytes(b"secretsecret")
    target = tmp_path / "a.h5"
    target.write_bytes(FILES["hdf5"](sample("hdf5", 5)[1]))
    with h5py.File(target, "r+") as f:
        del f[path]
        f.create_dataset(path, (3,), "u4", external=[(str(tmp_path / "secret"), 0, 12)])
    with h5py.File(target) as f:
        assert f[path][:].tobytes() == b"secretsecret"
    with pytest.raises(FormatError, match="external ones are refused"):
        SpikeFile(target)


def test_r46_hdf5_empty_or_cut(file):
    content = sample("hdf5")[0]
    for part in (b"", content[:8], content[:100], content[: len(content) // 2], content[:-1]):
        with pytest.raises(FormatError):
            read_shd(file(part), index=1)


def test_r47_pickles_are_never_loaded(file, tmp_path):
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self):
            return open, (str(canary), "w")

    buffer = io.BytesIO()
    np.save(buffer, np.array([Evil()], object), allow_pickle=True)
    with pytest.raises(FormatError, match="pickled Python objects, which are never loaded"):
        read_npy(file(buffer.getvalue()), (34, 34, 2))
    archive = io.BytesIO()
    np.savez(archive, t=np.array([Evil()], object), x=np.zeros(1, int), p=np.zeros(1, int))
    with pytest.raises(FormatError, match="never loaded"):
        read_npz(file(archive.getvalue()), (34, 34, 2))
    assert not canary.exists()


def test_r48_npy_claims_8_tb(file):
    content = dict(crafted("npy"))["8 TB"]
    small_memory(read_npy, file(content), (34, 34, 2), match="exceeds the limit events", error=LimitError)


def test_r49_npz_bomb(file):
    content = dict(crafted("npz"))["bomb"]
    assert len(content) < 200_000
    small_memory(read_npz, file(content), (34, 34, 2), match="decompression_ratio", error=LimitError)


def test_r52_npz_member_outside(file):
    members = dict(crafted("npz"))
    for what in (k for k in members if k.startswith("member")):
        with pytest.raises(FormatError, match="unknown members"):
            read_npz(file(members[what]), (34, 34, 2))


def test_events_ahead_of_the_first_time(file):
    words = np.array([0x10000001, 8 << 28 | 1, 0x10000001], "<u4").tobytes()
    e = read_evt2(file(HEADER_2 + words))
    assert (e.t.tolist(), e.info["dropped"]) == ([64], {"before_time": 1})
    words = np.array([0x2001, 0x8001, 0x2001, 0x0003, 0x4001, 0x2002], "<u2").tobytes()
    e = read_evt3(file(HEADER_3 + words))
    assert (e.x.tolist(), e.info["dropped"]) == ([2], {"before_time": 3})
