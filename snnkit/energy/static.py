"""Whether an input changes over time: what is computed from a constant needs computing once only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .provenance import tensors_in

__all__ = ["same_at_every_step"]


def same_at_every_step(inputs: Any, steps: int, batch: int) -> bool:
    """Every tensor of ``inputs`` holds ``steps`` equal slices, or has no time axis at all.

    A first axis of ``steps`` or ``steps * batch`` is time (time-major); one of ``batch`` is not, the model
    then repeats the input itself. Anything else counts as changing, and so does what cannot be compared.
    """
    tensors = list(tensors_in(inputs))
    return bool(tensors) and all(_constant(x, steps, batch) for x in tensors)


def _constant(x: Tensor, steps: int, batch: int) -> bool:
    size = x.shape[0] if x.ndim and x.layout == torch.strided else 0
    if size not in (steps, steps * batch) or x.ndim < 2:
        return size == batch
    try:
        by_step = x.reshape(steps, -1)
        return torch.equal(by_step, by_step[:1].expand_as(by_step))
    except NotImplementedError:  # floats of one byte, tensors without data
        return False
