"""ModelNet10/40: shapes as clouds, from meshes or from the resampled text edition."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..checks import flag, integer
from ..errors import ConfigError, FormatError, require
from .folder import subfolders
from .limits import LIMITS
from .readers import Mesh, read_off
from .readers.source import Source
from .registry import DATASETS

__all__ = ["ModelNet", "sample_surface"]


def sample_surface(mesh: Mesh, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``[count, 3]`` points, uniform in area: a triangle by its area, then a uniform point on it.

    Raises:
        ConfigError: a mesh without area.
    """
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not areas.sum() > 0:
        raise ConfigError("sample_surface: the mesh has no area. Leave it out.")
    chosen = rng.choice(len(areas), count, p=areas / areas.sum())
    root, share = np.sqrt(rng.uniform(size=(count, 1))), rng.uniform(size=(count, 1))
    return (1 - root) * a[chosen] + root * (1 - share) * b[chosen] + root * share * c[chosen]


@DATASETS.register("modelnet")
class ModelNet(Dataset[tuple[Tensor, int]]):
    """Shapes of ModelNet (Wu et al. 2015, arXiv 1406.5670), centred on their mean, in the unit sphere.

    Two layouts of ``root`` are known:

    * meshes: ``<class>/train|test/<name>.off``; points are drawn uniform in area, the same for every epoch
    * ``modelnet40_normal_resampled``: ``modelnet40_train.txt`` and others list names, ``<class>/<name>.txt``
      holds 10 000 lines ``x,y,z,nx,ny,nz``, of which the first ``points`` are taken

    Args:
        root: the folder. split: "train" or "test". points: of a cloud.
        classes: 40 or 10, which lists of the text edition to take; of meshes, all folders are classes.
        normals: append them; text edition only. seed: of the points on meshes.

    Item: ``(points [points, 3 or 6] float32, label)``; labels follow the alphabet of ``names``, the
    classes of both splits.

    Raises:
        ConfigError: a setting out of range. FormatError: no such folder, or a malformed file.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        points: int = 1024,
        classes: int = 40,
        normals: bool = False,
        seed: int = 0,
    ) -> None:
        require(split in ("train", "test"), "ModelNet.split", split, "'train' or 'test'")
        require(classes in (10, 40), "ModelNet.classes", classes, "10 or 40")
        self.points, self.seed = (
            integer("ModelNet.points", points),
            integer("ModelNet.seed", seed, 0, 2**63 - 1),
        )
        self.normals, self.root = flag("ModelNet.normals", normals), Path(root)
        wanted = f"<class>/{split}/<name>.off, or modelnet{classes}_{split}.txt beside <class>/<name>.txt"
        hint = f"Expected {wanted}, as on modelnet.cs.princeton.edu; they are not downloaded."
        self.names = tuple(subfolders(root, hint))
        lists = {part: self.root / f"modelnet{classes}_{part}.txt" for part in ("train", "test")}
        self.text = lists[split].is_file()
        if self.text:
            lines = lists[split].read_text().split()
            # classes of both splits, so that a label is the same word in both
            every = " ".join(file.read_text() for file in lists.values() if file.is_file()).split()
            self.names = tuple(sorted({line.rpartition("_")[0] for line in every}))
            self._files = [self.root / line.rpartition("_")[0] / f"{line}.txt" for line in lines]
            labels = [self.names.index(line.rpartition("_")[0]) for line in lines]
        else:
            require(not normals, "ModelNet.normals", normals, "False for meshes, which have none")
            found = [sorted((self.root / name / split).glob("*.off")) for name in self.names]
            self._files = [file for files in found for file in files]
            labels = [label for label, files in enumerate(found) for _ in files]
        if not self._files:
            raise FormatError(root, "holds no shapes.", hint=hint)
        self.labels, self.num_classes = torch.tensor(labels), len(self.names)
        self.in_channels, self.img_size = 6 if normals else 3, points

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ModelNet: index {index} out of range for {len(self)} shapes")
        index %= len(self)
        if self.text:
            rows = _read_text(self._files[index], self.points)[:, : self.in_channels]
        else:
            rng = np.random.default_rng([self.seed, index])
            rows = sample_surface(read_off(self._files[index]), self.points, rng)
        rows[:, :3] -= rows[:, :3].mean(0)
        rows[:, :3] /= max(float(np.linalg.norm(rows[:, :3], axis=1).max()), 1e-12)
        return torch.from_numpy(rows.astype(np.float32)), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(points [N, points, 3 or 6], labels [N])``.

        Raises:
            LimitError: more cells than ``LIMITS.frame_cells``.
        """
        LIMITS.check("frame_cells", len(self) * self.points * self.in_channels, "ModelNet.tensors: cells")
        return torch.stack([self[i][0] for i in range(len(self))]), self.labels.clone()

    def __repr__(self) -> str:
        kind = "text" if self.text else "meshes"
        return f"ModelNet({len(self)} shapes of {self.num_classes} classes from {kind}, points={self.points})"


def _read_text(path: Path, count: int) -> NDArray[np.float64]:
    """The first ``count`` lines ``x,y,z,nx,ny,nz``."""
    with Source(path, "ModelNet") as source:
        lines = source.read(0, min(source.size, 256 * count)).split(b"\n")[:count]
        try:
            rows = np.array([line.split(b",") for line in lines], np.float64)
        except ValueError as error:
            source.fail("expected lines of six numbers, x,y,z,nx,ny,nz.", cause=error)
        if rows.shape != (count, 6) or not np.isfinite(rows).all():
            source.fail(f"expected {count} lines of six finite numbers, got {rows.shape}.")
        return rows
