"""N-MNIST and other folders of 40-bit recordings in the same layout."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import ConfigError, quote, require
from .events import Events
from .frames import to_frames
from .readers import read_nmnist
from .registry import DATASETS

__all__ = ["NMNIST"]


@DATASETS.register("nmnist")
class NMNIST(Dataset):
    """N-MNIST (Orchard et al. 2015, 10.3389/fnins.2015.00437): digits moved in front of an event camera.

    Expected layout, as published: ``root/Train/<digit>/<number>.bin`` and ``root/Test/<digit>/<number>.bin``,
    digits 0..9; 60 000 and 10 000 recordings, of which any subset may be there. Recordings are sorted by
    digit, then by name. Nothing is downloaded.

    Args:
        root: folder with Train and Test.
        split: "train" or "test".
        T: frames per recording.
        size: frames are cropped to this many central pixels (34: whole sensor). The rim of two pixels that
            32 leaves out holds one event in a thousand.
        reader: policies of :func:`read_nmnist`, as ``on_truncated="drop"``.

    Items: ``(frames [T, 2, size, size] float32, digit)``; channel 0 OFF, 1 ON. ``events(i)`` gives the
    recording itself.

    Raises:
        ConfigError: no such folder, or none with recordings in this layout; impossible settings.
        FormatError: when a malformed recording is read.
    """

    num_classes, in_channels = 10, 2
    sensor = 34

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        split: Literal["train", "test"] = "train",
        T: int = 10,
        size: int = 32,
        reader: dict[str, Any] | None = None,
    ) -> None:
        require(split in ("train", "test"), "NMNIST.split", split, '"train" or "test"')
        self._open(Path(root) / split.capitalize(), T, size, reader)

    @classmethod
    def from_folder(cls, folder: str | os.PathLike[str], **settings: Any) -> Self:
        """All recordings of ``folder/<digit>/*.bin``; of both splits if it has Train and Test inside.

        Args:
            settings: T, size and reader, as above.
        """
        path = Path(folder)
        parts = [path / name for name in ("Train", "Test") if (path / name).is_dir()]
        data = cls.__new__(cls)
        options = {"T": 10, "size": 32, "reader": None} | settings
        data._open(parts or path, **options)
        return data

    def _open(self, folders: Path | list[Path], T: int, size: int, reader: dict[str, Any] | None) -> None:
        require(isinstance(T, int) and T > 0, "NMNIST.T", T, "an int > 0")
        ok = isinstance(size, int) and 0 < size <= self.sensor and (self.sensor - size) % 2 == 0
        require(ok, "NMNIST.size", size, f"an even int in 2..{self.sensor}")
        self.T, self.img_size, self.reader = T, size, dict(reader or {})
        self.files: list[tuple[Path, int]] = []
        folders = folders if isinstance(folders, list) else [folders]
        for folder in folders:
            for digit in range(self.num_classes):
                found = sorted(folder.joinpath(str(digit)).glob("*.bin"))
                self.files += [(path, digit) for path in found if path.is_file()]
        if not self.files:
            raise ConfigError(
                f"NMNIST: no recordings in {quote(str(folders[0]))}. Expected <folder>/<digit>/<number>.bin with "
                "digits 0..9, as in the published Train and Test folders. Give the folder that holds them; "
                "snnkit downloads nothing."
            )

    def __len__(self) -> int:
        return len(self.files)

    def events(self, index: int) -> Events:
        """The recording number ``index``."""
        events = read_nmnist(self.files[index][0], **self.reader)
        margin = (self.sensor - self.img_size) // 2
        if not margin:
            return events
        inside = (events.x >= margin) & (events.x < self.sensor - margin)
        inside &= (events.y >= margin) & (events.y < self.sensor - margin)
        return Events(
            events.t[inside],
            events.x[inside] - np.uint16(margin),
            events.y[inside] - np.uint16(margin),
            events.p[inside],
            (self.img_size, self.img_size, 2),
            events.span,
            events.info | {"cropped": int((~inside).sum())},
        )

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return to_frames(self.events(index), T=self.T), self.files[index][1]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Frames ``[N, T, 2, size, size]`` and digits ``[N]`` of all recordings.

        Raises:
            FormatError: naming the first malformed recording.
        """
        frames = torch.empty(len(self), self.T, 2, self.img_size, self.img_size)
        for i in range(len(self)):
            frames[i] = self[i][0]
        return frames, self.labels

    @property
    def labels(self) -> Tensor:
        """Digits ``[N]``."""
        return torch.tensor([digit for _, digit in self.files])
