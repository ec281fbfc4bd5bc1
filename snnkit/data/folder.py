"""Recordings in folders, one folder per class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..errors import ConfigError, FormatError, InputTypeError, quote, require
from .dataset import EventDataset
from .events import Events
from .frames import Polarity

__all__ = ["EventFolder", "subfolders"]


class EventFolder(EventDataset):
    """Recordings ``<path>/<class>/<name><suffix>``, read when they are asked for.

    The order is that of the classes, then of the names: the same on every machine. Hidden files and
    files of another suffix are ignored.

    Args:
        path: folder with one sub-folder per class.
        reader: file -> Events. For data-loader workers it has to be picklable: a function of a module or
            a ``functools.partial`` of one, as ``partial(read_nmnist, sensor_size=(128, 128, 2))``.
        sensor_size: (W, H, P) that every recording must have.
        classes: folder names, label i for ``classes[i]``; None: all sub-folders in sorted order. A class
            without a folder has no samples.
        suffix: of the recordings.
        T, polarity, binary: of the frames, see :func:`to_frames`.
        size: side of the frames, cropped or zero-padded around the centre; None: as the sensor.

    Item: ``(frames [T, P, S, S] float32, label)``; ``events(i)`` is the recording, ``paths[i]`` its file.

    Attributes:
        LAYOUT: where the data of a subclass come from and how they lie on disk, for messages.

    Raises:
        FormatError: no such folder, a sub-folder that is no class, no recording; reading a malformed
            recording, with its path.
        ConfigError: an argument out of range, or a recording of another sensor.
    """

    LAYOUT: ClassVar[str] = ""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        reader: Callable[[str], Events],
        sensor_size: tuple[int, int, int],
        classes: Sequence[str] | None = None,
        suffix: str = ".bin",
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = None,
    ) -> None:
        require(callable(reader), "EventFolder.reader", reader, "a function path -> Events")
        found = subfolders(path, self.LAYOUT or f"Expected layout: <class>/<name>{suffix}.")
        self.classes = tuple(classes if classes is not None else found)
        unknown = sorted(set(found) - set(self.classes))
        layout = f"Expected layout: <class>/<name>{suffix} with classes {quote(list(self.classes))}."
        layout = self.LAYOUT or layout
        if unknown:
            raise FormatError(path, f"the folders {quote(unknown)} are no classes.", hint=layout)
        self.paths: list[str] = []
        labels = []
        for label, name in enumerate(self.classes):
            files = _files(Path(path) / name, suffix) if name in found else []
            self.paths += files
            labels += [label] * len(files)
        if not labels:
            raise FormatError(path, f"no recording with suffix {suffix!r} in it.", hint=layout)
        self.path, self._reader = str(path), reader
        super().__init__(
            torch.tensor(labels),
            len(self.classes),
            sensor_size,
            T=T,
            polarity=polarity,
            binary=binary,
            size=size,
        )

    def events(self, index: int) -> Events:
        """Read recording ``index``."""
        index = self._index(index)
        events = self._reader(self.paths[index])
        if events.sensor_size != tuple(self.sensor_size):
            raise ConfigError(
                f"{type(self).__name__}: {quote(self.paths[index])} is of sensor {events.sensor_size}, "
                f"expected {tuple(self.sensor_size)}. Give the same sensor_size to reader and data set."
            )
        return events

    def fingerprint(self, index: int) -> str:
        """Hash of the file and of how it is read, which spares reading it."""
        reader = _named(self._reader)
        path = self.paths[self._index(index)]
        if reader is None or not os.path.isfile(path):  # the reader says what is wrong with it
            return super().fingerprint(index)
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(reader.encode())
        return digest.hexdigest()


def _named(reader: Callable[..., Events]) -> str | None:
    """Which function with which arguments; None if that cannot be told."""
    arguments: Any = {}
    if isinstance(reader, partial):
        arguments = sorted(reader.keywords.items())
        if reader.args:
            return None
        reader = reader.func
    name = f"{getattr(reader, '__module__', '')}.{getattr(reader, '__qualname__', '<')}"
    return None if "<" in name else f"{name} {arguments!r}"


def subfolders(path: str | os.PathLike[str], hint: str = "Check the path.") -> list[str]:
    """Names of the visible folders in ``path``, sorted.

    Raises, with ``hint``:
        InputTypeError: not a path. FormatError: no such folder, or not readable.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputTypeError(f"data folder: got {type(path).__name__} {quote(path)}, expected a path.")
    try:
        with os.scandir(path) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FormatError(path, f"cannot be opened as a folder: {why}.", hint=hint) from error


def _files(folder: Path, suffix: str) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(e.path for e in entries if e.name.endswith(suffix) and not e.name.startswith("."))
