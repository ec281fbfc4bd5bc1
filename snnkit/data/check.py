"""Every recording of a data set read once, and everything that is wrong with it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import SnnkitError
from .events import Events, fingerprint

__all__ = ["Finding", "check_dataset", "check_files", "event_files"]

Kind = Literal["unreadable", "empty", "dropped", "twice"]
SUFFIXES = (".bin", ".bs1", ".bs2", ".dat", ".raw", ".aedat", ".aedat4", ".npz", ".npy")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        name: of the recording: its file, or its number in the data set.
        kind: "unreadable": the reader refused it; "empty": no events; "dropped": the reader had to drop
            or sort something; "twice": the events of another recording.
        message: what exactly.
    """

    name: str
    kind: Kind
    message: str


def event_files(folder: str | os.PathLike[str], suffixes: Iterable[str] = SUFFIXES) -> list[str]:
    """Files below ``folder`` with such a suffix, sorted; what is hidden is left out."""
    found = []
    wanted = tuple(suffixes)
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            os.path.join(place, f) for f in files if f.lower().endswith(wanted) and not f.startswith(".")
        ]
    return sorted(found)


def check_files(paths: Iterable[str], read: Callable[[str], Events]) -> Iterator[list[Finding]]:
    """Findings of each file in turn, [] for a good one; ``read`` is an event reader."""
    seen: dict[str, str] = {}
    for path in paths:
        yield _check(path, lambda path=path: read(path), seen)  # type: ignore[misc]


def check_dataset(data: Any, name: str = "") -> Iterator[list[Finding]]:
    """Findings of each recording of a data set with ``events(i)``, in order."""
    seen: dict[str, str] = {}
    for i in range(len(data)):
        paths = getattr(data, "paths", None)
        yield _check(paths[i] if paths else f"{name}[{i}]", lambda i=i: data.events(i), seen)  # type: ignore[misc]


def _check(name: str, read: Callable[[], Events], seen: dict[str, str]) -> list[Finding]:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            events = read()
        except SnnkitError as error:
            return [Finding(name, "unreadable", str(error))]
    found = [Finding(name, "dropped", str(w.message)) for w in told]
    if not len(events):
        return [*found, Finding(name, "empty", "the recording has no events.")]
    other = seen.setdefault(fingerprint(events), name)
    if other != name:
        found.append(Finding(name, "twice", f"the same events as {other}."))
    return found
