"""Procedural shapes: where their points lie, and that everyone gets the same ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from snnkit.data import ShapesDataset
from snnkit.data.shapes import _SHAPES
from snnkit.errors import ConfigError

SURFACE = {
    "sphere": lambda x, y, z: np.hypot(np.hypot(x, y), z) - 1,
    "cube": lambda x, y, z: np.abs([x, y, z]).max(0) - 1,
    "cylinder": lambda x, y, z: np.maximum(np.hypot(x, y) / 0.6, np.abs(z)) - 1,
    "cone": lambda x, y, z: np.minimum(np.abs(z + 1), np.abs(np.hypot(x, y) - 0.4 * (1 - z))),
    "torus": lambda x, y, z: np.hypot(np.hypot(x, y) - 0.75, z) - 0.25,
    "plane": lambda x, y, z: z,
    "two_spheres": lambda x, y, z: np.hypot(np.hypot(np.abs(x) - 0.55, y), z) - 0.45,
    "helix": lambda x, y, z: np.hypot(x - 0.6 * np.cos(3 * np.pi * z), y - 0.6 * np.sin(3 * np.pi * z)),
    "hemisphere": lambda x, y, z: np.hypot(np.hypot(x, y), z) - 1 + (z < 0),
    "saddle": lambda x, y, z: z - (x**2 - y**2),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_points_lie_on_their_shape(name):
    points = _SHAPES[name](np.random.default_rng(0), 2000)
    assert points.shape == (2000, 3)
    assert np.abs(SURFACE[name](*points.T)).max() < 1e-12


def test_points_are_uniform_in_area():
    rng = np.random.default_rng(0)
    z = _SHAPES["sphere"](rng, 20_000)[:, 2]
    assert np.histogram(z, 4, (-1, 1))[0] / 20_000 == pytest.approx(0.25, abs=0.02)  # Archimedes
    x, y, _ = _SHAPES["torus"](rng, 20_000).T
    assert (np.hypot(x, y) > 0.75).mean() == pytest.approx(0.5 + 0.25 / (np.pi * 0.75), abs=0.02)
    z = _SHAPES["cone"](rng, 20_000)[:, 2]
    assert (z == -1).mean() == pytest.approx(0.8 / (0.8 + np.hypot(0.8, 2)), abs=0.02)
    x, y, _ = _SHAPES["saddle"](rng, 20_000).T
    grid = (np.arange(400) + 0.5) / 400
    area = np.sqrt(1 + 4 * grid[:, None] ** 2 + 4 * grid**2)
    inner = area[:200, :200].sum() / area.sum()
    assert (np.maximum(np.abs(x), np.abs(y)) < 0.5).mean() == pytest.approx(inner, abs=0.01)
    z = _SHAPES["cylinder"](rng, 20_000)[:, 2]
    assert (np.abs(z) == 1).mean() == pytest.approx(0.6 / 2.6, abs=0.02)


def test_samples_are_normalised_and_repeatable():
    data = ShapesDataset(n=16, points=100, seed=1)
    points, label = data[11]
    assert (points.shape, points.dtype, label) == ((100, 3), torch.float32, 1)
    assert points.norm(dim=1).max() == pytest.approx(1, abs=1e-6)
    assert points.mean(0).abs().max() < 1e-6
    assert torch.equal(points, ShapesDataset(n=12, points=100, seed=1)[11][0])
    assert torch.equal(points, data[-5][0])
    assert not torch.equal(points, ShapesDataset(n=16, points=100, seed=2)[11][0])
    assert not torch.equal(points, ShapesDataset("test", n=16, points=100, seed=1)[11][0])
    everything, labels = data.tensors()
    assert everything.shape == (16, 100, 3)
    assert labels.tolist() == [*range(10), *range(6)]
    assert ShapesDataset(points=1)[0][0].isfinite().all()


def test_refusals():
    for bad in ({"n": 0}, {"points": 0}, {"seed": -1}, {"split": "val"}):
        with pytest.raises(ConfigError, match=rf"ShapesDataset\.{next(iter(bad))}"):
            ShapesDataset(**bad)
    with pytest.raises(IndexError):
        ShapesDataset(n=3)[3]
