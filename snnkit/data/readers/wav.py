"""wav: sound, one channel of 16-bit integers, uncompressed.

``RIFF``, u32 size, ``WAVE``, then chunks of a name, a u32 size and as many bytes, padded to an even number;
``fmt `` tells the encoding, ``data`` holds the samples. All numbers are little-endian.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...checks import integer
from ...errors import quote
from ..policy import OnBad, report
from .source import Source

__all__ = ["Sound", "read_wav"]

_PCM = 1
_FORMAT = np.dtype(
    [
        ("encoding", "<u2"),
        ("channels", "<u2"),
        ("rate", "<u4"),
        ("bytes", "<u4"),
        ("block", "<u2"),
        ("bits", "<u2"),
    ]
)


class Sound(NamedTuple):
    """Samples int16 ``[N]`` and their number per second."""

    samples: NDArray[np.int16]
    rate: int


def read_wav(
    path: str | os.PathLike[str], *, rate: int | None = None, on_truncated: OnBad = "error"
) -> Sound:
    """Read a wav file of one channel and 16 bit.

    Args:
        path: the file.
        rate: samples per second that it must have; None: any.
        on_truncated: "drop" keeps the whole samples of a file that ends early, with a warning.

    Raises:
        FormatError: no wav file, another encoding, several channels, other bits or rate, no samples,
            truncated. LimitError: too large. ConfigError, InputTypeError: a wrong argument.
    """
    if rate is not None:
        rate = integer("read_wav.rate", rate)
    with Source(path, "read_wav", on_truncated=on_truncated) as source:
        head = source.read(0, min(12, source.size))
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            source.fail(f"expected a file that begins with RIFF....WAVE, got {head!r}.", 0)
        chunks = _chunks(source)
        found = _check_format(source, *_chunk(source, chunks, "fmt "), rate)
        start, size = _chunk(source, chunks, "data")
        dropped: Counter[str] = Counter()
        if start + size > source.size:
            reason = f"the chunk 'data' tells {size} bytes, but {source.size - start} are left."
            source.truncated(reason, start, dropped)
            report(source.where, f"the last {start + size - source.size} bytes of the sound are missing.")
            size = source.size - start
        elif size % 2:
            source.fail(f"the chunk 'data' has {size} bytes, expected a multiple of 2.", start)
        if size < 2:
            source.fail("it has no samples.", start)
        samples = np.frombuffer(source.read(start, size // 2 * 2), "<i2").astype(np.int16)
        return Sound(samples, found)


def _chunks(source: Source) -> dict[str, tuple[int, int]]:
    """First byte and declared size of each chunk up to the samples; the first one of a name counts."""
    chunks: dict[str, tuple[int, int]] = {}
    at = 12
    while at + 8 <= source.size and "data" not in chunks:
        head = source.read(at, 8)
        size = int.from_bytes(head[4:], "little")
        chunks.setdefault(head[:4].decode("latin1"), (at + 8, size))
        at += 8 + size + size % 2
    return chunks


def _chunk(source: Source, chunks: dict[str, tuple[int, int]], name: str) -> tuple[int, int]:
    if name not in chunks:
        source.fail(f"it has no chunk {name!r}; found {quote(sorted(chunks))}.", 12)
    return chunks[name]


def _check_format(source: Source, start: int, size: int, rate: int | None) -> int:
    """Rate of the sound, if it is what :func:`read_wav` reads."""
    if size < _FORMAT.itemsize or start + _FORMAT.itemsize > source.size:
        source.fail(f"the chunk 'fmt ' has {size} bytes, expected at least {_FORMAT.itemsize}.", start)
    found = np.frombuffer(source.read(start, _FORMAT.itemsize), _FORMAT)[0]
    wanted = {"channels": 1, "bits": 16} | ({"rate": rate} if rate else {})
    wrong = [
        f"{name} = {found[name]}, expected {value}" for name, value in wanted.items() if found[name] != value
    ]
    if found["encoding"] != _PCM:
        wrong.append(f"encoding = {found['encoding']}, expected {_PCM} (PCM)")
    if found["rate"] == 0:
        wrong.append("rate = 0")
    if wrong:
        source.fail(f"{'; '.join(wrong)}.", start, "Convert the file, e.g. with sox or ffmpeg.")
    return int(found["rate"])
