"""What the files of Prophesee cameras share: a header of ``%`` lines that may tell version and sensor."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import quote, require
from ..checks import as_sensor
from .source import Source

__all__ = ["Header", "expect", "only_defined", "read_header", "sensor_of", "version_of"]

_SENSORS = {"gen41": (1280, 720), "gen4": (1280, 720), "gen31": (640, 480), "gen3": (640, 480)}
_SIDE = 2**14  # no format of this family has coordinates of more than 14 bit


@dataclass(frozen=True)
class Header:
    """First byte behind the header, the encoding ("EVT2", ..., "" if it is not told), sensor, lines."""

    end: int
    encoding: str
    sensor_size: tuple[int, int, int] | None
    lines: list[str]

    @property
    def info(self) -> dict[str, Any]:
        """What :attr:`Events.info` keeps of it."""
        return {"header": self.lines}


def read_header(source: Source) -> Header:
    """Read the header of ``source``.

    The sensor is that of ``geometry``, ``format``, ``Width``/``Height`` lines, else that of the camera
    generation which the driver's name tells.

    Raises:
        FormatError: the header has no end, or names a sensor that no format can address.
    """
    lines, end = source.header(b"%")
    text = "\n".join(lines)
    size = None
    if found := re.search(r"^geometry[ \t]+(\d{1,9})x(\d{1,9})$", text, re.M | re.I):
        size = int(found[1]), int(found[2])
    else:
        sides = [
            re.search(rf"(?:^|[ ;]){side}[= \t]+(\d{{1,9}})(?:;|$)", text, re.M | re.I)
            for side in ("width", "height")
        ]
        if sides[0] and sides[1]:
            size = int(sides[0][1]), int(sides[1][1])
        elif found := re.search(r"^plugin_name[ \t]\S{0,200}_(gen\d{1,3})", text, re.M | re.I):
            size = _SENSORS.get(found[1].lower())
    if size and not (0 < size[0] <= _SIDE and 0 < size[1] <= _SIDE):
        source.fail(f"the header tells a sensor of {size[0]}x{size[1]} pixels, at most {_SIDE} a side.", 0)
    return Header(end, version_of(text), (*size, 2) if size else None, lines)


def version_of(text: str) -> str:
    """ "EVT2", "EVT3", "EVT21" or "" in the text of a header."""
    if found := re.search(r"^(?:%[ \t]*)?evt[ \t]+(\d)\.(\d)[ \t\r]*$", text, re.M | re.I):
        return f"EVT{found[1]}{found[2].strip('0')}"
    found = re.search(r"^(?:%[ \t]*)?format[ \t]+(\w{1,20})", text, re.M | re.I)
    return found[1].upper() if found else ""


def expect(source: Source, header: Header, encoding: str) -> None:
    """Raise FormatError unless the header names this encoding."""
    if header.encoding != encoding:
        found = f"the header names {quote(header.encoding)}" if header.encoding else "no header names one"
        source.fail(
            f"expected the encoding {encoding}, {found}.", 0, "open_events(path) chooses the reader itself."
        )


def sensor_of(source: Source, header: Header, given: tuple[int, int, int] | None) -> tuple[int, int, int]:
    """The sensor given by the caller, else the one of the header.

    Raises:
        FormatError: there is none. ConfigError: larger than 11 bit can address, or no sensor at all.
    """
    given = header.sensor_size if given is None else given
    if given is None:
        hint = "Give it, e.g. sensor_size=(1280, 720, 2)."
        source.fail("the header does not tell the size of the sensor.", 0, hint)
    given = as_sensor(given)
    ok = max(given) <= 2**11
    require(ok, f"{source.where}: sensor_size", given, "at most 2048 columns and rows, 11 bit each")
    return given


def only_defined(
    source: Source,
    words: NDArray,
    kind: NDArray,
    defined: tuple[int, ...],
    offset: int,
    dropped: Counter[str],
) -> None:
    """Raise at the first word of a kind that the format does not define, or count them as dropped."""
    table = np.ones(16, bool)
    table[list(defined)] = False
    unknown = table[kind]
    count = int(unknown.sum())
    if not count:
        return
    first = int(unknown.argmax())
    if source.policies.get("on_out_of_range", "error") == "error":
        source.fail(
            f"the word {int(words[first]):#x} is of type {int(kind[first]):#x}, which is not defined; "
            f"{count} of {words.size} words from here on are not.",
            offset + first * words.itemsize,
            'Fetch the file again, or skip such words with on_out_of_range="drop".',
        )
    dropped["undefined_words"] += count
