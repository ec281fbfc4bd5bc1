"""ScanObjectNN: scanned objects of 15 classes as clouds of 2048 points."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..checks import choice, integer
from ..errors import FormatError, require
from .dataset import all_items
from .readers.hdf5 import read_arrays
from .registry import DATASETS

__all__ = ["ScanObjectNN"]

# folder and end of the file name
_VARIANTS = {
    "obj_bg": ("main_split", ""),
    "obj_only": ("main_split_nobg", ""),
    "pb_t50_rs": ("main_split", "_augmentedrot_scale75"),
}
_CLASSES, _POINTS = 15, 2048
_SITE = "as published on hkust-vgd.github.io/scanobjectnn; it is not downloaded"


@DATASETS.register("scanobjectnn")
class ScanObjectNN(Dataset[tuple[Tensor, int]]):
    """Objects cut out of indoor scans (Uy et al. 2019, arXiv 1908.04616), centred, in the unit sphere.

    Where from: hkust-vgd.github.io/scanobjectnn; not downloaded. Layout, as in public loaders:
    ``<root>/<folder>/training_objectdataset<end>.h5`` and ``test_objectdataset<end>.h5`` with ``data``
    ``[N, 2048, 3]`` and ``label`` ``[N]``.

    Args:
        root: the folder that holds ``main_split`` and ``main_split_nobg``. split: "train" or "test".
        variant: "obj_only"; "obj_bg", with what stood around the object; "pb_t50_rs", the hardest: boxes
            moved, turned and scaled.
        points: of a cloud, the first ones of the file, at most 2048.

    Item: ``(points [points, 3] float32, label)``.

    Attributes:
        in_channels: 3. img_size: number of points, the size of a sample.

    Raises:
        MissingDependencyError: h5py is not installed. ConfigError: a setting out of range.
        FormatError: no such file, or a malformed one. LimitError: a file of too many points.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        variant: Literal["obj_only", "obj_bg", "pb_t50_rs"] = "pb_t50_rs",
        points: int = 1024,
    ) -> None:
        require(split in ("train", "test"), "ScanObjectNN.split", split, "'train' or 'test'")
        folder, end = _VARIANTS[choice("ScanObjectNN.variant", variant, _VARIANTS)]
        integer("ScanObjectNN.points", points, 1, _POINTS)
        path = Path(root) / folder / f"{'training' if split == 'train' else 'test'}_objectdataset{end}.h5"
        if not path.is_file():
            raise FormatError(path, "no such file.", hint=f"Give the folder that holds {folder}, {_SITE}.")
        data, labels = read_arrays(path, {"data": (None, _POINTS, 3), "label": (None,)})
        if len(data) != len(labels) or not len(data):
            raise FormatError(path, f"{len(data)} clouds, {len(labels)} labels; expected as many, and some.")
        if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < _CLASSES:
            raise FormatError(path, f"labels of {labels.dtype}, expected integers from 0 to {_CLASSES - 1}.")
        self._clouds = torch.from_numpy(data[:, :points].astype("float32"))
        finite = self._clouds.isfinite().flatten(1).all(1)
        if not finite.all():
            raise FormatError(
                path, f"cloud {int(finite.long().argmin())} has coordinates that are not finite."
            )
        self.labels, self.num_classes = torch.from_numpy(labels.astype("int64")), _CLASSES
        self.in_channels, self.img_size = 3, points
        self._name = f"ScanObjectNN({split!r}, variant={variant!r}, points={points})"

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ScanObjectNN: index {index} out of range for {len(self)} clouds")
        cloud = self._clouds[index]
        cloud = cloud - cloud.mean(0)
        return cloud / cloud.norm(dim=1).max().clamp(min=1e-12), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(points [N, points, 3], labels [N])``."""
        return all_items(self)

    def __repr__(self) -> str:
        return self._name
