"""The event formats by name, and reading a file without being told which one it is in."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ...errors import quote
from ...registry import Registry
from ..events import Events
from .source import Source

__all__ = ["FORMATS", "Format", "identify_format", "open_events"]

_HEAD = 2**16


@dataclass(frozen=True)
class Format:
    """One file format.

    Attributes:
        title: its name in words.
        read: ``read(path, **settings) -> Events``.
        recognises: whether a file that begins with these bytes is in this format.
        headerless: recognised by what its events look like, which is asked after all other formats.
    """

    title: str
    read: Callable[..., Events]
    recognises: Callable[[bytes], bool]
    headerless: bool = False


FORMATS: Registry[Any] = Registry("event format")
"""To add a format, write one file that ends with ``FORMATS.register("name")(Format(...))`` and import it in
``readers/__init__.py``."""


def identify_format(path: str | os.PathLike[str]) -> str:
    """Name of the format of a file, by its content.

    Formats with a header are certain. The 40-bit formats have none: they are taken where the first
    records are in the order of time, which random bytes are not.

    Raises:
        FormatError: unreadable, empty or of no known format. InputTypeError: not a path.
    """
    with Source(path, "open_events") as source:
        head = source.read(0, min(source.size, _HEAD))
        known = sorted(FORMATS.names(), key=lambda name: FORMATS.get(name).headerless)
        for name in known:
            if FORMATS.get(name).recognises(head):
                return name
        titles = ", ".join(FORMATS.get(name).title for name in known)
        source.fail(
            f"no known event format; it begins with {quote(head[:16])}." if head else "the file is empty.",
            0,
            f"Known: {titles}. An explicit reader, as read_nmnist, says what is wrong with the file.",
        )


def open_events(path: str | os.PathLike[str], **settings: Any) -> Events:
    """Read a recording of any known format.

    Args:
        path: the file.
        settings: arguments of the reader of its format, as ``sensor_size``, ``on_truncated``,
            ``on_out_of_range`` and ``on_unsorted``, which all of them have.

    Raises:
        FormatError: no known format, or as the reader. TypeError: a setting that the reader does not have.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from snnkit.data import Events, open_events, write_evt2
        >>> with TemporaryDirectory() as folder:
        ...     write_evt2(f"{folder}/a.raw", Events([0, 5], [3, 1], [0, 0], [1, 0], (4, 2, 2)))
        ...     open_events(f"{folder}/a.raw")
        Events(2 events on 4x2x2, t 0..5 of [0, 6) µs, ON 50.0 %)
    """
    return FORMATS.get(identify_format(path)).read(path, **settings)
