r"""Frames of a whole batch of recordings at once, on the device that holds the events.

The bins are those of :class:`Framing` with ``T``, to the microsecond: with L = t1 - t0 and integers
w, r = divmod(L, T), bin k begins at t0 + k w + ceil(k r / T). A float64 quotient (t - t0) T / L is at most
one bin off; comparing with the two edges beside it makes it exact, without a product that could overflow.

On the CPU, bisection of the sorted times (:class:`Framing` itself, recording by recording) is faster.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import InputTypeError, LimitError, require
from .collate import EventBatch
from .events import Events
from .frames import Framing
from .limits import LIMITS

__all__ = ["batch_frames"]


def batch_frames(batch: EventBatch, framing: Framing) -> Tensor:
    """Frames of every recording, as ``framing`` makes them one by one, stacked along B.

    Args:
        batch: from :func:`collate_events`, moved to any device that has float64.
        framing: bins by ``T``; any polarity, span, dtype and ``binary``.

    Returns:
        ``[T, B, C, H, W]``; a 1-D sensor gives ``[T, B, C*W]``. It equals ``torch.stack([framing(e) for e in
        recordings], 1)`` bit for bit: counts are added as integers, so their order does not matter.

    Raises:
        InputTypeError: not an EventBatch. ConfigError: framing without T, or a polarity the sensor lacks.
        LimitError: more cells than ``LIMITS.frame_cells``, or a count that the dtype cannot hold.
    """
    if not isinstance(batch, EventBatch):
        raise InputTypeError(
            f"batch_frames: got {type(batch).__name__}, expected the EventBatch of collate_events."
        )
    require(framing.T is not None, "batch_frames.framing", framing, "bins by T, which all recordings share")
    width, height, polarities = batch.sensor_size
    channels = max(polarities, framing.channels(batch.sensor_size, "batch_frames"))
    steps, samples = int(framing.T or 0), len(batch.ptr) - 1
    cells = steps * samples * channels * height * width
    LIMITS.check("frame_cells", cells, "batch_frames: T*B*P*H*W")

    if batch.t.device.type == "cpu":
        return torch.stack([framing(events) for events in _recordings(batch)], 1)
    return scattered(batch, framing)


def scattered(batch: EventBatch, framing: Framing) -> Tensor:
    """What :func:`batch_frames` does on an accelerator; checked arguments."""
    width, height, polarities = batch.sensor_size
    steps, samples = int(framing.T or 0), len(batch.ptr) - 1
    cells = steps * samples * polarities * height * width
    sizes = batch.ptr.diff()
    sample = torch.repeat_interleave(torch.arange(samples, device=batch.t.device), sizes)
    start, length = _intervals(batch, framing.span)
    time, long = batch.t - start[sample], length[sample]
    cell = _bins(time, long, steps) * samples + sample
    for values, side in ((batch.p, polarities), (batch.y, height), (batch.x, width)):
        cell = cell * side + values
    counts = torch.bincount(cell, minlength=cells).view(steps, samples, polarities, height, width)
    frames = _combined(counts, framing)
    return frames.flatten(2) if height == 1 else frames


def _recordings(batch: EventBatch) -> Iterator[Events]:
    """The recordings of a batch on the CPU, as views."""
    columns = [getattr(batch, name).numpy() for name in "txyp"]
    for (a, b), (start, end) in zip(pairwise(batch.ptr.tolist()), batch.t_span.tolist(), strict=True):
        t, x, y, p = (column[a:b] for column in columns)
        yield Events._trusted((t, x, y, p), batch.sensor_size, (start, end), {})


def _intervals(batch: EventBatch, span: str) -> tuple[Tensor, Tensor]:
    """First time and length ``[B]`` of what the bins of each recording cover."""
    start, end = batch.t_span.unbind(1)
    if span == "recording" or len(batch.t) == 0:
        return start, end - start
    some = batch.ptr.diff() > 0
    last = len(batch.t) - 1
    first_time, last_time = batch.t[batch.ptr[:-1].clamp(max=last)], batch.t[(batch.ptr[1:] - 1).clamp(min=0)]
    zero = torch.zeros_like(start)
    return torch.where(some, first_time, zero), torch.where(some, last_time - first_time, zero)


def _bins(time: Tensor, length: Tensor, steps: int) -> Tensor:
    """``min(floor(time * steps / length), steps - 1)`` without overflow; 0 where length is 0."""
    whole = length.div(steps, rounding_mode="floor")
    rest = length - whole * steps

    def edge(k: Tensor) -> Tensor:
        return k * whole + (k * rest + steps - 1).div(steps, rounding_mode="floor")

    guess = (time.double() * steps / length.clamp(min=1).double()).floor().long().clamp(0, steps - 1)
    guess = guess - (time < edge(guess)).long()
    guess = guess + (time >= edge(guess + 1)).long()
    return torch.where(length > 0, guess.clamp(max=steps - 1), torch.zeros_like(guess))


def _combined(counts: Tensor, framing: Framing) -> Tensor:
    """Counts of OFF and ON -> channels of the result, within its dtype."""
    match framing.polarity:
        case "merge":
            counts = counts.sum(2, keepdim=True)
        case "signed":
            counts = counts[:, :, 1:] - counts[:, :, :1]
        case "on_only":
            counts = counts[:, :, 1:]
        case "with_sum":
            counts = torch.cat([counts, counts.sum(2, keepdim=True)], 2)
    if framing.binary:
        return counts.sign().to(framing.dtype)
    largest = int(counts.abs().max()) if counts.numel() else 0
    if largest > framing.largest:
        raise LimitError(
            f"batch_frames: a count of {largest} exceeds what {framing.dtype} represents exactly "
            f"({framing.largest}). Use dtype=torch.float32, more bins, or binary=True."
        )
    return counts.to(framing.dtype)
