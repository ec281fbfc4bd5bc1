"""A look at the global heaps of an HDF5 file ahead of the HDF5 library, which trusts them.

Columns of variable length keep their values in global heaps: ``GCOL``, version 1, three reserved bytes, u64
size of the heap, then objects: a header of 16 bytes (u16 index, u16 references, u32 reserved, u64 size) and
the values, padded to a multiple of 8. Index 0 is free space, whose size includes its header. The column
itself holds for each recording u32 length, u64 place of the heap, u32 index.

The library walks from object to object by their sizes; what looks like a free one of size 0 keeps it where it
is (h5py 3.16 was seen to hang on one changed byte). It allocates what a length asks for, whatever is stored.

Source: HDF5 File Format Specification 3.0, section III.E.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any

from .source import Source

__all__ = ["check_heaps", "declared_length"]

_MARK = b"GCOL\x01"
_HEAD, _OBJECT = struct.Struct("<4sB3xQ"), struct.Struct("<HHIQ")
_REFERENCE = struct.Struct("<IQI")
_PIECE = 2**24


def check_heaps(source: Source) -> None:
    """Walk through every global heap.

    Raises:
        FormatError: a heap whose objects do not fill it, one after the other.
    """
    for at in _marks(source):
        if at + _HEAD.size > source.size:
            continue
        size = _HEAD.unpack(source.read(at, _HEAD.size))[2]
        if _HEAD.size <= size <= source.size - at:  # else no heap: the library will not take it for one
            _walk(source, at, source.read(at, size))


def declared_length(path: str | os.PathLike[str], column: Any, index: int) -> int | None:
    """How many values entry ``index`` of a column says it has; None if that is packed or not stored."""
    if column.chunks is None:
        offset = column.id.get_offset()
    elif column.id.get_create_plist().get_nfilters():
        return None
    else:
        first = index // column.chunks[0] * column.chunks[0]
        offset, index = column.id.get_chunk_info_by_coord((first,)).byte_offset, index - first
    if offset is None:
        return None
    with Source(path, "SpikeFile") as source:
        at = offset + _REFERENCE.size * index
        if at + _REFERENCE.size > source.size:
            source.fail(f"recording {index} lies behind the end of the file.", at)
        return int(_REFERENCE.unpack(source.read(at, _REFERENCE.size))[0])


def _marks(source: Source) -> Iterator[int]:
    """Where in the file a heap may begin."""
    for start in range(0, source.size, _PIECE):
        piece = source.read(start, min(_PIECE + len(_MARK) - 1, source.size - start))
        at = piece.find(_MARK)
        while at >= 0:
            yield start + at
            at = piece.find(_MARK, at + 1)


def _walk(source: Source, offset: int, heap: bytes) -> None:
    at = _HEAD.size
    while at + _OBJECT.size <= len(heap):
        index, _, _, size = _OBJECT.unpack_from(heap, at)
        step = size if index == 0 else _OBJECT.size + (size + 7) // 8 * 8
        if step < _OBJECT.size or step > len(heap) - at:
            reason = f"an object of the heap at byte {offset} has {size} bytes, {len(heap) - at} are left."
            source.fail(reason, offset + at, "Fetch the file again.")
        at += step
