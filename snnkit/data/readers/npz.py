"""numpy files: ``.npz`` with one array per column, ``.npy`` with one structured array.

Pickled objects are never loaded. Headers are read ahead of the data: what they declare is held against the
size of the file, so that a small file cannot ask for much memory.
"""

from __future__ import annotations

import io
import os
import zipfile
from math import prod
from typing import Any, BinaryIO, NoReturn, Unpack

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ...errors import FormatError, LimitError, SnnkitError, quote
from ...files import write_atomically
from ..checks import as_columns, as_sensor
from ..events import Events
from ..limits import LIMITS
from ..policy import Policies, report, sift
from .formats import FORMATS, Format
from .source import Source
from .writing import fitting_events

__all__ = ["read_npy", "read_npz", "write_npz"]

_COLUMNS = ("t", "x", "y", "p")
_FACTS = {"sensor_size": 3, "t_span": 2}
_MEMBERS = 64  # more than a recording has, few enough to look at
_NPY_MAGIC, _ZIP_MAGIC = b"\x93NUMPY", b"PK\x03\x04"


def read_npz(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording from an ``.npz`` file with the arrays t (µs), x, p, and y unless the sensor is 1-D.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: that of the array ``sensor_size``, which :func:`write_npz` stores.
        policies: see :class:`Policies`; an archive that is cut cannot be repaired.

    Raises:
        FormatError: no archive, other arrays, a damaged one, Python objects, no sensor, off the sensor,
            unsorted. LimitError: an array larger than ``LIMITS`` or packed too tightly.
        ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_npz", **policies) as source:
        found = _arrays(source)
        for name, length in _FACTS.items():
            if name in found and (found[name].shape != (length,) or found[name].dtype.kind not in "iu"):
                source.fail(
                    f"{name} must hold {length} integers, got {found[name].dtype}{found[name].shape}."
                )
        columns = {name: found[name] for name in _COLUMNS if name in found}
        span = tuple(found["t_span"].tolist()) if "t_span" in found else None
        given = tuple(found["sensor_size"].tolist()) if "sensor_size" in found else None
        return _events(source, columns, sensor_size, given, span, {})


def read_npy(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording from an ``.npy`` file with a structured array of t (µs), x, p and, unless 1-D, y.

    Args:
        path: the file.
        sensor_size: (W, H, P); the file does not tell it.
        policies: see :class:`Policies`.

    Raises:
        FormatError: no such array, Python objects, truncated, no sensor given, off the sensor, unsorted.
        LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_npy", **policies) as source:
        start, shape, dtype = _declared(source, io.BytesIO(source.read(0, min(source.size, 2**16))))
        if dtype.names is None or len(shape) != 1:
            source.fail(f"expected a structured array [N], got shape {shape} of {dtype}.", 0)
        LIMITS.check("events", shape[0], f"{source.where}: events")
        wanted, left = shape[0] * dtype.itemsize, source.size - start
        count, missing = shape[0], {}
        if wanted != left:
            if source.policies.get("on_truncated", "error") == "error" or wanted < left:
                source.fail(
                    f"{shape[0]} events take {wanted} bytes, but {left} follow the header.",
                    start,
                    'Fetch the file again, or keep its whole records with on_truncated="drop".',
                )
            count = left // dtype.itemsize
            missing["missing_events"] = shape[0] - count
            report(source.where, f"{shape[0] - count} of {shape[0]} events are missing.")
        array = np.frombuffer(source.read(start, count * dtype.itemsize), dtype)
        columns = {name: array[name] for name in dtype.names if name in _COLUMNS}
        return _events(source, columns, sensor_size, None, None, missing)


def write_npz(path: str | os.PathLike[str], events: Events) -> None:
    """Write a recording with its sensor and interval as a compressed ``.npz``, atomically; not ``info``.

    Raises:
        InputTypeError: not Events. OSError: the file cannot be written; an older one is untouched.
    """
    events = fitting_events("write_npz", events, 2**16, "16 bit each")
    arrays: dict[str, Any] = {name: getattr(events, name) for name in _COLUMNS}
    arrays |= {name: np.array(getattr(events, name), np.int64) for name in _FACTS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def _events(
    source: Source,
    columns: dict[str, NDArray],
    given: tuple[int, int, int] | None,
    stored: tuple[int, int, int] | None,
    span: tuple[int, int] | None,
    missing: dict[str, int],
) -> Events:
    """Columns of any integer type as a recording; every objection is one to the file."""
    if not {"t", "x", "p"} <= set(columns):
        source.fail(f"expected t, x, p and, unless 1-D, y; got {quote(sorted(columns))}.", 0)
    if given is None and stored is None:
        source.fail("the file does not tell the size of the sensor.", 0, "Give sensor_size=(W, H, P).")
    given = None if given is None else as_sensor(given)
    y = columns.get("y", np.zeros(columns["t"].shape, np.uint16))

    def fail(index: int, reason: str, hint: str) -> NoReturn:
        source.fail(reason, None, hint)

    try:
        size = given or as_sensor(stored)  # type: ignore[arg-type]
        found, dropped = sift(
            as_columns(columns["t"], columns["x"], y, columns["p"]),
            size,
            on_out_of_range=source.policies.get("on_out_of_range", "error"),
            on_unsorted=source.policies.get("on_unsorted", "error"),
            where=source.where,
            fail=fail,
        )
        return Events(*found, size, span, {"dropped": missing | dropped})
    except (FormatError, LimitError):
        raise
    except SnnkitError as error:
        source.fail(str(error), cause=error)


def _arrays(source: Source) -> dict[str, NDArray]:
    """Arrays of the archive, after a look at its directory."""
    _check_directory(source)
    try:
        with zipfile.ZipFile(source.file) as archive:
            members = archive.infolist()
            _check_members(source, members)
            return {m.filename.removesuffix(".npy"): _array(source, archive, m) for m in members}
    except SnnkitError:
        raise
    except Exception as error:  # of zipfile and zlib: more kinds than they document
        source.fail(f"the archive is damaged: {quote(str(error))}.", cause=error)


def _check_directory(source: Source) -> None:
    """Raise unless the directory of the archive is as short as a recording's; zipfile reads all of it."""
    tail = source.read(max(0, source.size - 2**16 - 22), min(source.size, 2**16 + 22))
    at = tail.rfind(b"PK\x05\x06")
    if source.read(0, min(4, source.size)) != _ZIP_MAGIC or not 0 <= at <= len(tail) - 22:
        source.fail("expected a zip archive, which begins with PK and ends with a directory.", 0)
    count, length = int.from_bytes(tail[at + 10 : at + 12], "little"), tail[at + 12 : at + 16]
    if count > _MEMBERS or int.from_bytes(length, "little") > LIMITS.header_bytes:
        source.fail(f"expected at most {_MEMBERS} arrays, the archive has {count} members.", 0)
    if tail[: max(at, 0)].endswith(b"PK\x06\x07", 0, max(at - 16, 0)):
        source.fail("archives of more than 4 GiB (zip64) are not read.", 0, "Use a format that is.")


def _check_members(source: Source, members: list[zipfile.ZipInfo]) -> None:
    """Raise for anything but plainly packed arrays of known names."""
    names = [m.filename for m in members]
    unknown = sorted(set(names) - {f"{name}.npy" for name in (*_COLUMNS, *_FACTS)})
    if unknown:
        source.fail(
            f"unknown members {quote(unknown)}; expected arrays {', '.join((*_COLUMNS, *_FACTS))}.", 0
        )
    if len(set(names)) < len(names):
        source.fail("two members have the same name.", 0)
    for m in members:
        if m.flag_bits & 1 or m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            source.fail(f"{quote(m.filename)} is encrypted or packed in another way than numpy does.", 0)
    source.check_unpacked(sum(m.file_size for m in members))


def _array(source: Source, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray:
    with archive.open(member) as stream:
        start, shape, dtype = _declared(source, stream)  # type: ignore[arg-type]
        wanted = prod(shape) * dtype.itemsize
        if dtype.names or len(shape) != 1 or wanted != member.file_size - start:
            source.fail(
                f"{member.filename} declares {wanted} bytes as {shape} of {quote(str(dtype))}, expected one "
                f"array [N] that fills its {member.file_size - start} bytes.",
            )
        LIMITS.check("events", shape[0], f"{source.where}: length of {member.filename}")
        data = stream.read(wanted + 1)  # one more: the end of a member is where its checksum is compared
        if len(data) != wanted:
            source.fail(f"{member.filename} unpacks to {len(data)} bytes, expected {wanted}.")
        return np.frombuffer(data, dtype)


def _declared(source: Source, stream: BinaryIO) -> tuple[int, tuple[int, ...], np.dtype]:
    """Length of the header of an ``.npy`` stream, shape and dtype; nothing is allocated."""
    try:
        version = npy.read_magic(stream)
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
        shape, _, dtype = read(stream)
    except Exception as error:  # numpy evaluates a literal: every kind of error is possible
        source.fail(f"no header of an .npy file: {quote(str(error))}.", 0, cause=error)
    if dtype.hasobject:
        source.fail("it holds pickled Python objects, which are never loaded.", 0, "Save integer arrays.")
    if min(shape, default=0) < 0 or not dtype.itemsize:
        source.fail(f"it declares the shape {quote(shape)} of {dtype.itemsize} bytes each.", 0)
    return stream.tell(), shape, dtype


FORMATS.register("npz")(Format("numpy .npz", read_npz, lambda head: head.startswith(_ZIP_MAGIC)))
FORMATS.register("npy")(Format("numpy .npy", read_npy, lambda head: head.startswith(_NPY_MAGIC)))
