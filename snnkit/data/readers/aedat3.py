"""AEDAT 3.1, written by cAER: the original DVS128 Gesture recordings.

Lines that begin with ``#``, from ``#!AER-DAT3.1`` to ``#!END-HEADER``, then packets. All numbers are
little-endian. A packet has a header of 28 bytes::

    u16 type (1: polarity events)   u16 source       u32 size of an event   u32 offset of its time
    u32 overflow of the time        u32 capacity     u32 number of events   u32 number of valid events

and then the events. A polarity event is two words: bit 0 valid, bit 1 polarity, bits 2..16 y, bits 17..31 x;
and t in µs, to which overflow * 2**31 is added. Events that are not valid, and packets of other types, are
skipped and counted.

Source: the AEDAT 3.1 specification of iniVation.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, Unpack

import numpy as np

from ..events import Events
from ..limits import LIMITS
from ..policy import Policies
from .formats import FORMATS, Format
from .recording import Block, assemble
from .source import Source

__all__ = ["read_aedat3"]

_MAGIC, _END = b"#!AER-DAT3.1", b"#!END-HEADER\r\n"
_PACKET = struct.Struct("<HHIIIIII")
_POLARITY = 1
_BLOCK = 2**16  # events


class _Packet(NamedTuple):
    type: int
    source: int
    size: int
    time_offset: int
    overflow: int
    capacity: int
    number: int
    valid: int


def read_aedat3(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] = (128, 128, 2),
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of the AEDAT 3.1 format.

    Args:
        path: the file.
        sensor_size: (W, H, P).
        policies: see :class:`Policies`.

    Returns:
        Events; ``info["dropped"]`` counts ``invalid`` events and ``other_packets``.

    Raises:
        FormatError: no or another version, no end of the header, an impossible packet, truncated, off the
            sensor, unsorted. LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_aedat3", **policies) as source:
        head = source.read(0, min(source.size, LIMITS.header_bytes))
        if not head.startswith(_MAGIC):
            source.fail(
                f"expected a file that begins with {_MAGIC!r}, got {head[: len(_MAGIC)]!r}.",
                0,
                "open_events(path) tells the format of a file.",
            )
        end = head.find(_END)
        if end < 0:
            source.fail(f"the header has no end within {len(head)} bytes, expected {_END!r}.", 0)
        return assemble(source, partial(_decode, source, end + len(_END)), sensor_size)


def _decode(source: Source, at: int, dropped: Counter[str]) -> Iterator[Block]:
    while at < source.size:
        rest = source.size - at
        if rest < _PACKET.size:
            reason = f"the last packet header has {rest} of {_PACKET.size} bytes."
            source.truncated(reason, at, dropped)
            return
        packet = _Packet(*_PACKET.unpack(source.read(at, _PACKET.size)))
        size, number = packet.size, packet.number
        _check(source, at, packet)
        body, rest = at + _PACKET.size, rest - _PACKET.size
        whole = number
        if number * size > rest:
            source.truncated(
                f"the packet tells {number} events of {size} bytes, but {rest} bytes are left.", at, dropped
            )
            whole = rest // size
            dropped["trailing_bytes"] -= _PACKET.size + whole * size
        if packet.type == _POLARITY:
            for first in range(0, whole, _BLOCK):
                yield _events(source, body + 8 * first, min(_BLOCK, whole - first), packet, dropped)
        else:
            dropped["other_packets"] += 1
        if whole < number:
            return
        at = body + number * size


def _check(source: Source, at: int, packet: _Packet) -> None:
    """Raise FormatError for a packet header that contradicts itself."""
    if not packet.valid <= packet.number <= packet.capacity:
        found = f"{packet.valid}, {packet.number}, {packet.capacity}"
        source.fail(f"expected valid <= number <= capacity of a packet, got {found}.", at)
    if packet.type == _POLARITY and (packet.size, packet.time_offset) != (8, 4):
        found = f"{packet.size} and {packet.time_offset}"
        source.fail(f"expected polarity events of 8 bytes with the time at 4, got {found}.", at)
    if packet.size == 0 and packet.number:
        source.fail(f"the packet tells {packet.number} events of 0 bytes.", at)


def _events(source: Source, offset: int, n: int, packet: _Packet, dropped: Counter[str]) -> Block:
    records = np.frombuffer(source.read(offset, 8 * n), "<u4").reshape(n, 2)
    valid = np.flatnonzero(records[:, 0] & 1)
    dropped["invalid"] += n - valid.size
    word, t = records[valid, 0], records[valid, 1].astype(np.int32).astype(np.int64)
    t += packet.overflow << 31
    x, y = (word >> 17).astype(np.uint16), (word >> 2 & 0x7FFF).astype(np.uint16)
    return (t, x, y, (word >> 1).astype(np.uint8) & 1), offset + 8 * valid


FORMATS.register("aedat3")(Format("AEDAT 3.1", read_aedat3, lambda head: head.startswith(_MAGIC)))
