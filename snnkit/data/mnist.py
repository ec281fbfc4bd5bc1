"""MNIST and Fashion-MNIST: idx files as published, plain or ``.gz``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch

from ..errors import FormatError, InputTypeError, quote, require
from .images import EncodedImages
from .readers import read_idx
from .registry import DATASETS

__all__ = ["MNIST", "FashionMNIST"]

_LAYOUT = (
    "Expected train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two with t10k (or test), plain "
    "or with .gz, as published; they are not downloaded."
)


@DATASETS.register("mnist")
class MNIST(EncodedImages):
    """Handwritten digits, 28x28: 60 000 for training, 10 000 for testing; any part of them works.

    Where from: the four idx files of LeCun, Cortes and Burges (yann.lecun.com/exdb/mnist and its mirrors).

    Args:
        root: folder of the four files. split: "train" or "test".
        encoder: "direct", "rate", "regular_rate" or "latency". T: number of steps.
        size: side of the images, zero-padded around the centre; 32 can be halved five times.
        seed: of "rate".

    Item: ``(frames [T, 1, size, size] float32, label)``.

    Raises:
        FormatError: a missing or malformed file, or images and labels that do not belong together.
        ConfigError: an argument out of range.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        encoder: str = "direct",
        T: int = 4,
        size: int = 32,
        seed: int = 0,
    ) -> None:
        name = type(self).__name__
        require(split in ("train", "test"), f"{name}.split", split, "'train' or 'test'")
        ok = isinstance(size, int) and 28 <= size <= 1024
        require(ok, f"{name}.size", size, "an int in [28, 1024]")
        path, label_path = _find(root, split, "images-idx3"), _find(root, split, "labels-idx1")
        images, labels = read_idx(path), read_idx(label_path)
        if images.ndim != 3 or images.shape[1:] != (28, 28) or images.dtype != "uint8":
            raise FormatError(
                path, f"holds {images.shape} {images.dtype}, expected uint8 [N, 28, 28].", hint=_LAYOUT
            )
        if labels.shape != images.shape[:1] or labels.dtype != "uint8":
            raise FormatError(
                label_path,
                f"holds {labels.shape} {labels.dtype}, expected uint8 [{len(images)}].",
                hint=_LAYOUT,
            )
        if labels.size and labels.max() > 9:
            raise FormatError(label_path, f"label {labels.max()}, expected 0..9.")
        self.split = split
        padded = torch.zeros(len(images), 1, size, size, dtype=torch.uint8)
        edge = (size - 28) // 2
        padded[:, 0, edge : edge + 28, edge : edge + 28] = torch.from_numpy(images)
        super().__init__(padded, torch.from_numpy(labels).long(), 10, encoder=encoder, T=T, seed=seed)


@DATASETS.register("fashion_mnist")
class FashionMNIST(MNIST):
    """Images of clothing in the form of :class:`MNIST`: 60 000 and 10 000 of 28x28, 10 classes.

    Where from: github.com/zalandoresearch/fashion-mnist (Xiao, Rasul, Vollgraf 2017, arXiv 1708.07747).
    """


def _find(root: str | os.PathLike[str], split: str, kind: str) -> Path:
    if not isinstance(root, str | os.PathLike):
        raise InputTypeError(f"MNIST.root: got {type(root).__name__} {quote(root)}, expected a path.")
    starts = ("train",) if split == "train" else ("t10k", "test")
    names = [f"{start}-{kind}-ubyte{end}" for start in starts for end in ("", ".gz")]
    for name in names:
        if (Path(root) / name).is_file():
            return Path(root) / name
    raise FormatError(root, f"none of the files {', '.join(names)} is in it.", hint=_LAYOUT)
