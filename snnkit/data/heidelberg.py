"""SHD and SSC: spoken digits and commands as spikes of an artificial cochlea of 700 channels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

import torch

from ..errors import FormatError, InputTypeError, quote, require
from .dataset import EventDataset
from .events import Events
from .policy import OnBad, OnUnsorted
from .readers import SpikeFile
from .registry import DATASETS

__all__ = ["SHD", "SSC"]

_SITE = "zenkelab.org/resources/spiking-heidelberg-datasets-shd"


class _Heidelberg(EventDataset):
    """One HDF5 file per split; opened when a recording is first needed, once in each process."""

    FILES: ClassVar[dict[str, str]]
    CLASSES: ClassVar[int]

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: str = "train",
        *,
        T: int = 100,
        binary: bool = False,
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        name = type(self).__name__
        require(split in self.FILES, f"{name}.split", split, " or ".join(map(repr, self.FILES)))
        if not isinstance(root, str | os.PathLike):
            raise InputTypeError(f"{name}.root: got {type(root).__name__} {quote(root)}, expected a path.")
        path = Path(root) / self.FILES[split]
        if not path.is_file():
            raise FormatError(
                path,
                "no such file.",
                hint=f"Get {', '.join(self.FILES.values())} from {_SITE} (.h5.gz, to be unpacked) and give "
                "their folder; they are not downloaded.",
            )
        self.split = split
        self._file = SpikeFile(path, on_out_of_range=on_out_of_range, on_unsorted=on_unsorted)
        labels = torch.from_numpy(self._file.labels)
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.CLASSES:
            raise FormatError(
                path, f"labels {int(labels.min())}..{int(labels.max())}, expected 0..{self.CLASSES - 1}."
            )
        super().__init__(labels, self.CLASSES, (700, 1, 1), T=T, polarity="separate", binary=binary)

    def events(self, index: int) -> Events:
        """Recording ``index``: the unit in ``x``."""
        return self._file.events(self._index(index))


@DATASETS.register("shd")
class SHD(_Heidelberg):
    """Spiking Heidelberg Digits: 8156 training and 2264 test recordings of 0..9 in English and German.

    Where from: Cramer, Stradmann, Schemmel, Zenke 2020 (arXiv 1910.07407), zenkelab.org, CC BY 4.0; counts
    and licence are recalled. Layout: ``<root>/shd_train.h5``, ``<root>/shd_test.h5``.

    Args:
        root: folder of the files. split: "train" or "test".
        T, binary: of the frames, see :func:`to_frames`; bins cover the time up to the last spike.
        on_out_of_range, on_unsorted: see :func:`read_shd`.

    Item: ``(frames [T, 700, 1, 1] float32, label)``.

    Raises:
        MissingDependencyError: h5py is not installed. FormatError: no such file, or a malformed one.
        ConfigError: an argument out of range.
    """

    FILES: ClassVar[dict[str, str]] = {"train": "shd_train.h5", "test": "shd_test.h5"}
    CLASSES: ClassVar[int] = 20


@DATASETS.register("ssc")
class SSC(_Heidelberg):
    """Spiking Speech Commands: 75 466 training, 9981 validation, 20 382 test recordings of 35 words.

    As :class:`SHD`, with the split "valid" and the files ``ssc_train.h5``, ``ssc_valid.h5``, ``ssc_test.h5``.
    """

    FILES: ClassVar[dict[str, str]] = {
        "train": "ssc_train.h5",
        "valid": "ssc_valid.h5",
        "test": "ssc_test.h5",
    }
    CLASSES: ClassVar[int] = 35
