"""What the tests of all readers share: files of every format, and decoders that go word by word.

``FILES[name](events)`` gives the bytes of a file in the format; ``SETTINGS[name]`` what its reader has to be
told. A format that is registered and has no file here fails the contract.
"""

from __future__ import annotations

import io
import os
import struct
import tempfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from snnkit.data import Events, write_dat, write_evt2, write_nmnist, write_nmnist_1d, write_npz

Word = tuple[int, int, int, int]  # t, x, y, p

SIZE = (34, 30, 2)
HEADER_3 = b"% evt 3.0\n% geometry 34x30\n% end\n"
HEADER_2 = b"% evt 2.0\n% geometry 34x30\n% end\n"
AEDAT_2 = b"#!AER-DAT2.0\r\n# made by a test\r\n"
AEDAT_3 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"


def some_events(n: int = 40, seed: int = 0, size: tuple[int, int, int] = SIZE, last: int = 60_000) -> Events:
    """Random events in order of time; a few share their time."""
    rng = np.random.default_rng(seed)
    x, y, p = (rng.integers(0, high, n) for high in size)
    t = np.sort(rng.integers(0, last, n))
    t[1::7] = t[::7][: len(t[1::7])]
    return Events(np.sort(t), x, y, p, size)


def rows(events: Events) -> list[Word]:
    return [tuple(map(int, row)) for row in zip(events.t, events.x, events.y, events.p, strict=True)]


def written(write: Callable[..., None], events: Events) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/file", events)
        with open(f"{folder}/file", "rb") as file:
            return file.read()


def forty_bit(events: Events) -> bytes:
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, p in rows(events))


def forty_bit_1d(events: Events) -> bytes:
    return b"".join(
        bytes([x >> 8, x & 255, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, _, p in rows(events)
    )


def evt3(events: Events) -> bytes:
    """Single events and, where columns of a row follow each other at one time, vectors."""
    words: list[int] = []
    state: dict[str, int] = {}

    def put(name: str, kind: int, value: int) -> None:
        if state.get(name) != value:
            words.append(kind << 12 | value)
            state[name] = value

    for i, (t, x, y, p) in enumerate(rows(events)):
        if state.get("high") != t >> 12:
            put("high", 8, t >> 12)
            state.pop("low", None)
        put("low", 6, t & 4095)
        put("row", 0, y)
        if i % 3:
            words.append(2 << 12 | p << 11 | x)
        elif i % 2:
            words.extend((3 << 12 | p << 11 | max(x - 5, 0), 4 << 12 | 1 << (x - max(x - 5, 0))))
        else:
            words.extend((3 << 12 | p << 11 | max(x - 12, 0), 4 << 12))
            rest = x - max(x - 12, 0)
            words[-1] |= 1 << rest if rest < 12 else 0
            words.append(5 << 12 | (1 if rest == 12 else 0))
    return HEADER_3 + struct.pack(f"<{len(words)}H", *words)


def aedat2(events: Events) -> bytes:
    pairs = [(127 - y << 8 | 127 - x << 1 | 1 - p, t) for t, x, y, p in rows(events)]
    return AEDAT_2 + b"".join(struct.pack(">II", *pair) for pair in pairs)


def packet(events: list[tuple[int, int]], kind: int = 1, overflow: int = 0, **changes: int) -> bytes:
    n = len(events)
    fields = {"type": kind, "source": 1, "size": 8, "time": 4, "overflow": overflow, "capacity": n}
    fields |= {"number": n, "valid": sum(word & 1 for word, _ in events)} | changes
    return struct.pack("<HHIIIIII", *fields.values()) + b"".join(struct.pack("<Ii", *e) for e in events)


def polarity(t: int, x: int, y: int, p: int, valid: int = 1) -> tuple[int, int]:
    return x << 17 | y << 2 | p << 1 | valid, t


def aedat3(events: Events) -> bytes:
    words = [polarity(*row) for row in rows(events)]
    return AEDAT_3 + packet(words[:15]) + packet([(0, 0)], kind=3) + packet(words[15:])


def aedat4(events: Events) -> bytes:
    """The published sample, whatever the events: only its decoder can write this format."""
    with open(f"{os.environ['SNNKIT_DATA']}/format_samples/sample.aedat4", "rb") as file:
        return file.read()


def npy(events: Events) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, events.to_structured())
    return buffer.getvalue()


def hdf5(events: Events, times: Any = np.float32) -> bytes:
    """Recording 1 of three, the times in seconds."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        t, units = (
            file.create_dataset(f"spikes/{n}", (3,), h5py.vlen_dtype(d))
            for n, d in (("times", times), ("units", np.uint16))
        )
        for i in range(3):
            part = slice(None) if i == 1 else slice(i, i + 3)
            t[i] = (events.t[part] / 1e6).astype(times)
            units[i] = events.x[part]
        file["labels"] = np.array([4, 0, 19], np.uint16)
        file["extra/speaker"] = np.array([1, 2, 3], np.uint16)
    return buffer.getvalue()


FILES: dict[str, Callable[[Events], bytes]] = {
    "40-bit": forty_bit,
    "40-bit-1d": forty_bit_1d,
    "aedat2": aedat2,
    "aedat3": aedat3,
    "aedat4": aedat4,
    "dat": lambda events: written(write_dat, events),
    "evt2": lambda events: written(write_evt2, events),
    "evt3": evt3,
    "hdf5": hdf5,
    "npy": npy,
    "npz": lambda events: written(write_npz, events),
}
SETTINGS: dict[str, dict[str, Any]] = {name: {} for name in FILES}
SETTINGS |= {name: {"sensor_size": SIZE} for name in ("40-bit", "aedat2", "aedat3", "npy")}
SETTINGS["hdf5"] = {"index": 1}
SENSORS = {"40-bit-1d": (64, 1, 2), "hdf5": (700, 1, 1), "aedat4": (320, 240, 2)}
WRITERS = {
    "40-bit": write_nmnist,
    "40-bit-1d": write_nmnist_1d,
    "dat": write_dat,
    "evt2": write_evt2,
    "npz": write_npz,
}


def sample(name: str, n: int = 40, seed: int = 0) -> tuple[bytes, Events]:
    """A file of the format, and what it holds."""
    events = some_events(n, seed, SENSORS.get(name, SIZE))
    return FILES[name](events), events


def needs(name: str) -> None:
    """Skip the test where a format cannot be read or has no file."""
    if name == "aedat4":
        pytest.importorskip("aedat", reason="aedat is not installed: AEDAT 4 is not read")
        if "SNNKIT_DATA" not in os.environ:
            pytest.skip("SNNKIT_DATA is not set: no recording of AEDAT 4")


def evt2_word_by_word(body: bytes) -> tuple[list[Word], dict[str, int]]:
    """The oracle of EVT 2.0: one word after the other, as its specification reads."""
    events: list[Word] = []
    high, loops, early = None, 0, 0
    for (word,) in struct.iter_unpack("<I", body):
        kind = word >> 28
        if kind == 8:
            value = word & 0xFFFFFFF
            loops += high is not None and value - high < -(2**27)
            high = value
        elif kind in (0, 1):
            if high is None:
                early += 1
            else:
                t = (loops << 28 | high) << 6 | word >> 22 & 63
                events.append((t, word >> 11 & 2047, word & 2047, kind))
    return events, {"before_time": early} if early else {}


def evt3_word_by_word(body: bytes) -> tuple[list[Word], dict[str, int]]:
    """The oracle of EVT 3.0: one word after the other, as its specification reads."""
    events: list[Word] = []
    high = low = y = base = p = None
    loops = early = 0

    def put(x: int | None, p: int | None) -> None:
        nonlocal early
        if high is None or y is None or x is None:
            early += 1
        else:
            events.append(((loops << 12 | high) << 12 | (low or 0), min(x, 65535), y, p or 0))

    for (word,) in struct.iter_unpack("<H", body):
        kind, value = word >> 12, word & 4095
        if kind == 0:
            y = word & 2047
        elif kind == 2:
            put(word & 2047, word >> 11 & 1)
        elif kind == 3:
            base, p = word & 2047, word >> 11 & 1
        elif kind in (4, 5):
            width = 12 if kind == 4 else 8
            for i in range(width):
                if word >> i & 1:
                    put(None if base is None else base + i, p)
            base = None if base is None else base + width
        elif kind == 6:
            low = value
        elif kind == 8:
            loops += high is not None and value - high < -2048
            if value != high:
                low = 0
            high = value
    return events, {"before_time": early} if early else {}
