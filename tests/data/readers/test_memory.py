"""Large files are read in blocks: beside the events, less than as much again is held."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from reader_samples import AEDAT_2, AEDAT_3, HEADER_3, packet

from snnkit.data import FORMATS, read_aedat2, read_aedat3, read_dat, read_evt2, read_evt3, read_nmnist

MIB = 2**20


def forty_bit(n: int) -> bytes:
    t = np.sort(np.random.default_rng(0).integers(0, 2**23, n))
    return np.stack([t % 34, t % 30, t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8).tobytes()


def evt2(n: int) -> bytes:
    words = np.arange(n, dtype=np.uint32) % 2**11
    words[::64] = 8 << 28 | np.arange(words[::64].size, dtype=np.uint32)
    return b"% evt 2.0\n% geometry 2048x2048\n" + words.astype("<u4").tobytes()


def evt3(n: int) -> bytes:
    words = np.full(n, 0x4FFF, np.uint16)
    words[::4] = 0x3000
    words[:3] = 0x8000, 0x6000, 0x0000
    return HEADER_3.replace(b"34x30", b"64x64") + words.astype("<u2").tobytes()


def pairs(n: int, order: str) -> bytes:
    t = np.arange(n)
    return (
        np.stack([t, t % 30 << (8 if order == ">" else 14)][:: 1 if order == "<" else -1], 1)
        .astype(f"{order}u4")
        .tobytes()
    )


FILES = {
    "40-bit": (read_nmnist, lambda: forty_bit(4_000_000)),
    "dat": (read_dat, lambda: b"% Data\n\x00\x08" + pairs(2_500_000, "<")),
    "evt2": (read_evt2, lambda: evt2(5_000_000)),
    "evt3": (read_evt3, lambda: evt3(600_000)),
    "aedat2": (read_aedat2, lambda: AEDAT_2 + pairs(2_500_000, ">")),
    "aedat3": (read_aedat3, lambda: AEDAT_3 + b"".join(big_packet(k) for k in range(25))),
}


def big_packet(k: int, n: int = 100_000) -> bytes:
    t = k * n + np.arange(n)
    body = np.stack([t % 34 << 17 | 1, t], 1).astype("<u4").tobytes()
    return packet([], number=n, capacity=n, valid=n) + body


@pytest.mark.parametrize("name", FILES)
def test_memory_is_below_twice_the_events(name, tmp_path):
    read, make = FILES[name]
    path = tmp_path / "large"
    path.write_bytes(make())
    tracemalloc.start()
    e = read(path)
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = sum(getattr(e, c).nbytes for c in "txyp")
    assert held > 30 * MIB
    assert size < 1.01 * held + MIB
    assert peak < 2 * held


def test_every_format_of_large_recordings_is_measured():
    assert set(FORMATS) - set(FILES) == {"40-bit-1d", "aedat4", "hdf5", "npy", "npz"}
