"""Damaged and hostile files: mutations of good ones, and what a format can be made to say."""

from __future__ import annotations

import gzip
import io
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from reader_samples import AEDAT_2, AEDAT_3, FILES, HEADER_2, HEADER_3, SETTINGS, packet, polarity, sample

from snnkit.data import FORMATS, DroppedEventsWarning, Events, read_idx, read_wav

DROP = {"on_truncated": "drop", "on_out_of_range": "drop", "on_unsorted": "sort"}
CORNERS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x01\0\0\0", b"%\n#\n")


def idx(array: np.ndarray) -> bytes:
    kind = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    sides = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, kind, array.ndim]) + sides + array.astype(array.dtype.newbyteorder(">")).tobytes()


def wav(
    samples: bytes, rate: int = 8000, channels: int = 1, bits: int = 16, encoding: int = 1, **sizes: int
) -> bytes:
    block = channels * bits // 8
    form = struct.pack("<HHIIHH", encoding, channels, rate, rate * block, block, bits)
    body = b"WAVEfmt " + struct.pack("<I", sizes.get("fmt", len(form))) + form
    body += b"data" + struct.pack("<I", sizes.get("data", len(samples))) + samples
    return b"RIFF" + struct.pack("<I", sizes.get("riff", len(body))) + body


def good_file(name: str, n: int = 40) -> bytes:
    if name == "idx":
        return idx(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
    if name == "idx.gz":
        return gzip.compress(good_file("idx"), mtime=0)
    if name == "wav":
        return wav(np.arange(-40, 40, dtype="<i2").tobytes())
    return sample(name, n)[0]


NAMES = (*FORMATS, "idx", "idx.gz", "wav")


def read(name: str, path: Path, **policies: Any) -> None:
    """Read a file as ``name`` and hold what is returned against what is promised."""
    if name == "wav":
        policies = {k: v for k, v in policies.items() if k == "on_truncated"}
    call = {"wav": read_wav, "idx": read_idx, "idx.gz": read_idx}.get(name) or FORMATS.get(name).read
    settings = {} if name.startswith("idx") else SETTINGS.get(name, {}) | policies
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DroppedEventsWarning)
        found = call(path, **settings)
    if name == "wav":
        assert found.samples.dtype == np.int16
        assert found.samples.size > 0 < found.rate
    elif name.startswith("idx"):
        assert isinstance(found, np.ndarray)
    else:
        assert isinstance(found, Events)
        found.validate()
        assert all(n > 0 for n in found.info["dropped"].values())


def mutate(content: bytes, rng: random.Random, other: bytes) -> bytes:
    """One to four changes: bits, numbers, pieces cut out, repeated or taken from another file."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.6 else rng.randrange(min(len(data), 120) + 1)
        match rng.randrange(7):
            case 0 | 1:
                if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
            case 2:
                if at < len(data):
                    data[at] = rng.randrange(256)
            case 3:
                data[at : at + 4] = rng.choice(CORNERS)
            case 4:
                del data[at : at + rng.randint(1, 16)]
            case 5:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case 6:
                start = rng.randrange(len(other))
                data[at:at] = other[start : start + rng.randint(1, 40)]
    return bytes(data)


def damaged(name: str) -> Iterator[tuple[str, bytes]]:
    """What can happen to a file of any format."""
    good = good_file(name)
    yield "empty", b""
    for count in (1, 2, 3, 4, 7, 11, 13, 29, 64):
        yield f"first {count} bytes", good[:count]
    for part in (0.3, 0.5, 0.9):
        yield f"first {part:.0%}", good[: int(len(good) * part)]
    yield "last byte missing", good[:-1]
    for value in (0, 37, 35, 255):
        yield f"bytes {value}", bytes([value]) * 4096
        yield f"begins well, then {value}", good[:64] + bytes([value]) * 4096
        yield f"ends with {value}", good + bytes([value]) * 4097
    yield "twice", good + good
    yield "reversed", good[::-1]
    yield "without beginning", good[9:]
    for seed in range(6):
        noise = np.random.default_rng(seed).integers(0, 256, 5000).astype(np.uint8).tobytes()
        yield f"noise {seed}", noise
        yield f"begins well, then noise {seed}", good[:80] + noise
    for other in ("dat", "hdf5", "npz", "wav"):
        if other != name:
            yield f"is {other}", good_file(other)


def crafted(name: str) -> Iterator[tuple[str, bytes]]:
    """What a format can be made to say."""
    huge = 2**32 - 1
    if name == "aedat3":
        event = [polarity(1, 2, 3, 1)]
        for field in ("number", "valid", "capacity", "size", "time", "overflow"):
            for value in (0, 1, 2**31, huge):
                yield f"{field} = {value}", AEDAT_3 + packet(event, **{field: value})
        yield "claims 32 GiB", AEDAT_3 + packet([], number=huge, capacity=huge, valid=huge)
        yield "claims 2**64 bytes", AEDAT_3 + packet([], number=huge, capacity=huge, size=huge)
        yield "many empty packets", AEDAT_3 + packet([]) * 20_000
        yield "time goes back", AEDAT_3 + packet([polarity(-5, 1, 1, 1)]) + packet([polarity(-9, 1, 1, 1)])
    elif name == "aedat2":
        yield "only #", b"#"
        yield "no version", b"#!AER-DAT\r\n"
        yield "other version", b"#!AER-DAT9.9\r\n"
        yield "long line", AEDAT_2 + b"#" + b"a" * 2**21
        yield "addresses beyond", AEDAT_2 + struct.pack(">II", 0x7FFF0000, 5) * 9
        yield "davis without size", b"#!AER-DAT2.0\r\n# AEChip: davis\r\n" + struct.pack(">II", 0, 5)
    elif name in ("evt2", "evt3", "dat"):
        version = {"evt2": b"% evt 2.0\n", "evt3": b"% evt 3.0\n", "dat": b"% Data\n"}[name]
        for size in (b"0x0", b"99999x2", b"999999999x999999999", b"-3x4", b"4x", b"1e3x4", b"\xd9\xa3x4"):
            yield f"geometry {size!r}", version + b"% geometry " + size + b"\n\x00\x08"
        yield "header that does not end", version + b"%" + b"a" * 2**21
        yield "very many lines", b"%\n" * 2**19 + version
        yield "wrong end", version + b"% end\n% end\n"
    if name == "evt2":
        yield (
            "vast times",
            HEADER_2 + struct.pack("<8I", *(0x8FFFFFFF, 0x10000000, 0x80000000, 0x10000000) * 2),
        )
    elif name == "evt3":
        yield (
            "endless vectors",
            HEADER_3 + struct.pack("<4H", 0x8000, 0x6000, 0, 0x3000) + b"\xff\x4f" * 20_000,
        )
        yield "clock runs", HEADER_3 + b"\xff\x8f\x00\x80" * 20_000 + b"\0\0\x01\x20"
    elif name in ("npy", "npz"):
        yield from _numpy_files(name)
    elif name == "hdf5":
        yield from _hdf5_files()
    elif name.startswith("idx"):
        pack = gzip.compress if name == "idx.gz" else bytes
        for sides in ((huge,), (huge, huge), (2**31, 2**31, 2**31), (0, huge), (3, 4, 6), (3, 4, 4)):
            yield (
                f"claims {sides}",
                pack(bytes([0, 0, 14, len(sides)]) + struct.pack(f">{len(sides)}I", *sides) + bytes(60)),
            )
        for head in (b"\0\0\7\1", b"\0\1\10\1", b"\0\0\10\0", b"\0\0\10\377"):
            yield f"begins with {head!r}", pack(head + bytes(2000))
        if name == "idx.gz":
            n = 2**26 + 2**10
            zeros = bytes([0, 0, 8, 1]) + struct.pack(">I", n) + bytes(n)
            yield "bomb", gzip.compress(zeros, 9)
            good = bytearray(good_file(name))
            good[-6] ^= 1
            yield "wrong checksum", bytes(good)
    elif name == "wav":
        two = b"\1\0\2\0"
        for field in ("riff", "fmt", "data"):
            for value in (0, 1, 2**31, huge):
                yield f"{field} = {value}", wav(two, **{field: value})
        for settings in (
            {"channels": 2},
            {"channels": 0},
            {"bits": 24},
            {"bits": 8},
            {"rate": 0},
            {"encoding": 3},
            {"encoding": 85},
        ):
            yield f"{settings}", wav(two * 6, **settings)
        yield "no samples", wav(b"")
        yield "odd bytes", wav(b"\1\0\2")


def _npy(descr: str, shape: str, data: bytes = b"", version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode("latin1")
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + len(text).to_bytes(2 if version == 1 else 4, "little")
        + text
        + data
    )


def _numpy_files(name: str) -> Iterator[tuple[str, bytes]]:
    fields = "[('t', '<i8'), ('x', '<i2'), ('y', '<i2'), ('p', 'u1')]"
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}, None], object), allow_pickle=True)
    arrays = {
        "8 TB": _npy(fields, f"({2**40},)"),
        "8 TB of 4 columns": _npy("'<i8'", f"({2**38}, 4)"),
        "negative": _npy(fields, "(-1,)"),
        "overflowing": _npy(fields, f"({2**63}, {2**63})"),
        "objects": _npy("'|O'", "(3,)", b"abc"),
        "pickle": pickled.getvalue(),
        "object field": _npy("[('t', '|O'), ('x', '<i2'), ('p', 'u1')]", "(1,)", bytes(16)),
        "float times": _npy("[('t', '<f8'), ('x', '<i2'), ('y', '<i2'), ('p', 'u1')]", "(1,)", bytes(13)),
        "nothing": _npy("[('t', '|V0'), ('x', '|V0'), ('p', '|V0')]", "(5,)"),
        "two axes": _npy(fields, "(1, 1)", bytes(13)),
        "nested field": _npy("[('t', '<i8', (3,)), ('x', '<i2'), ('p', 'u1')]", "(1,)", bytes(27)),
        "no such dtype": _npy("'<q99'", "(1,)"),
        "code": _npy("__import__('os').getcwd()", "(1,)"),
        "deep": _npy("(" * 3000 + ")" * 3000, "(1,)"),
        "version 9": _npy(fields, "(1,)", bytes(13), 9),
        "columns missing": _npy("[('a', '<i8')]", "(1,)", bytes(8)),
        "header length": b"\x93NUMPY\x01\x00\xff\xff{",
    }
    if name == "npy":
        yield from arrays.items()
        return
    good = _npy("'<i8'", "(1,)", bytes(8))
    for what, content in arrays.items():
        yield f"t is {what}", _zip({"t.npy": content, "x.npy": good, "p.npy": good})
    for member in ("../t.npy", "/t.npy", "evil.npy", "t.npy/", "T.NPY", "a" * 60_000):
        yield f"member {member[:20]}", _zip({"t.npy": good, "x.npy": good, "p.npy": good, member: good})
    yield "bomb", _zip({"t.npy": _npy("'<i8'", f"({2**24},)", bytes(2**27))}, zipfile.ZIP_DEFLATED)
    yield "many members", _zip({f"{i}": b"" for i in range(3000)})
    yield "lengths differ", _zip({"t.npy": good, "x.npy": _npy("'<i8'", "(2,)", bytes(16)), "p.npy": good})
    wrong = _npy("'<i8'", "(2,)", struct.pack("<2q", 4, 4))
    for what in ("sensor_size", "t_span"):
        yield f"short {what}", _zip({"t.npy": good, "x.npy": good, "p.npy": good, f"{what}.npy": wrong})
    sensor = _npy("'<i8'", "(3,)", struct.pack("<3q", 2**62, -1, 0))
    yield "sensor", _zip({"t.npy": good, "x.npy": good, "p.npy": good, "sensor_size.npy": sensor})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for _ in range(2):
                archive.writestr("t.npy", good)
    yield "same name twice", buffer.getvalue()


def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return buffer.getvalue()


def _hdf5_files() -> Iterator[tuple[str, bytes]]:
    def make(change: Callable[[h5py.File], None]) -> bytes:
        buffer = io.BytesIO(FILES["hdf5"](sample("hdf5", 5)[1]))
        with h5py.File(buffer, "r+") as file:
            change(file)
        return buffer.getvalue()

    def replaced(path: str, **arguments: Any) -> bytes:
        def change(file: h5py.File) -> None:
            del file[path]
            file.create_dataset(path, **arguments)

        return make(change)

    def linked(path: str, link: Any) -> bytes:
        def change(file: h5py.File) -> None:
            del file[path]
            file[path] = link

        return make(change)

    for path in ("labels", "spikes/times", "spikes/units", "spikes"):
        yield f"{path} soft link", linked(path, h5py.SoftLink("/extra/speaker"))
        yield f"{path} link to itself", linked(path, h5py.SoftLink(f"/{path}"))
        yield f"{path} external link", linked(path, h5py.ExternalLink("other.h5", "/labels"))
        yield f"{path} is missing", make(lambda file, path=path: file.__delitem__(path))
        yield (
            f"{path} is a group",
            make(lambda file, path=path: (file.__delitem__(path), file.create_group(path))),
        )
    for path in ("labels", "spikes/times", "spikes/units"):
        yield f"{path} claims 8 TB", replaced(path, shape=(2**40,), dtype="f8", chunks=(2**10,))
        yield f"{path} of 10**9", replaced(path, shape=(10**9,), dtype="u2", chunks=(2**10,))
        yield f"{path} 2-D", replaced(path, data=np.zeros((3, 3), np.uint16))
        yield f"{path} scalar", replaced(path, data=5)
        yield f"{path} text", replaced(path, data=np.array([b"a", b"b", b"c"]))
        yield f"{path} objects", replaced(path, data=["a", "b", "c"], dtype=h5py.string_dtype())
        yield f"{path} compound", replaced(path, data=np.zeros(3, [("a", "i4"), ("b", "f8")]))
    layout = h5py.VirtualLayout((3,), "u2")
    layout[:] = h5py.VirtualSource("other.h5", "labels", (3,))

    def virtual(file: h5py.File) -> None:
        del file["labels"]
        file.create_virtual_dataset("labels", layout)

    yield "labels virtual", make(virtual)
    for value in (np.nan, np.inf, -np.inf, 1e300):

        def times(file: h5py.File, value: float = value) -> None:
            del file["spikes/times"]
            t = file.create_dataset("spikes/times", (3,), h5py.vlen_dtype(np.float64))
            t[1] = np.full(file["spikes/units"][1].size, value)

        yield f"time {value}", make(times)
