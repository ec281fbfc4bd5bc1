"""The oracle: a plain loop over time, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["scan"]


def scan(step: Callable[[Tensor, Any], tuple[Tensor, Any]], x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Apply ``step(x_t, state) -> (out_t, state)`` to ``x [T, ...]``; returns ``(out [T, ...], state)``.

    ``unbind`` and ``stack`` keep the backward pass linear in T: indexing ``x[t]`` would make every
    step's backward allocate a gradient of the whole sequence.
    """
    if x.shape[0] == 0:
        return x, state
    outs = []
    for x_t in x.unbind(0):
        out, state = step(x_t, state)
        outs.append(out)
    return torch.stack(outs), state
