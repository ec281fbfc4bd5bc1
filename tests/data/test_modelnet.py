"""OFF meshes, points on them, and the two layouts of ModelNet."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from snnkit.data import DATASETS, Mesh, ModelNet, read_off, sample_surface
from snnkit.errors import ConfigError, FormatError

SQUARE = "OFF\n# two triangles\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_golden_meshes() -> None:
    root = Path(os.environ.get("SNNKIT_DATA", "")) / "format_samples" / "off"
    if not root.is_dir():
        pytest.skip("SNNKIT_DATA has no OFF samples")
    sizes = {"0001": (3514, 3546), "0002": (700, 664), "0004": (2842, 3519)}
    for name, (vertices, faces) in sizes.items():
        mesh = read_off(root / f"bathtub_{name}.off")
        assert mesh.vertices.shape == (vertices, 3)
        assert mesh.faces.shape == (faces, 3)
    assert read_off(root / "bathtub_0001.off").vertices[0].tolist() == [18.5143, -29.8765, -23.0382]


@pytest.mark.parametrize("head", ["OFF\n4 2 0\n", "OFF4 2 0\n", "OFF 4 2 0\n", "OFF\r\n4 2 0\r\n"])
def test_heads(tmp_path: Path, head: str) -> None:
    body = SQUARE.partition("4 2 0\n")[2]
    mesh = read_off(write(tmp_path / "a.off", head + body))
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_polygon_becomes_a_fan(tmp_path: Path) -> None:
    text = SQUARE.replace("4 2 0", "4 1 0").partition("3 0 1 2")[0] + "4 0 1 2 3\n"
    assert read_off(write(tmp_path / "a.off", text)).faces.tolist() == [[0, 1, 2], [0, 2, 3]]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begins with OFF"),
        ("OFF", "numbers of vertices"),
        ("OFF\nx 2 0\n", "numbers of vertices"),
        (SQUARE.replace("4 2 0", "4 999999999999 0"), "lines follow"),
        (SQUARE.replace("4 2 0", "-1 2 0"), "lines follow"),
        (SQUARE.replace("1 1 0", "1 nan 0"), "NaN"),
        (SQUARE.replace("1 1 0", "1 1"), "three numbers"),
        (SQUARE.replace("1 1 0", "1 a 0"), "three numbers"),
        (SQUARE.replace("3 0 2 3", "3 0 2 4"), "face 1"),
        (SQUARE.replace("3 0 2 3", "3 0 2"), "face 1"),
        (SQUARE.replace("3 0 2 3", "2 0 2"), "face 1"),
        (SQUARE.replace("3 0 2 3", "3 0 -1 3"), "face 1"),
    ],
)
def test_malformed_meshes(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        read_off(write(tmp_path / "a.off", text))


def test_points_are_uniform_in_area() -> None:
    """A triangle of area 3 beside one of area 1; within the large one, the mean is its centroid."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [10, 0, 0], [12, 0, 0], [10, 1, 0]], float)
    mesh = Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]]))
    points = sample_surface(mesh, 40_000, np.random.default_rng(0))
    large = points[points[:, 0] < 5]
    assert len(large) / 40_000 == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(large.mean(0), [1, 2 / 3, 0], atol=0.02)
    assert (large[:, 0] / 3 + large[:, 1] / 2).max() <= 1 + 1e-12
    with pytest.raises(ConfigError, match="no area"):
        sample_surface(Mesh(vertices, np.array([[0, 0, 1]])), 3, np.random.default_rng(0))


def test_meshes_in_folders(tmp_path: Path) -> None:
    for name in ("bed/train/bed_1", "bed/train/bed_2", "chair/train/chair_1", "chair/test/chair_2"):
        write(tmp_path / f"{name}.off", SQUARE)
    data = DATASETS.get("modelnet")(root=tmp_path, split="train", points=32)
    assert data.labels.tolist() == [0, 0, 1]
    assert data.names == ("bed", "chair")
    points, label = data[-1]
    assert (points.shape, label) == ((32, 3), 1)
    assert points.mean(0).abs().max() < 1e-6
    assert float(points.norm(dim=1).max()) == pytest.approx(1)
    assert (data.tensors()[0][2] == points).all()
    assert not (data[0][0] == data[1][0]).all()
    with pytest.raises(ConfigError, match="normals"):
        ModelNet(tmp_path, normals=True)
    with pytest.raises(FormatError, match="holds no shapes"):
        ModelNet(tmp_path / "bed")


def test_resampled_text(tmp_path: Path) -> None:
    write(tmp_path / "modelnet10_test.txt", "bed_0001\nnight_stand_0002\n")
    rows = "".join(f"{i},{2 * i},0,0,0,1\n" for i in range(20))
    write(tmp_path / "bed" / "bed_0001.txt", rows)
    write(tmp_path / "night_stand" / "night_stand_0002.txt", rows[:40])
    data = ModelNet(tmp_path, "test", classes=10, points=16, normals=True)
    assert data.names == ("bed", "night_stand")
    assert data.in_channels == 6
    points, label = data[0]
    assert (points.shape, label) == ((16, 6), 0)
    assert (points[:, 5] == 1).all()
    assert float(points[:, :3].norm(dim=1).max()) == pytest.approx(1)
    with pytest.raises(FormatError, match=r"16 lines|six numbers"):
        _ = data[1]
    write(tmp_path / "modelnet10_train.txt", "airplane_0001\nnight_stand_0001\n")
    both = ModelNet(tmp_path, "test", classes=10), ModelNet(tmp_path, "train", classes=10)
    assert both[0].names == both[1].names == ("airplane", "bed", "night_stand")
    assert [data.labels.tolist() for data in both] == [[1, 2], [0, 2]]
