"""AEDAT 4, written by iniVation's DV: packets compressed by LZ4 or Zstd. Decoded by the package ``aedat``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Unpack

from ...errors import MissingDependencyError
from ..events import Events
from ..policy import Policies
from .formats import FORMATS, Format
from .recording import Block, assemble
from .source import Source

__all__ = ["read_aedat4"]

_MAGIC = b"#!AER-DAT4.0\r\n"


def read_aedat4(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    *,
    stream: int | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read the events of a recording of the AEDAT 4 format.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: that of the stream.
        stream: number of the event stream; None: the only one, or the first.
        policies: see :class:`Policies`. A file that ends inside of a packet is an error under all of them:
            the decoder does not tell where it ends.

    Raises:
        MissingDependencyError: the package ``aedat`` is not installed.
        FormatError: another version, no such stream, malformed, off the sensor, unsorted.
        LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    with Source(path, "read_aedat4", **policies) as source:
        head = source.read(0, min(source.size, len(_MAGIC)))
        if head != _MAGIC:
            source.fail(f"expected a file that begins with {_MAGIC!r}, got {head!r}.", 0)
        streams = _decoder(source).id_to_stream()
        events = [number for number, facts in streams.items() if facts["type"] == "events"]
        chosen = events[0] if stream is None and events else stream
        if chosen is None or chosen not in events:
            source.fail(f"no event stream {chosen}; the file has {events or 'none'}.", 0)
        if sensor_size is None:
            sensor_size = (streams[chosen]["width"], streams[chosen]["height"], 2)
        decode = partial(_decode, source, chosen)
        return assemble(source, decode, sensor_size, info={"stream": chosen})


def _decoder(source: Source) -> Any:
    try:
        from aedat import Decoder
    except ImportError as error:
        raise MissingDependencyError("aedat", extra="aedat", purpose="read_aedat4") from error
    return _guarded(source, Decoder, os.fspath(source.path))


def _decode(source: Source, stream: int, dropped: Counter[str]) -> Iterator[Block]:
    packets = iter(_decoder(source))
    while (packet := _guarded(source, next, packets, None)) is not None:
        if packet["stream_id"] == stream and "events" in packet:
            found = packet["events"]
            yield (found["t"], found["x"], found["y"], found["on"]), None


def _guarded(source: Source, call: Any, *arguments: Any) -> Any:
    """Call into the decoder; whatever it raises, a panic of its Rust code too, is the fault of the file."""
    try:
        return call(*arguments)
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as error:  # pyo3's PanicException is no Exception
        source.fail(f"cannot be decoded: {error}.", cause=error)


FORMATS.register("aedat4")(Format("AEDAT 4", read_aedat4, lambda head: head.startswith(_MAGIC)))
