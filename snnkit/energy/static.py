"""Whether an input changes over time: what is computed from a constant needs computing once only."""

from __future__ import annotations

from typing import Any

import torch

from .provenance import tensors_in

__all__ = ["same_at_every_step"]


def same_at_every_step(inputs: Any, steps: int, batch: int) -> bool:
    """Every tensor of ``inputs`` holds ``steps`` equal slices, or has no time axis at all.

    A first axis of ``steps`` or ``steps * batch`` is time (time-major); one of ``batch`` is not, the model
    then repeats the input itself. Anything else counts as changing.
    """
    tensors = list(tensors_in(inputs))
    for x in tensors:
        size = x.shape[0] if x.ndim else 0
        if size in (steps, steps * batch) and x.ndim > 1:
            by_step = x.reshape(steps, -1)
            if not torch.equal(by_step, by_step[:1].expand_as(by_step)):
                return False
        elif size != batch:
            return False
    return bool(tensors)
