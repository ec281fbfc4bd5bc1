"""Sizes above which input is refused before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import LimitError

__all__ = ["LIMITS", "Limits"]


@dataclass
class Limits:
    """What a file or a request may ask for; change a field of ``snnkit.data.LIMITS`` to allow more.

    The values belong to a process: data-loader workers that are spawned (not forked) have the defaults.

    Attributes:
        file_bytes: size of a file that is read.
        events: events of one recording.
        time_span_us: length of one recording; up to 2**53 µs every time is exact in float64 as well.
        header_bytes: text ahead of the events.
        members: entries of an archive, recordings of one HDF5 file.
        decompression_ratio: unpacked size over packed size.
        frame_cells: cells of a frame tensor, all samples together; 2**30 are 4 GiB of float32.
    """

    file_bytes: int = 16 * 2**30
    events: int = 2**31
    time_span_us: int = 2**53
    header_bytes: int = 2**20
    members: int = 10**6
    decompression_ratio: int = 200
    frame_cells: int = 2**30

    def check(self, name: str, value: int, where: str) -> None:
        """Raise unless ``value`` is within the limit called ``name``.

        Raises:
            LimitError: names the limit, both numbers and how to raise it.
        """
        limit = getattr(self, name)
        if value > limit:
            raise LimitError(
                f"{where}: {value} exceeds the limit {name} = {limit}. If this size is right, allow it with "
                f"snnkit.data.LIMITS.{name} = {value}."
            )


LIMITS = Limits()
