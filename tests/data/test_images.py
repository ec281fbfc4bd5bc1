"""Static images: idx files and picture folders through encoders."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import torch
from PIL import Image

from snnkit.data import LIMITS, MNIST, FashionMNIST, ImageFolder
from snnkit.encoding import regular_rate
from snnkit.errors import ConfigError, FormatError, InputTypeError, LimitError, UnknownNameError


def write_idx(path, array, packed=False):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(int(n).to_bytes(4, "big") for n in array.shape)
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def digits(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 28, 28)), np.arange(6)
    write_idx(tmp_path / "train-images-idx3-ubyte", images)
    write_idx(tmp_path / "train-labels-idx1-ubyte", labels)
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", images[:2], packed=True)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", labels[:2], packed=True)
    return tmp_path, images


@pytest.mark.parametrize("kind", [MNIST, FashionMNIST])
def test_mnist(digits, kind):
    root, images = digits
    data = kind(root, T=3)
    assert (len(data), len(kind(root, "test")), data.in_channels, data.img_size) == (6, 2, 1, 32)
    frames, label = data[4]
    assert label == 4
    assert frames.shape == (3, 1, 32, 32)
    inside = torch.from_numpy(images[4]) / 255
    assert torch.equal(frames[0, 0, 2:30, 2:30], inside.float())
    assert frames[:, :, :2].sum() == frames[:, :, :, 30:].sum() == 0
    assert torch.equal(frames[0], frames[2])
    everything, labels = data.tensors()
    assert torch.equal(everything[4], frames)
    assert labels.tolist() == list(range(6))
    assert kind.__name__ in repr(data)


def test_encoders(digits):
    root, images = digits
    even = MNIST(root, encoder="regular_rate", T=8, size=28)[1][0]
    assert torch.equal(even, regular_rate(torch.from_numpy(images[1:2, None]) / 255.0, 8)[:, 0])
    rate = MNIST(root, encoder="rate", T=200, size=28, seed=3)
    assert torch.equal(rate[1][0], rate[1][0])
    assert torch.equal(rate[1][0], MNIST(root, encoder="rate", T=200, size=28, seed=3)[1][0])
    assert not torch.equal(rate[1][0], MNIST(root, encoder="rate", T=200, size=28, seed=4)[1][0])
    assert (rate[1][0].mean(0)[0] - torch.from_numpy(images[1]) / 255).abs().max() < 0.2
    assert MNIST(root, encoder="latency", T=8, size=28)[0][0].sum() == 28 * 28


def test_refusals(digits, monkeypatch):
    root, _ = digits
    for settings, error in (
        ({"encoder": "direkt"}, UnknownNameError),
        ({"encoder": "delta"}, ConfigError),
        ({"T": 0}, ConfigError),
        ({"size": 20}, ConfigError),
        ({"split": "val"}, ConfigError),
        ({"seed": -1}, ConfigError),
    ):
        with pytest.raises(error):
            MNIST(root, **settings)
    with pytest.raises(InputTypeError, match="expected an int"):
        MNIST(root)["1"]
    with pytest.raises(IndexError, match="6 samples"):
        MNIST(root)[6]
    with pytest.raises(InputTypeError, match="expected a path"):
        MNIST(3)
    monkeypatch.setattr(LIMITS, "frame_cells", 1000)
    with pytest.raises(LimitError, match="frame_cells"):
        MNIST(root).tensors()


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((6, 27, 28)), r"expected uint8 \[N, 28, 28\]"),
        ("train-labels-idx1-ubyte", np.zeros(5), r"expected uint8 \[6\]"),
        ("train-labels-idx1-ubyte", np.full(6, 10), "label 10"),
    ],
)
def test_files_that_do_not_belong_together(digits, name, array, message):
    write_idx(digits[0] / name, array)
    with pytest.raises(FormatError, match=message):
        MNIST(digits[0])


@pytest.mark.data
def test_the_sample(recordings):
    train, test = (MNIST(recordings / "mnist_mini", split, T=1) for split in ("train", "test"))
    assert (len(train), len(test)) == (7000, 1000)
    assert train.labels.bincount().min() > 500
    assert 0.1 < MNIST(recordings / "mnist_mini", T=1, size=28).tensors()[0].mean() < 0.16  # known: 0.13


# -- folders ---------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    for label, shade in (("cat", 255), ("dog", 0)):
        (tmp_path / "train" / label).mkdir(parents=True)
        for i, suffix in enumerate(("png", "bmp")):
            Image.new("RGB", (40, 20 + i), (shade, 0, 0)).save(tmp_path / "train" / label / f"{i}.{suffix}")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no picture")
    return tmp_path


def test_image_folder(pictures):
    data = ImageFolder(pictures, size=16, T=2)
    assert (len(data), data.classes, data.in_channels) == (4, ("cat", "dog"), 3)
    assert data.labels.tolist() == [0, 0, 1, 1]
    frames, _ = data[0]
    assert frames.shape == (2, 3, 16, 16)
    assert frames[:, 0].min() == 1
    assert frames[:, 1:].max() == 0
    assert ImageFolder(pictures, size=16, gray=True)[0][0].shape == (4, 1, 16, 16)
    assert len(ImageFolder(pictures / "train", None, size=8)) == 4


def test_pictures_read_when_asked_for(pictures):
    kept, read = (ImageFolder(pictures, size=16, T=2, keep=keep) for keep in (True, False))
    assert len(read) == 4
    assert (read.in_channels, read.img_size) == (3, 16)
    assert all(torch.equal(kept[i][0], read[i][0]) and kept[i][1] == read[i][1] for i in range(4))
    with pytest.raises(FormatError, match="val"):
        ImageFolder(pictures, "test")
    (pictures / "train").rename(pictures / "val")
    assert len(ImageFolder(pictures, "test", size=16)) == 4


def test_pictures_are_untrusted(pictures):
    path = pictures / "train" / "cat" / "0.png"
    good = path.read_bytes()
    for bad in (b"", good[: len(good) // 2], b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, b"%!PS-Adobe-3.0 EPSF"):
        path.write_bytes(bad)
        with pytest.raises(FormatError, match="cannot be decoded"):
            ImageFolder(pictures)
    head = bytearray(good)
    head[16:24] = (2**15).to_bytes(4, "big") * 2  # a header that promises 2**30 pixels
    path.write_bytes(head)
    with pytest.raises((LimitError, FormatError)):
        ImageFolder(pictures)
