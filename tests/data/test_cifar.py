"""CIFAR in its binary edition, and noise in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from snnkit.data import CIFAR10, CIFAR100, Noise
from snnkit.errors import ConfigError, FormatError


def records(labels: list[list[int]], seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    return np.concatenate([np.array(labels, np.uint8), pixels], 1).tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ten = tmp_path / "cifar-10-batches-bin"
    ten.mkdir()
    (ten / "data_batch_1.bin").write_bytes(records([[3], [9]]))
    (ten / "data_batch_2.bin").write_bytes(records([[0]], 1))
    (ten / "test_batch.bin").write_bytes(records([[7]], 2))
    (tmp_path / "train.bin").write_bytes(records([[19, 99], [0, 5]]))
    return tmp_path


def test_ten_classes(folder: Path) -> None:
    data = CIFAR10(folder, T=2)
    assert data.labels.tolist() == [3, 9, 0]
    frames, label = data[0]
    assert frames.shape == (2, 3, 32, 32)
    raw = np.frombuffer((folder / data.FOLDER / "data_batch_1.bin").read_bytes(), np.uint8)
    wanted = torch.tensor(raw[1 : 1 + 1024].astype(np.float32) / 255).view(32, 32)
    assert torch.equal(frames[0, 0], wanted), "the red plane comes first, row by row"
    assert label == 3
    assert CIFAR10(folder / data.FOLDER, "test").labels.tolist() == [7]


def test_hundred_classes(folder: Path) -> None:
    data = CIFAR100(folder)
    assert data.labels.tolist() == [99, 5], "the second byte, not that of the groups"
    assert data.num_classes == 100


def test_refusals(folder: Path) -> None:
    with pytest.raises(FormatError, match=r"test\.bin"):
        CIFAR100(folder, "test")
    with pytest.raises(ConfigError, match="split"):
        CIFAR10(folder, "val")  # type: ignore[arg-type]
    path = folder / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match="3072 bytes, expected a multiple of 3073"):
        CIFAR10(folder, "test")
    path.write_bytes(records([[10]]))
    with pytest.raises(FormatError, match="label 10"):
        CIFAR10(folder, "test")


def test_noise() -> None:
    data = Noise(n=5, channels=2, size=8, num_classes=3, T=6)
    assert data[4][0].shape == (6, 2, 8, 8)
    assert data.labels.tolist() == [0, 1, 2, 0, 1]
    assert torch.equal(data.images, Noise(n=5, channels=2, size=8, num_classes=3).images)
    assert not torch.equal(data.images, Noise("test", n=5, channels=2, size=8, num_classes=3).images)
