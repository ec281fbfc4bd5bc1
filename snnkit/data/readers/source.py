"""An event file on disk, which nobody vouches for: opened once, read in blocks of checked length."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from types import TracebackType
from typing import NoReturn, Self, Unpack

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ...errors import FormatError, InputTypeError, quote
from ..limits import LIMITS
from ..policy import Policies, check_policies

__all__ = ["Source"]

_BLOCK_BYTES = 2**19  # small enough that what a decoder makes of it stays in the cache of a core
_MOST_LINES = 10_000
_ALWAYS_FINE = 2**26  # bytes that may be unpacked whatever the ratio: constant columns pack by 1:1000
_TRUNCATED = 'Fetch the file again, or keep its whole records with on_truncated="drop".'


class Source:
    """A regular file within the limits; use it in a ``with`` statement.

    Args:
        path: the file.
        reader: name of the public function that reads it, for messages.
        policies: see :class:`Policies`.

    Attributes:
        path, file, size, where, policies: the file, its open handle, its bytes, the start of messages, and
            what to do about events that break a rule.

    Raises:
        InputTypeError: not a path. ConfigError: unknown policy.
        FormatError: missing, unreadable, or not a regular file. LimitError: too large.
    """

    def __init__(self, path: str | os.PathLike[str], reader: str, **policies: Unpack[Policies]) -> None:
        check_policies(reader, **policies)
        if not isinstance(path, str | os.PathLike):
            raise InputTypeError(f"{reader}: got {type(path).__name__}, expected a path.")
        self.path, self.where, self.policies = path, f"{reader}({quote(str(path))})", policies
        try:
            self.file = open(path, "rb", buffering=0, opener=_open_regular)  # noqa: SIM115 see __exit__
        except (OSError, ValueError) as error:  # ValueError: a null byte in the path
            why = getattr(error, "strerror", None) or error
            self.fail(f"cannot be read: {why}.", hint="Give the path of one recording.", cause=error)
        self.size = os.fstat(self.file.fileno()).st_size
        try:
            LIMITS.check("file_bytes", self.size, f"{self.where}: size in bytes")
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def fail(
        self, reason: str, offset: int | None = None, hint: str = "", cause: BaseException | None = None
    ) -> NoReturn:
        """Raise the FormatError of this file."""
        raise FormatError(self.path, reason, offset=offset, hint=hint) from cause

    def read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, which must lie in the file."""
        try:
            self.file.seek(offset)
            parts, missing = [], count
            while missing and (part := self.file.read(missing)):
                parts.append(part)
                missing -= len(part)
        except OSError as error:
            self.fail(f"cannot be read: {error.strerror}.", offset, cause=error)
        if missing:
            self.fail(f"expected {count} bytes, got {count - missing}.", offset, hint="It was cut meanwhile.")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def truncated(self, reason: str, offset: int, dropped: Counter[str]) -> None:
        """The file ends inside of a record at ``offset``: raise, or count the rest as dropped."""
        if self.policies.get("on_truncated", "error") == "error":
            self.fail(reason, offset, _TRUNCATED)
        dropped["trailing_bytes"] += self.size - offset

    def check_unpacked(self, size: int) -> None:
        """Raise LimitError unless the file may be unpacked to ``size`` bytes."""
        LIMITS.check("file_bytes", size, f"{self.where}: unpacked size")
        if size > _ALWAYS_FINE:
            what = f"{self.where}: unpacked over packed size"
            LIMITS.check("decompression_ratio", size // max(1, self.size), what)

    def records(
        self,
        start: int,
        dtype: DTypeLike,
        dropped: Counter[str],
        *,
        one_event_each: bool = False,
        most_events: int = 1,
    ) -> Iterator[tuple[int, NDArray]]:
        """All records of ``dtype`` from byte ``start`` on, in blocks, each with its offset.

        Args:
            start: first byte behind the header.
            dtype: of one record.
            dropped: counts trailing bytes, if the policy drops them.
            one_event_each: hold the number of records against ``LIMITS.events`` ahead of reading.
            most_events: that one record can make; blocks are the shorter for it.
        """
        record = np.dtype(dtype)
        count, rest = divmod(self.size - start, record.itemsize)
        if one_event_each:
            LIMITS.check("events", count, f"{self.where}: events")
        if rest:
            self.truncated(
                f"the last record has {rest} of {record.itemsize} bytes; the file has {self.size} bytes, "
                f"expected {f'{start} and ' if start else ''}a multiple of {record.itemsize}.",
                self.size - rest,
                dropped,
            )
        each = max(1, _BLOCK_BYTES // (record.itemsize * most_events))
        for first in range(0, count, each):
            offset, n = start + first * record.itemsize, min(each, count - first)
            yield offset, np.frombuffer(self.read(offset, n * record.itemsize), record)

    def header(self, mark: bytes) -> tuple[list[str], int]:
        """Lines that begin with ``mark``, without it, and the first byte behind them.

        A line of the header is text; binary data that happen to begin with ``mark`` do not belong to it.
        A line that reads ``end`` or begins with ``end of ascii header`` is the last one.

        Raises:
            FormatError: the header does not end within ``LIMITS.header_bytes``.
        """
        data = self.read(0, min(self.size, LIMITS.header_bytes))
        lines: list[str] = []
        at = 0
        while data.startswith(mark, at):
            end = data.find(b"\n", at)
            text = _as_text(data[at + len(mark) : end if end >= 0 else len(data)])
            if text is None:
                break
            if end < 0:
                self.fail(
                    f"the header has no end within {len(data)} bytes.",
                    at,
                    "Expected lines that end with \\n.",
                )
            if len(lines) == _MOST_LINES:
                self.fail(f"the header has more than {_MOST_LINES} lines.", at, "This is no event file.")
            lines.append(text.strip())
            at = end + 1
            if lines[-1].lower() == "end" or lines[-1].lower().startswith("end of ascii header"):
                break
        return lines, at


def _open_regular(path: str, flags: int) -> int:
    """Refuse pipes, devices and folders; opening a pipe would otherwise wait for ever."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(0, "not a regular file")
    return descriptor


def _as_text(line: bytes) -> str | None:
    """A line of text; None if it holds control characters or is no UTF-8."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c in "\t\r" for c in text) else None
