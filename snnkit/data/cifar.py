"""CIFAR-10 and CIFAR-100: the binary edition as published."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch

from ..errors import FormatError, require
from .images import EncodedImages
from .limits import LIMITS
from .registry import DATASETS

__all__ = ["CIFAR10", "CIFAR100"]

_PIXELS = 3 * 32 * 32


@DATASETS.register("cifar10")
class CIFAR10(EncodedImages):
    """Pictures of ten kinds of things, 3x32x32: 50 000 for training, 10 000 for testing, or any part.

    Where from: the binary edition by Krizhevsky (www.cs.toronto.edu/~kriz/cifar.html), not downloaded.
    Records of 3073 bytes: label, then red, green and blue planes. The edition for Python is a pickle and not
    read.

    Args:
        root: folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin, or the one above it.
        split: "train" or "test".
        encoder: "direct", "rate", "regular_rate" or "latency". T: number of steps. seed: of "rate".

    Item: ``(frames [T, 3, 32, 32] float32, label)``.

    Raises:
        FormatError: a missing or malformed file. ConfigError: an argument out of range.
    """

    FOLDER: ClassVar[str] = "cifar-10-batches-bin"
    FILES: ClassVar[dict[str, tuple[str, ...]]] = {
        "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test": ("test_batch.bin",),
    }
    CLASSES: ClassVar[int] = 10
    LABELS: ClassVar[int] = 1  # bytes ahead of the pixels; the last one is the class

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        T: int = 4,
        encoder: str = "direct",
        seed: int = 0,
    ) -> None:
        require(split in self.FILES, f"{type(self).__name__}.split", split, "'train' or 'test'")
        inner = Path(root) / self.FOLDER
        folder = inner if inner.is_dir() else Path(root)
        found = [folder / name for name in self.FILES[split] if (folder / name).is_file()]
        if not found:
            layout = (
                f"Expected {', '.join(self.FILES[split])} of the binary edition, {self.FOLDER}, as published."
            )
            raise FormatError(folder, "none of the files is in it.", hint=layout)
        records = np.concatenate([self._records(path) for path in found])
        labels = torch.from_numpy(records[:, self.LABELS - 1].astype(np.int64))
        images = torch.from_numpy(records[:, self.LABELS :].reshape(-1, 3, 32, 32).copy())
        self.split = split
        super().__init__(images, labels, self.CLASSES, encoder=encoder, T=T, seed=seed)

    def _records(self, path: Path) -> np.ndarray:
        LIMITS.check("file_bytes", path.stat().st_size, str(path))
        raw = np.fromfile(path, np.uint8)
        length = self.LABELS + _PIXELS
        if not len(raw) or len(raw) % length:
            raise FormatError(path, f"holds {len(raw)} bytes, expected a multiple of {length}, at least one.")
        records = raw.reshape(-1, length)
        highest = int(records[:, self.LABELS - 1].max())
        if highest >= self.CLASSES:
            raise FormatError(path, f"label {highest}, expected 0..{self.CLASSES - 1}.")
        return records


@DATASETS.register("cifar100")
class CIFAR100(CIFAR10):
    """Pictures of a hundred kinds of things in the form of :class:`CIFAR10`: train.bin and test.bin.

    Records of 3074 bytes: the label of twenty groups, which is not used, that of the class, and the planes.
    """

    FOLDER: ClassVar[str] = "cifar-100-binary"
    FILES: ClassVar[dict[str, tuple[str, ...]]] = {"train": ("train.bin",), "test": ("test.bin",)}
    CLASSES: ClassVar[int] = 100
    LABELS: ClassVar[int] = 2
