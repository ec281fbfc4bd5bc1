"""``ShapesDataset``: ten surfaces and curves as point clouds, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..checks import integer
from ..errors import require
from .dataset import all_items
from .registry import DATASETS

__all__ = ["ShapesDataset"]

Points = NDArray[np.float64]
_TURN = 2 * np.pi


def _sphere(rng: np.random.Generator, n: int) -> Points:
    v = rng.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def _cube(rng: np.random.Generator, n: int) -> Points:
    points = rng.uniform(-1, 1, (n, 3))
    points[np.arange(n), rng.integers(3, size=n)] = rng.choice([-1.0, 1.0], n)
    return points


def _cylinder(rng: np.random.Generator, n: int) -> Points:
    """Radius 0.6, height 2: the mantle has 0.769 of the area."""
    mantle = rng.uniform(size=n) < 2 / 2.6
    angle, side = rng.uniform(0, _TURN, n), rng.choice([-1.0, 1.0], n)
    radius = 0.6 * np.where(mantle, 1, np.sqrt(rng.uniform(size=n)))
    z = np.where(mantle, rng.uniform(-1, 1, n), side)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], 1)


def _cone(rng: np.random.Generator, n: int) -> Points:
    """Radius 0.8, height 2; the share of the base in the area is r / (r + slant)."""
    base = rng.uniform(size=n) < 0.8 / (0.8 + np.hypot(0.8, 2))
    angle, share = rng.uniform(0, _TURN, n), np.sqrt(rng.uniform(size=n))
    z = np.where(base, -1, 1 - 2 * share)
    return np.stack([0.8 * share * np.cos(angle), 0.8 * share * np.sin(angle), z], 1)


def _torus(rng: np.random.Generator, n: int) -> Points:
    """Radii 0.75 and 0.25; uniform in area: the small angle by rejection with weight R + r cos."""
    small = np.empty(0)
    while len(small) < n:
        draw, level = rng.uniform(0, _TURN, 2 * n), rng.uniform(0, 1, 2 * n)
        small = np.concatenate([small, draw[level < 0.75 + 0.25 * np.cos(draw)]])
    angle, small = rng.uniform(0, _TURN, n), small[:n]
    ring = 0.75 + 0.25 * np.cos(small)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), 0.25 * np.sin(small)], 1)


def _plane(rng: np.random.Generator, n: int) -> Points:
    return np.stack([*rng.uniform(-1, 1, (2, n)), np.zeros(n)], 1)


def _two_spheres(rng: np.random.Generator, n: int) -> Points:
    points = 0.45 * _sphere(rng, n)
    points[:, 0] += np.where(rng.uniform(size=n) < 0.5, -0.55, 0.55)
    return points


def _hemisphere(rng: np.random.Generator, n: int) -> Points:
    points = _sphere(rng, n)
    points[:, 2] = np.abs(points[:, 2])
    return points


def _saddle(rng: np.random.Generator, n: int) -> Points:
    """z = x^2 - y^2; uniform in area by rejection with weight sqrt(1 + 4 x^2 + 4 y^2), at most 3."""
    kept = np.empty((0, 2))
    while len(kept) < n:
        draw, level = rng.uniform(-1, 1, (3 * n, 2)), rng.uniform(0, 3, 3 * n)
        kept = np.concatenate([kept, draw[level**2 < 1 + 4 * (draw**2).sum(1)]])
    x, y = kept[:n].T
    return np.stack([x, y, x**2 - y**2], 1)


def _helix(rng: np.random.Generator, n: int) -> Points:
    s = rng.uniform(-1, 1, n)
    return np.stack([0.6 * np.cos(_TURN * 1.5 * s), 0.6 * np.sin(_TURN * 1.5 * s), s], 1)


_SHAPES: dict[str, Callable[[np.random.Generator, int], Points]] = {
    "sphere": _sphere,
    "cube": _cube,
    "cylinder": _cylinder,
    "cone": _cone,
    "torus": _torus,
    "plane": _plane,
    "two_spheres": _two_spheres,
    "helix": _helix,
    "hemisphere": _hemisphere,
    "saddle": _saddle,
}


@DATASETS.register("shapes")
class ShapesDataset(Dataset[tuple[Tensor, int]]):
    """Points on ten shapes, uniform in area; the class of sample i is i mod 10.

    Each is rotated about z, scaled by 0.8..1.25 along each axis, jittered by N(0, 0.02), moved to its mean
    and scaled into the unit sphere. A sample depends on (seed, split, i) alone.

    Args:
        split: "train" or "test", of different random numbers.
        n: number of samples. points: of each. seed: of the data set.

    Item: ``(points [points, 3] float32, label)``.

    Attributes:
        in_channels: 3. img_size: number of points, the size of a sample.

    Raises:
        ConfigError: an argument out of range.
    """

    CLASSES: ClassVar[tuple[str, ...]] = tuple(_SHAPES)

    def __init__(
        self, split: Literal["train", "test"] = "train", *, n: int = 800, points: int = 256, seed: int = 0
    ) -> None:
        require(split in ("train", "test"), "ShapesDataset.split", split, "'train' or 'test'")
        self.split = split
        self.n = integer("ShapesDataset.n", n, 1, 2**31)
        self.points = integer("ShapesDataset.points", points, 1, 2**20)
        self.seed = integer("ShapesDataset.seed", seed, 0, 2**63 - 1)
        self.in_channels, self.img_size = 3, points
        self.labels, self.num_classes = torch.arange(n) % len(_SHAPES), len(_SHAPES)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -self.n <= index < self.n:
            raise IndexError(f"ShapesDataset: index {index} out of range for {self.n} samples")
        index %= self.n
        rng = np.random.default_rng([self.seed, self.split == "test", index])
        label = index % len(_SHAPES)
        points = _SHAPES[self.CLASSES[label]](rng, self.points)
        angle = rng.uniform(0, _TURN)
        cos, sin = np.cos(angle), np.sin(angle)
        points = points @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        points = points * rng.uniform(0.8, 1.25, 3) + rng.normal(0, 0.02, points.shape)
        points = points - points.mean(0)
        points /= max(float(np.linalg.norm(points, axis=1).max()), 1e-12)
        return torch.from_numpy(points.astype(np.float32)), label

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(points [N, points, 3], labels [N])``."""
        return all_items(self)

    def __repr__(self) -> str:
        return f"ShapesDataset({self.split!r}, n={self.n}, points={self.points}, seed={self.seed})"
