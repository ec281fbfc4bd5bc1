"""idx: arrays of the MNIST family (MNIST, Fashion-MNIST, EMNIST), plain or packed by gzip.

Two zero bytes, one byte for the type of the numbers, one for the number of axes, the length of each axis as
a big-endian word of 32 bit, and the numbers, big-endian.

Source: LeCun, Cortes, Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import os
import zlib
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import quote
from .source import Source

__all__ = ["read_idx"]

_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_AXES = 8


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read an idx file, plain or ``.gz``.

    Args:
        path: the file.

    Returns:
        The array in the machine's byte order, writeable.

    Raises:
        FormatError: no idx file, truncated, longer than its header tells, damaged.
        LimitError: too large, or packed too tightly. InputTypeError: not a path.
    """
    with Source(path, "read_idx") as source:
        packed = source.read(0, min(2, source.size)) == b"\x1f\x8b"
        try:
            source.file.seek(0)
            stream = gzip.GzipFile(fileobj=source.file) if packed else source.file
            head = _exactly(source, stream, 4, 0)
            zero, kind, axes = int.from_bytes(head[:2], "big"), head[2], head[3]
            if zero or kind not in _TYPES or not 1 <= axes <= _AXES:
                source.fail(f"expected an idx file, which begins with 0, 0, type, axes; got {head!r}.", 0)
            sides = np.frombuffer(_exactly(source, stream, 4 * axes, 4), ">u4").tolist()
            dtype, start = np.dtype(_TYPES[kind]), 4 + 4 * axes
            size = prod(sides) * dtype.itemsize
            if packed:
                source.check_unpacked(size)
            elif size != source.size - start:
                source.fail(
                    f"the header tells {sides} numbers of {dtype.itemsize} bytes, together {size} bytes; "
                    f"{source.size - start} follow it.",
                    start,
                )
            data = _exactly(source, stream, size, start)
            if stream.read(1):
                source.fail(f"more than the {size} bytes follow that the header tells.", start + size)
        except (EOFError, OSError, zlib.error) as error:
            source.fail(f"cannot be unpacked: {quote(str(error))}.", cause=error)
        return np.frombuffer(data, dtype).reshape(sides).astype(dtype.newbyteorder("="))


def _exactly(source: Source, stream: Any, count: int, offset: int) -> bytes:
    """``count`` bytes; memory grows with what the file holds, not with what it declares."""
    parts, missing = [], count
    while missing and (part := stream.read(min(missing, 2**24))):
        parts.append(part)
        missing -= len(part)
    if missing:
        source.fail(f"expected {count} bytes, the file ends after {count - missing}.", offset)
    return b"".join(parts)
