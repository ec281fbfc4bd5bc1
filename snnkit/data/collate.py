"""From samples to batches, time first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import ShapeError, require
from .events import Events

__all__ = ["Batch", "EventBatch", "collate", "collate_events"]


class Batch(NamedTuple):
    """Frames of a batch.

    Attributes:
        x: ``[T, B, ...]``. y: labels ``[B]``. lengths: real steps per sample ``[B]``.
        mask: ``[T, B]``, True where a step is real and not padding.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor
    mask: Tensor


def collate(samples: Sequence[tuple[Tensor, int]], mode: Literal["pad", "crop", "stack"] = "pad") -> Batch:
    """Join ``(frames [T_i, ...], label)`` samples.

    Args:
        mode: "pad" appends zeros up to the longest sample; "crop" cuts to the shortest; "stack" demands
            equal lengths.

    Raises:
        ShapeError: no samples, frames of different shape, or different lengths with "stack".
    """
    require(mode in ("pad", "crop", "stack"), "collate.mode", mode, '"pad", "crop" or "stack"')
    if not samples:
        raise ShapeError("collate: got no samples, expected at least one.")
    frames, labels = zip(*samples, strict=True)
    for i, f in enumerate(frames):
        if f.shape[1:] != frames[0].shape[1:]:
            raise ShapeError(
                f"collate: sample {i} has frames of shape {tuple(f.shape[1:])}, sample 0 of "
                f"{tuple(frames[0].shape[1:])}. Bring all to one sensor size first."
            )
    lengths = torch.tensor([len(f) for f in frames])
    if mode == "stack" and len(set(lengths.tolist())) > 1:
        raise ShapeError(
            f"collate: samples have {lengths.tolist()} steps, expected equal lengths. Use mode='pad' or 'crop'."
        )
    if mode == "crop":
        lengths = lengths.clamp(max=int(lengths.min()))
    x = frames[0].new_zeros(int(lengths.max()), len(frames), *frames[0].shape[1:])
    for i, (f, length) in enumerate(zip(frames, lengths.tolist(), strict=True)):
        x[:length, i] = f[:length]
    mask = torch.arange(x.shape[0])[:, None] < lengths
    return Batch(x, torch.as_tensor(labels), lengths, mask)


class EventBatch(NamedTuple):
    """Events of a batch, one after the other; sample i is ``[ptr[i], ptr[i+1])``.

    Attributes:
        t, x, y, p: ``[E]`` int64. ptr: ``[B+1]``. labels: ``[B]``. sensor_size: common to all.
    """

    t: Tensor
    x: Tensor
    y: Tensor
    p: Tensor
    ptr: Tensor
    labels: Tensor
    sensor_size: tuple[int, int, int]


def collate_events(samples: Sequence[tuple[Events, int]]) -> EventBatch:
    """Join ``(Events, label)`` samples.

    Raises:
        ShapeError: no samples, or different sensors.
    """
    if not samples:
        raise ShapeError("collate_events: got no samples, expected at least one.")
    events, labels = zip(*samples, strict=True)
    sizes = {e.sensor_size for e in events}
    if len(sizes) > 1:
        raise ShapeError(f"collate_events: sensors differ: {sorted(sizes)}. Batch one sensor at a time.")
    joined = [
        torch.from_numpy(np.concatenate([getattr(e, n) for e in events]).astype(np.int64)) for n in "txyp"
    ]
    ptr = torch.tensor([0, *np.cumsum([len(e) for e in events]).tolist()])
    return EventBatch(*joined, ptr, torch.as_tensor(labels), events[0].sensor_size)
