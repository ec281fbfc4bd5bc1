"""The cache: whole entries or none, damage found and mended, many processes at once."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from snnkit.data import LIMITS, CacheWarning
from snnkit.data.cache import cache_folder, cached, dump, key, load
from snnkit.errors import FormatError, InputTypeError

ARRAYS = {"a": np.arange(5, dtype=np.int32), "b": np.zeros((2, 0), np.uint8), "c": np.array([1.5])}


def same(one, other):
    return one.keys() == other.keys() and all(
        np.array_equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one
    )


@pytest.fixture
def entry(tmp_path):
    path = tmp_path / "deep" / "entry.npz"
    cached(path, lambda: ARRAYS)
    return path


def never():
    raise AssertionError("the entry was there")


def test_entry_is_built_once_and_is_plain_npz(entry):
    assert same(cached(entry, never), ARRAYS)
    with np.load(entry, allow_pickle=False) as plain:
        assert same(dict(plain), ARRAYS)
    assert os.listdir(entry.parent) == ["entry.npz"]
    assert dump(ARRAYS) == dump(ARRAYS) == entry.read_bytes()  # no clock in it


def test_every_flipped_bit_is_found(entry):
    good = entry.read_bytes()
    rng = np.random.default_rng(0)
    for position in [0, len(good) - 1, len(good) - 64, *rng.integers(0, len(good), 100)]:
        bad = bytearray(good)
        bad[position] ^= 1 << int(rng.integers(8))
        entry.write_bytes(bad)
        with pytest.raises(FormatError, match="checksum"):
            load(entry)


@pytest.mark.parametrize(
    "damage",
    [lambda d: b"", lambda d: d[:-1], lambda d: d[: len(d) // 2], lambda d: d + b"x", lambda d: b"x" * 300],
)
def test_broken_entry_is_built_again_with_one_warning(entry, damage):
    entry.write_bytes(damage(entry.read_bytes()))
    with pytest.warns(CacheWarning, match=r"broken.*made again.*entry\.npz.*checksum") as caught:
        assert same(cached(entry, lambda: ARRAYS), ARRAYS)
    assert len(caught) == 1
    assert same(cached(entry, never), ARRAYS)


def hashed(data: bytes) -> bytes:
    """``data`` made to pass the checksum, as only an attacker with write access could."""
    return data + hashlib.sha256(data).hexdigest().encode()


def test_hostile_content_with_a_right_checksum_is_refused(entry):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:  # a decompression bomb
        archive.comment = b"0" * 64
        archive.writestr("a.npy", b"\0" * 10**6)
    entry.write_bytes(hashed(buffer.getvalue()[:-64]))
    with pytest.raises(FormatError, match="compressed members"):
        load(entry)

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**45,)})
    pickled = io.BytesIO()
    np.lib.format.write_array(pickled, np.array([print], object), allow_pickle=True)
    for content in (header.getvalue(), pickled.getvalue(), b"no array"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.comment = b"0" * 64
            archive.writestr("a.npy", content)
        entry.write_bytes(hashed(buffer.getvalue()[:-64]))
        with pytest.raises(FormatError, match="not a cache entry"):
            load(entry)
    entry.write_bytes(hashed(b"no archive at all"))
    with pytest.raises(FormatError, match="not a cache entry"):
        load(entry)


def test_oversized_entry_is_built_again(entry, monkeypatch):
    monkeypatch.setattr(LIMITS, "file_bytes", 10)
    with pytest.warns(CacheWarning, match="file_bytes"):
        assert same(cached(entry, lambda: ARRAYS), ARRAYS)


def test_no_place_to_write_is_a_warning_not_an_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.npz").mkdir()
    for path in (tmp_path / "file" / "entry.npz", tmp_path / "folder.npz"):
        with pytest.warns(CacheWarning) as caught:
            assert same(cached(path, lambda: ARRAYS), ARRAYS)
        assert "could not be written" in str(caught[-1].message)
        assert "SNNKIT_CACHE" in str(caught[-1].message)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.npz"]


def test_full_disk_leaves_the_old_entry(entry, monkeypatch):
    broken = entry.read_bytes()[:-1]
    entry.write_bytes(broken)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.warns(CacheWarning) as caught:
        assert same(cached(entry, lambda: ARRAYS), ARRAYS)
    assert [str(w.message).split(" ")[0] for w in caught] == ["broken", "cache"]
    assert "No space left" in str(caught[1].message)
    assert entry.read_bytes() == broken
    assert os.listdir(entry.parent) == ["entry.npz"]


def test_key_covers_every_parameter():
    base = {"size": 16, "threshold": 0.35, "noise": False}
    others = [base | {"size": 34}, base | {"threshold": 0.350000001}, base | {"noise": True}, {"size": 16}]
    assert len({key(p) for p in [base, *others]}) == 5
    assert key(dict(reversed(base.items()))) == key(base)
    assert len(key(base)) == 16


def test_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("SNNKIT_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "snnkit"
    monkeypatch.setenv("SNNKIT_CACHE", "/from/environment")
    assert cache_folder() == Path("/from/environment")
    assert cache_folder("~/here") == tmp_path / "here"
    with pytest.raises(InputTypeError, match=r"cache_dir: got int 3, expected a path"):
        cache_folder(3)


def hammer(path: str, rounds: int) -> None:
    """Write and read one entry in turns; any torn or foreign read ends the process with an error."""
    from snnkit.files import write_atomically

    for _ in range(rounds):
        write_atomically(path, dump(ARRAYS))
        assert same(load(path), ARRAYS)


def test_eight_writers_leave_one_good_entry(tmp_path, processes):
    path = tmp_path / "entry.npz"
    workers = [processes.Process(target=hammer, args=(str(path), 25)) for _ in range(8)]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        if path.exists():
            assert same(load(path), ARRAYS)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert os.listdir(tmp_path) == ["entry.npz"]
    assert same(load(path), ARRAYS)
