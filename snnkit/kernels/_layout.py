"""How kernels see tensors: steps in rows, parameters by neuron, states kept for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import ShapeError

__all__ = [
    "EVERY",
    "NOTHING",
    "PLAIN",
    "constant_in_graphs",
    "kept_shape",
    "own",
    "per_neuron",
    "rows",
    "state",
]

_F = TypeVar("_F", bound=Callable[..., Any])
EVERY = 16  # steps between the states that a long sequence keeps for its backward pass
PLAIN: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever torch's defaults are
NOTHING = torch.empty(0, **PLAIN)  # in place of a result that is not wanted


def constant_in_graphs(function: _F) -> _F:
    """As ``torch.compiler.assume_constant_result``, which imports the compiler and so takes a second."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def rows(x: Tensor) -> Tensor:
    """``x`` with every step contiguous; a sequence that repeats one step (stride 0) stays a view."""
    x = x.resolve_neg()  # a view as ``z.conj().imag`` has other values than its memory
    if x.is_contiguous() or (x.stride(0) == 0 and x[0].is_contiguous()):
        return x
    return x.contiguous()


def state(v: Tensor) -> Tensor:
    """``v`` contiguous, unless it is one value expanded."""
    return v if not any(v.stride()) else v.contiguous()


def per_neuron(value: Tensor, step: torch.Size) -> tuple[Tensor, int, int]:
    """``(data, period, inner)`` of a tensor that broadcasts against a step of that shape.

    Neuron n has the value ``data[(n // inner) % period]``.

    Raises:
        ShapeError: it does not broadcast.
    """
    value = value.detach()
    if len(value.shape) > len(step) or any(
        a not in (1, b) for a, b in zip(value.shape[::-1], step[::-1], strict=False)
    ):
        raise ShapeError(
            f"a parameter of shape {tuple(value.shape)} does not broadcast against a step {tuple(step)}."
        )
    wide = [size for size in value.shape if size > 1]
    if value.numel() == 1:
        period, inner = 1, max(math.prod(step), 1)
    elif len(wide) == 1 and value.ndim <= len(step):
        axis = len(step) - value.ndim + next(i for i, size in enumerate(value.shape) if size > 1)
        period, inner = wide[0], math.prod(step[axis + 1 :])
    else:
        value = value.expand(step)
        period, inner = max(value.numel(), 1), 1
    return value.contiguous(), period, inner


def kept_shape(x: Tensor, states: int = 1) -> tuple[int, ...]:
    """Shape of what is kept of every state for the backward pass of ``x``."""
    return states, max(-(-x.shape[0] // EVERY) - 1, 0), *x.shape[1:]


def own(outputs: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor, ...]:
    """Outputs of a registered operation on ``x``: tensors of its own, with the declared shapes."""
    kept = kept_shape(x, len(outputs) - 2)
    new = partial(torch.empty, kept, dtype=torch.float32, device=x.device)
    return tuple(new() if out is NOTHING else out for out in outputs)
