"""ScanObjectNN: layout, clouds, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from snnkit.data import DATASETS, LIMITS, ScanObjectNN
from snnkit.errors import ConfigError, FormatError, LimitError

CLOUDS = np.random.default_rng(0).normal(3, 2, (5, 2048, 3)).astype(np.float32)
LABELS = np.array([0, 14, 3, 3, 7], np.int32)


def write(
    root: Path, clouds: Any = CLOUDS, labels: Any = LABELS, name: str = "training_objectdataset"
) -> Path:
    path = root / "main_split" / f"{name}.h5"
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = clouds, labels
    return path


def test_clouds_are_centred_and_in_the_unit_sphere(tmp_path: Path) -> None:
    write(tmp_path)
    data = DATASETS.get("scanobjectnn")(root=tmp_path, variant="obj_bg", points=100)
    assert isinstance(data, ScanObjectNN)
    points, labels = data.tensors()
    wanted = CLOUDS[:, :100] - CLOUDS[:, :100].mean(1, keepdims=True)
    wanted /= np.linalg.norm(wanted, axis=2).max(1)[:, None, None]
    np.testing.assert_allclose(points.numpy(), wanted, atol=1e-6)
    assert labels.tolist() == LABELS.tolist()
    assert (data.num_classes, data.in_channels, data.img_size, len(data)) == (15, 3, 100, 5)
    assert torch.equal(data[-1][0], data[4][0])
    with pytest.raises(IndexError, match="5 out of range for 5"):
        data[5]


@pytest.mark.parametrize(
    ("variant", "split", "path"),
    [
        ("obj_only", "train", "main_split_nobg/training_objectdataset.h5"),
        ("obj_bg", "test", "main_split/test_objectdataset.h5"),
        ("pb_t50_rs", "train", "main_split/training_objectdataset_augmentedrot_scale75.h5"),
    ],
)
def test_layout(tmp_path: Path, variant: Any, split: Any, path: str) -> None:
    with pytest.raises(FormatError, match="no such file") as caught:
        ScanObjectNN(tmp_path, split, variant=variant)
    assert path in str(caught.value)


NAN = CLOUDS.copy()
NAN[2, 5, 1] = np.nan


@pytest.mark.parametrize(
    ("clouds", "labels", "why"),
    [
        (CLOUDS[:, :100], LABELS, r"\(5, 100, 3\), expected \[any, 2048, 3\]"),
        (CLOUDS[..., 0], LABELS, r"\(5, 2048\), expected \[any, 2048, 3\]"),
        (CLOUDS, LABELS[:4], "5 clouds, 4 labels"),
        (CLOUDS[:0], LABELS[:0], "and some"),
        (CLOUDS, LABELS + 1, "from 0 to 14"),
        (CLOUDS, LABELS - 1, "from 0 to 14"),
        (CLOUDS, LABELS.astype(float), "labels of float64"),
        (NAN, LABELS, "cloud 2 has coordinates that are not finite"),
        (CLOUDS.astype("S4"), LABELS, "expected numbers"),
    ],
)
def test_malformed_files(tmp_path: Path, clouds: Any, labels: Any, why: str) -> None:
    write(tmp_path, clouds, labels)
    with pytest.raises(FormatError, match=why):
        ScanObjectNN(tmp_path, variant="obj_bg")


def test_files_that_reach_elsewhere(tmp_path: Path) -> None:
    other, path = write(tmp_path, name="other"), write(tmp_path)
    with h5py.File(path, "a") as file:
        del file["data"]
        file["data"] = h5py.ExternalLink(other, "data")
    with pytest.raises(FormatError, match="found a ExternalLink at 'data'"):
        ScanObjectNN(tmp_path, variant="obj_bg")
    with h5py.File(path, "a") as file:
        del file["data"]
    with pytest.raises(FormatError, match="found nothing at 'data'"):
        ScanObjectNN(tmp_path, variant="obj_bg")


def test_damaged_and_huge_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path)
    monkeypatch.setattr(LIMITS, "frame_cells", 1000)
    with pytest.raises(LimitError, match="frame_cells"):
        ScanObjectNN(tmp_path, variant="obj_bg")
    whole = path.read_bytes()
    for part in (b"", b"\x80\x04pickle", whole[:1000], whole[:-1000]):
        path.write_bytes(part)
        with pytest.raises(FormatError):
            ScanObjectNN(tmp_path, variant="obj_bg")


def test_settings(tmp_path: Path) -> None:
    for wrong in ({"split": "val"}, {"variant": "hardest"}, {"points": 0}, {"points": 2049}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            ScanObjectNN(tmp_path, **wrong)
