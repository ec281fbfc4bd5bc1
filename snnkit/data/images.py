"""Static images through an encoder: what the image data sets share."""

from __future__ import annotations

import operator

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..checks import integer
from ..encoding import ENCODERS
from ..errors import InputTypeError, require
from .dataset import all_items

__all__ = ["EncodedImages"]

_DYNAMIC = ("delta",)  # encoders of signals, not of images


class EncodedImages(Dataset[tuple[Tensor, int]]):
    """Images in memory; item i is ``(encoder(image i) [T, C, H, W] float32, label)``.

    Values are scaled to [0, 1] first. A random encoder draws from a generator that is seeded with
    (seed, i): an item is the same whenever it is asked for.

    Args:
        images: uint8 ``[N, C, H, W]``. labels: int64 ``[N]``. num_classes: labels are below it.
        encoder: registered encoder of images, as "direct", "rate", "regular_rate" or "latency".
        T: number of steps. seed: of a random encoder.

    Attributes:
        in_channels: C. img_size: H. labels, num_classes, T: as above.

    Raises:
        UnknownNameError: no such encoder. ConfigError: a setting out of range, an encoder of signals.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, num_classes: int, *, encoder: str, T: int, seed: int
    ) -> None:
        name = type(self).__name__
        self.T = integer(f"{name}.T", T)
        self.seed = integer(f"{name}.seed", seed, 0, 2**40)
        known = [n for n in ENCODERS.names() if n not in _DYNAMIC]
        require(
            encoder not in _DYNAMIC, f"{name}.encoder", encoder, f"an encoder of images: {', '.join(known)}"
        )
        ENCODERS.get(encoder)
        self.images, self.labels, self.num_classes, self.encoder = images, labels, num_classes, encoder
        self.in_channels, self.img_size = images.shape[1], images.shape[2]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            i = operator.index(index)
        except TypeError as error:
            raise InputTypeError(f"{type(self).__name__}: index {index!r}, expected an int.") from error
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__}: index {i} out of range for {len(self)} samples")
        return self._encoded(i % len(self)), int(self.labels[i])

    def _encoded(self, i: int) -> Tensor:
        image = self._image(i).float() / 255
        more = {}
        if self.encoder == "rate":
            more["generator"] = torch.Generator().manual_seed(self.seed * 1_000_003 + i)
        return ENCODERS.get(self.encoder)(image, self.T, **more)[:, 0].clone()

    def _image(self, i: int) -> Tensor:
        """Image ``[1, C, H, W]`` uint8."""
        return self.images[i : i + 1]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(frames [N, T, C, H, W] float32, labels [N])``, for training in memory.

        Raises:
            LimitError: more cells than ``LIMITS.frame_cells``; iterate over the data set instead.
        """
        return all_items(self)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.images.shape[1:]))
        return (
            f"{type(self).__name__}({len(self)} images {size}, {self.num_classes} classes, "
            f"{self.encoder}, T={self.T})"
        )
