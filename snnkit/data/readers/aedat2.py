"""AEDAT 2.0, written by jAER: DVS128 (CIFAR10-DVS) and DAVIS cameras.

Lines that begin with ``#``, the first one ``#!AER-DAT2.0``, then pairs of big-endian words: address, t in µs.

===========  ===============================  ==========================  =============
layout       x                                y                           p
===========  ===============================  ==========================  =============
dvs128       127 - bits 1..7                  127 - bits 8..14            1 - bit 0
dvs128_raw   bits 1..7                        bits 8..14                  bit 0
davis        bits 12..21                      bits 22..30                 bit 11
===========  ===============================  ==========================  =============

Readers disagree on the names of the axes and on what they turn around: "dvs128" follows jAER's extractor as
far as we recall it (not checked against it), "dvs128_raw" gives the bits as they are. Words without an event
are skipped and counted: those with bit 15 (DVS128: special events, recalled) or bit 31 (DAVIS: frames and
inertial sensor).

The time of 32 bit wraps after 71 minutes; a drop by more than half of the range is taken for a wrap.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from ...checks import choice
from ..events import Events
from ..policy import Policies
from .formats import FORMATS, Format
from .recording import Block, Clock, assemble
from .source import Source

__all__ = ["read_aedat2"]

Layout = Literal["dvs128", "dvs128_raw", "davis"]

_MAGIC = b"#!AER-DAT2.0"
_RECORD = np.dtype((">u4", 2))
_LAYOUTS = ("dvs128", "dvs128_raw", "davis")
_DVS128 = (128, 128, 2)
_DAVIS = {"240": (240, 180, 2), "346": (346, 260, 2)}


def read_aedat2(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] | None = None,
    *,
    layout: Layout | None = None,
    **policies: Unpack[Policies],
) -> Events:
    """Read a recording of the AEDAT 2.0 format.

    Args:
        path: the file.
        sensor_size: (W, H, P); None: 128x128 for DVS128, else that of the DAVIS camera which the header
            names (240x180 or 346x260).
        layout: see the module; None: "davis" if the header names such a camera, else "dvs128".
        policies: see :class:`Policies`.

    Returns:
        Events; ``info["dropped"]["other_words"]`` counts words that are no events, ``info["chip"]`` and
        ``info["start_time_ms"]`` (since 1970) are those of the header, None if it does not tell.

    Raises:
        FormatError: no or another version, truncated, an address outside of the layout, off the sensor,
            unsorted. LimitError, ConfigError, InputTypeError: as :func:`read_nmnist`.
    """
    if layout is not None:
        choice("read_aedat2.layout", layout, _LAYOUTS)
    with Source(path, "read_aedat2", **policies) as source:
        lines, start = source.header(b"#")
        if not lines or not lines[0].startswith(_MAGIC[1:].decode()):
            found = source.read(0, min(source.size, len(_MAGIC)))
            source.fail(f"expected a file that begins with {_MAGIC!r}, got {found!r}.", 0)
        info = _facts("\n".join(lines))
        chip = info["chip"] or ""
        layout = layout or ("davis" if "davis" in chip.lower() else "dvs128")
        if sensor_size is None and layout == "davis":
            sensor_size = next((size for name, size in _DAVIS.items() if name in chip), None)
            if sensor_size is None:
                source.fail("the header does not tell which DAVIS camera it is.", 0, "Give sensor_size.")
        elif sensor_size is None:
            sensor_size = _DVS128
        decode = partial(_decode, source, start, layout)
        return assemble(source, decode, sensor_size, info=info)


def _facts(text: str) -> dict[str, Any]:
    chip = re.search(r"^AEChip:[ \t]*(\S{1,200})", text, re.M)
    time = re.search(r"currentTimeMillis\(\)[ \t]+(\d{1,18})", text)
    return {"chip": chip and chip[1], "start_time_ms": time and int(time[1])}


def _decode(source: Source, start: int, layout: Layout, dropped: Counter[str]) -> Iterator[Block]:
    clock = Clock(32)
    other = 31 if layout == "davis" else 15
    for offset, records in source.records(start, _RECORD, dropped, one_event_each=True):
        address, t = records[:, 0].astype(np.uint32), clock(records[:, 1])
        offsets = offset + 8 * np.arange(t.size)
        keep = (address >> other & 1) == 0
        if not keep.all():
            dropped["other_words"] += int(np.count_nonzero(~keep))
            address, t, offsets = address[keep], t[keep], offsets[keep]
        yield (t, *_pixel(address, layout)), offsets


def _pixel(address: NDArray[np.uint32], layout: Layout) -> tuple[NDArray, NDArray, NDArray]:
    """x, y, p; an address beyond the layout gets a column off every sensor, so that it is found."""
    if layout == "davis":
        x, y, p = address >> 12 & 1023, address >> 22 & 511, address >> 11 & 1
    else:
        x, y, p = address >> 1 & 127, address >> 8 & 127, address & 1
        if layout == "dvs128":
            x, y, p = 127 - x, 127 - y, 1 - p
        x = np.where(address >> 16, np.uint32(2**16 - 1), x)
    return x.astype(np.uint16), y.astype(np.uint16), p.astype(np.uint8)


FORMATS.register("aedat2")(Format("AEDAT 2.0", read_aedat2, lambda head: head.startswith(_MAGIC)))
