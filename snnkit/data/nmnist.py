"""N-MNIST as published: ``Train|Test/<digit>/<id>.bin``."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from ..errors import FormatError, require
from .folder import EventFolder, subfolders
from .frames import Polarity
from .policy import OnBad, OnUnsorted, check_policies
from .readers import read_nmnist
from .registry import DATASETS

__all__ = ["NMNIST"]

Split = Literal["train", "test"]

_SENSOR = (34, 34, 2)
_NOMINAL_US = 315_000  # three moves of 105 ms
_DIGITS = tuple("0123456789")
_LAYOUT = (
    "Expected layout: Train/<digit>/<id>.bin and Test/<digit>/<id>.bin, digits 0 to 9, as in the published "
    "archives; they are not downloaded."
)


@DATASETS.register("nmnist")
class NMNIST(EventFolder):
    """MNIST digits recorded by a moving event camera, 34x34; 60 000 for training, 10 000 for testing.

    Any subset in the same layout works, also one that lacks digits.

    Args:
        root: folder that contains ``Train`` and ``Test``.
        split: "train" or "test"; None: ``root`` itself contains the digit folders.
        T, polarity, binary: of the frames, see :func:`to_frames`. Bins cover the nominal 315 ms, or up to
            the last event of the few longer recordings.
        size: side of the frames, cropped or zero-padded around the centre; 34 or None: the whole sensor.
            The default can be halved five times by a network; the rim it cuts off holds 4 events in 1000.
        on_truncated, on_out_of_range, on_unsorted: see :func:`read_nmnist`.

    Item: ``(frames [T, 2, S, S] float32, label)``. Files are read when asked for; ``tensors()`` reads all.

    Raises:
        FormatError: root has another layout; a malformed recording (when it is read).
        ConfigError: an argument out of range.

    Reference: Orchard, Jayawant, Cohen, Thakor 2015, "Converting static image datasets to spiking
    neuromorphic datasets using saccades", Frontiers in Neuroscience 9:437.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Split | None = "train",
        *,
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = 32,
        on_truncated: OnBad = "error",
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        require(split in ("train", "test", None), "NMNIST.split", split, "'train', 'test' or None")
        check_policies(
            "NMNIST", on_truncated=on_truncated, on_out_of_range=on_out_of_range, on_unsorted=on_unsorted
        )
        reader = partial(
            read_nmnist,
            sensor_size=_SENSOR,
            duration_us=_NOMINAL_US,
            on_truncated=on_truncated,
            on_out_of_range=on_out_of_range,
            on_unsorted=on_unsorted,
        )
        self.split = split
        super().__init__(
            root if split is None else _part(root, split),
            reader=reader,
            sensor_size=_SENSOR,
            classes=_DIGITS,
            T=T,
            polarity=polarity,
            binary=binary,
            size=size,
        )

    @classmethod
    def from_folder(cls, path: str | os.PathLike[str], split: Split = "test", **settings: Any) -> Self:
        """Recordings of ``path``, whichever part of the published tree it is.

        Args:
            path: a folder of digit folders, or one with ``Train`` and/or ``Test``.
            split: which one to take if there are both.
            settings: further arguments of the class.
        """
        require(split in ("train", "test"), "NMNIST.split", split, "'train' or 'test'")
        found = subfolders(path, _LAYOUT)
        if set(found) & set(_DIGITS):
            return cls(path, None, **settings)
        parts = {name.lower() for name in found} & {"train", "test"}
        return cls(path, parts.pop() if len(parts) == 1 else split, **settings)  # type: ignore[arg-type]


def _part(root: str | os.PathLike[str], split: str) -> Path:
    """The folder ``Train`` or ``Test`` of ``root``, in any capitals."""
    found = subfolders(root, _LAYOUT)
    names = [name for name in found if name.lower() == split]
    if len(names) != 1:
        raise FormatError(
            root, f"no folder {split.capitalize()!r} in it, found {_listed(found)}.", hint=_LAYOUT
        )
    return Path(root) / names[0]


def _listed(names: list[str]) -> str:
    """A short list of folder names for a message."""
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "") if names else "no folders"
