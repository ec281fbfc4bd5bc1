"""``Noise``: random frames of any shape, to try whether something runs."""

from __future__ import annotations

from typing import Literal

import torch

from ..checks import integer
from ..errors import require
from .images import EncodedImages
from .registry import DATASETS

__all__ = ["Noise"]


@DATASETS.register("noise")
class Noise(EncodedImages):
    """Uniform noise with labels 0, 1, ... in turn: it proves that a training starts, and nothing else.

    Args:
        split: "train" or "test"; they differ.
        n, channels, size, num_classes: samples, and the shape of the data that are stood in for.
        T: number of steps. root: taken and not used, as the data stood in for may have one.

    Item: ``(frames [T, channels, size, size] float32 in [0, 1], label)``.
    """

    def __init__(
        self,
        split: Literal["train", "test"] = "train",
        *,
        n: int = 4,
        channels: int = 3,
        size: int = 32,
        num_classes: int = 10,
        T: int = 4,
        root: str | None = None,
    ) -> None:
        require(split in ("train", "test"), "Noise.split", split, "'train' or 'test'")
        shape = [
            integer(f"Noise.{name}", value)
            for name, value in (("n", n), ("channels", channels), ("size", size), ("size", size))
        ]
        generator = torch.Generator().manual_seed(int(split == "test"))
        images = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
        labels = torch.arange(n) % integer("Noise.num_classes", num_classes)
        super().__init__(images, labels, num_classes, encoder="direct", T=T, seed=0)
