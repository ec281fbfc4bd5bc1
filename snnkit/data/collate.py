"""Samples to batches, time first. What is padding is said by a mask, never guessed from zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import InputTypeError, ShapeError, require
from .events import Events

__all__ = ["Batch", "EventBatch", "Lengths", "collate", "collate_events", "time_first"]

Lengths = Literal["pad", "crop", "stack"]


class Batch(NamedTuple):
    """Sequences of a batch.

    Attributes:
        x: ``[T_max, B, ...]``, zero after the end of a sample.
        y: labels ``[B]`` (or ``[B, ...]`` if labels are tensors).
        lengths: int64 ``[B]``, steps of each sample.
        mask: bool ``[T_max, B]``, True on real steps. Losses and firing rates have to use it; a mean over
            time divides by ``lengths``. None for clouds ``[B, N, D]``, whose steps the network makes.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor
    mask: Tensor | None


class EventBatch(NamedTuple):
    """Raw events of a batch, one recording after the other.

    Attributes:
        t int64, x int64, y int64, p int64: ``[N]``, all events.
        ptr: int64 ``[B+1]``; recording b is ``ptr[b]:ptr[b+1]``.
        labels: ``[B]``.
        t_span: int64 ``[B, 2]``, recording intervals. sensor_size: (W, H, P) of all.
    """

    t: Tensor
    x: Tensor
    y: Tensor
    p: Tensor
    ptr: Tensor
    labels: Tensor
    t_span: Tensor
    sensor_size: tuple[int, int, int]


def time_first(x: Tensor) -> Tensor:
    """``[N, T, P, H, W]`` -> ``[T, N, P, H, W]``; clouds ``[N, points, D]``, without time, as they are."""
    return x if x.ndim == 3 else x.transpose(0, 1)


def collate(batch: Sequence[tuple[Tensor, Any]], mode: Lengths = "pad") -> Batch:
    """Join samples ``(x [T_b, ...], label)``, e.g. as ``collate_fn`` of a DataLoader.

    Args:
        batch: at least one sample; shapes may differ in T only.
        mode: "pad" with zeros at the end to the longest; "crop" at the end to the shortest; "stack"
            demands equal lengths. Choose one with ``functools.partial(collate, mode="crop")``.

    Raises:
        ConfigError: unknown mode. InputTypeError: not pairs of tensor and label.
        ShapeError: empty batch; shapes or dtypes that differ, with the index of the sample.
    """
    require(mode in get_args(Lengths), "collate.mode", mode, "'pad', 'crop' or 'stack'")
    xs, labels = _pairs(batch, Tensor, "collate", "a tensor [T, ...]")
    first = xs[0]
    for i, x in enumerate(xs):
        same = x.ndim > 0 and x.shape[1:] == first.shape[1:] and x.dtype == first.dtype
        if not same or (mode == "stack" and x.shape != first.shape):
            what = "T, axes and dtype" if mode == "stack" else "axes after T and dtype"
            raise ShapeError(
                f"collate: sample {i} is {tuple(x.shape)} {x.dtype}, sample 0 is {tuple(first.shape)} "
                f'{first.dtype}; mode="{mode}" needs equal {what}.'
                + (' Sequences of different length: mode="pad" or "crop".' if mode == "stack" else "")
            )
    lengths = torch.tensor([len(x) for x in xs])
    steps = int(lengths.min() if mode == "crop" else lengths.max())
    lengths = lengths.clamp(max=steps)
    joined = first.new_zeros((steps, len(xs), *first.shape[1:]))
    for i, x in enumerate(xs):
        joined[: lengths[i], i] = x[:steps]
    return Batch(joined, _labels(labels), lengths, torch.arange(steps)[:, None] < lengths)


def collate_events(batch: Sequence[tuple[Events, Any]]) -> EventBatch:
    """Join recordings ``(Events, label)`` without binning them.

    Raises:
        InputTypeError: not pairs of Events and label.
        ShapeError: empty batch, or different sensors.
    """
    recordings, labels = _pairs(batch, Events, "collate_events", "snnkit.data.Events")
    ptr = torch.tensor([0, *(len(e) for e in recordings)]).cumsum(0)
    sensors = sorted({e.sensor_size for e in recordings})
    if len(sensors) > 1:
        raise ShapeError(f"collate_events: recordings of different sensors {sensors}; batch one at a time.")
    t, x, y, p = (
        torch.from_numpy(np.concatenate([getattr(e, name) for e in recordings]).astype(np.int64))
        for name in "txyp"
    )
    t_span = torch.tensor([e.t_span for e in recordings])
    return EventBatch(t, x, y, p, ptr, _labels(labels), t_span, sensors[0])


def _pairs(batch: Sequence[Any], kind: type, where: str, expected: str) -> tuple[list[Any], list[Any]]:
    if not isinstance(batch, Sequence):
        raise InputTypeError(f"{where}: got {type(batch).__name__}, expected a list of (sample, label).")
    if not batch:
        raise ShapeError(f"{where}: got an empty batch, expected at least one sample.")
    for i, pair in enumerate(batch):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], kind)):
            parts = pair if isinstance(pair, tuple | list) else [pair]
            got = ", ".join(type(part).__name__ for part in parts)
            raise InputTypeError(f"{where}: sample {i} is ({got}), expected ({expected}, label).")
    return [pair[0] for pair in batch], [pair[1] for pair in batch]


def _labels(labels: list[Any]) -> Tensor:
    try:
        return torch.stack([torch.as_tensor(label) for label in labels])
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise InputTypeError(
            f"collate: labels of types {kinds} do not join: {error}. Expected integers, or tensors "
            "of one shape."
        ) from error
