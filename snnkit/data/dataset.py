"""What all labelled event data sets share: recordings on demand, frames of one shape."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from ..errors import ConfigError, InputTypeError, quote, require
from .events import Events, fingerprint
from .frames import Framing, Polarity
from .limits import LIMITS

__all__ = ["EventDataset", "SquareFrames", "all_items"]


@dataclass(frozen=True)
class SquareFrames:
    """Frames of one shape for networks: ``[T, P, S, S]``; ``[T, P*W, 1, 1]`` of a 1-D sensor.

    Args:
        framing: events to frames.
        size: side S, cropped or padded with zeros around the centre; None: as the sensor.
    """

    framing: Framing
    size: int | None = None

    def __call__(self, events: Events) -> Tensor:
        """Frames of one recording."""
        frames = self.framing(events)
        if frames.ndim == 2:
            return frames[..., None, None]
        if self.size is None:
            return frames
        width, height, _ = events.sensor_size
        left, top = (self.size - width) // 2, (self.size - height) // 2
        return F.pad(frames, (left, self.size - width - left, top, self.size - height - top))


class EventDataset(Dataset[tuple[Tensor, int]], ABC):
    """Labelled recordings of one sensor; item i is ``(frames [T, P, S, S] float32, label)``.

    A data set implements :meth:`events`, decorates itself with ``@DATASETS.register("name")`` and takes
    ``split="train"|"test"``.

    Args:
        labels: int64 ``[N]``.
        num_classes: labels are 0..num_classes - 1.
        sensor_size: (W, H, P) of every recording.
        T, polarity, binary: see :func:`to_frames`; bins cover the recording interval.
        size: side of the frames, cropped or padded with zeros, centred; None: as the sensor. Cropping is
            the one way to lose events here.

    Attributes:
        labels, num_classes, sensor_size, T: as above.
        representation: what makes frames of a recording; the last step of :class:`Transformed` that keeps
            the items of the data set as they are.
        in_channels: P of the frames. img_size: side S of the frames.

    Raises:
        ConfigError: see :func:`to_frames`, or size <= 0.
    """

    def __init__(
        self,
        labels: Tensor,
        num_classes: int,
        sensor_size: tuple[int, int, int],
        *,
        T: int,
        polarity: Polarity,
        binary: bool,
        size: int | None = None,
    ) -> None:
        ok = size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        require(ok, f"{type(self).__name__}.size", size, "an int > 0, or None for the size of the sensor")
        require(T is not None, f"{type(self).__name__}.T", T, "an int > 0")
        self._framing = Framing(T=T, polarity=polarity, binary=binary)
        self.representation: Callable[[Events], Tensor] = SquareFrames(self._framing, size)
        self.labels, self.num_classes, self.sensor_size = labels, num_classes, sensor_size
        self.T, self._size = T, size

    @abstractmethod
    def events(self, index: int) -> Events:
        """Recording ``index``, 0 <= index < len(self)."""

    def fingerprint(self, index: int) -> str:
        """Hash of all that makes recording ``index`` what it is: its events, sensor and interval."""
        return fingerprint(self.events(index))

    @property
    def in_channels(self) -> int:
        """Channels of a frame; all units of a 1-D sensor, whose frames are images of 1x1."""
        width, height, _ = self.sensor_size
        channels = self._framing.channels(self.sensor_size, type(self).__name__)
        return channels * width if height == 1 else channels

    @property
    def img_size(self) -> int:
        """Side of a frame. Raises ConfigError if frames are not square."""
        width, height, _ = self.sensor_size
        if height == 1:
            return 1
        if self._size is None and width != height:
            raise ConfigError(
                f"{type(self).__name__}: frames are {width}x{height}, not square. Crop or pad with size=..."
            )
        return self._size or height

    def frames(self, index: int) -> Tensor:
        """Frames ``[T, P, S, S]`` of one recording; ``[T, P*W, 1, 1]`` of a 1-D sensor."""
        return self.representation(self.events(index))

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(frames [N, T, P, S, S] float32, labels [N])``, for training in memory.

        Raises:
            LimitError: more cells than ``LIMITS.frame_cells``; iterate over the data set instead.
        """
        return all_items(self)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        index = self._index(index)
        return self.frames(index), int(self.labels[index])

    def _index(self, index: object) -> int:
        """``index`` as an int in [0, N); negative ones count from the end."""
        try:
            i = operator.index(index)  # type: ignore[arg-type]
        except TypeError as error:
            raise InputTypeError(
                f"{type(self).__name__}: index {quote(index)} is {type(index).__name__}, expected an int."
            ) from error
        if not -len(self) <= i < len(self):
            raise IndexError(f"{type(self).__name__}: index {i} out of range for {len(self)} samples")
        return i % len(self)

    def __repr__(self) -> str:
        size = "x".join(map(str, self.sensor_size))
        return (
            f"{type(self).__name__}({len(self)} recordings on {size}, {self.num_classes} classes, T={self.T})"
        )


def all_items(data: Any, indices: Sequence[int] | None = None) -> tuple[Tensor, Tensor]:
    """Items of a data set as two tensors: ``(x [N, ...], labels [N])``, for training in memory.

    Args:
        data: items are (tensor of one shape, label).
        indices: which items; None: all.

    Raises:
        LimitError: more cells than ``LIMITS.frame_cells``.
    """
    indices = range(len(data)) if indices is None else indices
    first, label = data[indices[0]]
    LIMITS.check("frame_cells", len(indices) * first.numel(), f"{type(data).__name__}.tensors: cells")
    x, labels = first.new_empty((len(indices), *first.shape)), torch.empty(len(indices), dtype=torch.int64)
    x[0], labels[0] = first, label
    for n, i in enumerate(indices[1:], 1):
        x[n], labels[n] = data[i]
    return x, labels
