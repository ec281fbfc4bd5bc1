"""N-Caltech101, CIFAR10-DVS and N-CARS: event recordings of objects, one folder per class."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from ..errors import FormatError, require
from .folder import EventFolder, subfolders
from .frames import Polarity
from .hashed_split import hashed_split
from .policy import OnBad, OnUnsorted
from .readers import read_aedat2, read_dat, read_nmnist
from .registry import DATASETS

__all__ = ["CIFAR10DVS", "NCARS", "NCaltech101"]

Split = Literal["train", "test"]


class _Split(EventFolder):
    """An :class:`EventFolder` of which a fixed part is for testing, since it is published without one."""

    SHARE: ClassVar[float] = 0.1

    def _take(self, split: str | None) -> None:
        """Keep the samples of ``split`` only; None keeps all."""
        name = type(self).__name__
        require(split in ("train", "test", None), f"{name}.split", split, "'train', 'test' or None for both")
        self.split = split
        if split is None:
            return
        names = ["/".join(Path(path).parts[-2:]) for path in self.paths]
        chosen = hashed_split(names, self.labels.tolist(), share=self.SHARE)[split == "test"]
        if not chosen:
            raise FormatError(self.path, f"too few recordings for a {split} set: {len(names)}.")
        self.paths = [self.paths[i] for i in chosen]
        self.labels = self.labels[chosen]


@DATASETS.register("ncaltech101")
class NCaltech101(_Split):
    """Caltech101 pictures recorded by a moving event camera: 8709 recordings, about 300 ms, 101 folders.

    Where from: G. Orchard's page "Neuromorphic-Caltech101" (CC BY 4.0), not downloaded. The count is
    recalled. Layout: ``<root>/<class>/image_<number>.bin``, 40-bit events with clock-overflow marks. No
    split is published: the test set is a tenth of each class by :func:`hashed_split`; state it with an
    accuracy.

    Args:
        root: folder of the class folders (``Caltech101``). split: "train", "test" or None for both.
        T, polarity, binary: of the frames, see :func:`to_frames`.
        size: side of the frames, cropped or padded around the centre of the 240x180 sensor.
        on_truncated, on_out_of_range, on_unsorted: see :func:`read_nmnist`.

    Raises:
        FormatError: another layout; a malformed recording (when it is read). ConfigError: an argument.

    Reference: Orchard, Jayawant, Cohen, Thakor 2015, Frontiers in Neuroscience 9:437.
    """

    LAYOUT: ClassVar[str] = (
        "Expected <class>/image_<number>.bin, as in the folder Caltech101 of G. Orchard's archive "
        "Neuromorphic-Caltech101; it is not downloaded."
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Split | None = "train",
        *,
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = 192,
        on_truncated: OnBad = "error",
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        sensor = (240, 180, 2)
        reader = partial(
            read_nmnist, sensor_size=sensor, clock_overflow=True, on_truncated=on_truncated,
            on_out_of_range=on_out_of_range, on_unsorted=on_unsorted,
        )  # fmt: skip
        super().__init__(
            root, reader=reader, sensor_size=sensor, T=T, polarity=polarity, binary=binary, size=size
        )
        self._take(split)


@DATASETS.register("cifar10dvs")
class CIFAR10DVS(_Split):
    """CIFAR-10 pictures moved in front of a DVS128: 1000 recordings for each of 10 classes, about 1.2 s.

    Where from: Li, Liu, Ji, Li, Shi 2017, "CIFAR10-DVS: an event-stream dataset for object classification"
    (figshare), not downloaded; counts are recalled. Layout:
    ``<root>/<class>/cifar10_<class>_<number>.aedat``, AEDAT 2.0. No split is published: 900 of each class
    are for training and 100 for testing by :func:`hashed_split` (other libraries take the first 900: state
    which with an accuracy).

    Args:
        root: folder of the ten class folders. split: "train", "test" or None for both.
        T, polarity, binary: of the frames, see :func:`to_frames`.
        size: side of the frames; None: the 128x128 of the sensor.
        on_truncated, on_out_of_range, on_unsorted: see :func:`read_aedat2`.

    Raises:
        FormatError: another layout; a malformed recording (when it is read). ConfigError: an argument.
    """

    LAYOUT: ClassVar[str] = (
        "Expected <class>/cifar10_<class>_<number>.aedat, airplane to truck, as in the archives of "
        "CIFAR10-DVS on figshare; they are not downloaded."
    )
    CLASSES: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Split | None = "train",
        *,
        T: int = 10,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = None,
        on_truncated: OnBad = "error",
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        sensor = (128, 128, 2)
        reader = partial(
            read_aedat2, sensor_size=sensor, layout="dvs128", on_truncated=on_truncated,
            on_out_of_range=on_out_of_range, on_unsorted=on_unsorted,
        )  # fmt: skip
        super().__init__(
            root, reader=reader, sensor_size=sensor, classes=self.CLASSES, suffix=".aedat",
            T=T, polarity=polarity, binary=binary, size=size,
        )  # fmt: skip
        self._take(split)


@DATASETS.register("ncars")
class NCARS(EventFolder):
    """Cars and background from a driving car, 100 ms: 7940 and 7482 for training, 4396 and 4211 for testing.

    Where from: Sironi, Brambilla, Bourdis, Lagorce, Benosman 2018, "HATS" (arXiv 1803.07913), by Prophesee
    for research, not downloaded; the counts are recalled. Layout:
    ``<root>/<...train...>/{cars,background}/*.dat`` and the same with ``test``, as in ``n-cars_train``.

    Recordings are cut-outs of different size; here they all lie on one sensor of 120x100, which holds the
    largest (recalled), with their corner at (0, 0).

    Args:
        root: folder of the two parts. split: "train" or "test".
        T, polarity, binary: of the frames, see :func:`to_frames`. size: side of the frames.
        on_truncated, on_out_of_range, on_unsorted: see :func:`read_dat`.

    Raises:
        FormatError: another layout; a malformed recording (when it is read). ConfigError: an argument.
    """

    LAYOUT: ClassVar[str] = (
        "Expected n-cars_train/{cars,background}/*.dat and n-cars_test/..., as in the archive by Prophesee; "
        "it is not downloaded."
    )

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Split = "train",
        *,
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = 128,
        on_truncated: OnBad = "error",
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        require(split in ("train", "test"), "NCARS.split", split, "'train' or 'test'")
        parts = [name for name in subfolders(root, self.LAYOUT) if split in name.lower()]
        if len(parts) != 1:
            raise FormatError(
                root,
                f"expected one folder with {split!r} in its name, found {parts}.",
                hint=self.LAYOUT,
            )
        sensor = (120, 100, 2)
        reader = partial(
            read_dat, sensor_size=sensor, on_truncated=on_truncated, on_out_of_range=on_out_of_range,
            on_unsorted=on_unsorted,
        )  # fmt: skip
        self.split = split
        super().__init__(
            Path(root) / parts[0], reader=reader, sensor_size=sensor, classes=("background", "cars"),
            suffix=".dat", T=T, polarity=polarity, binary=binary, size=size,
        )  # fmt: skip
