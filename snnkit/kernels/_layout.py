"""How kernels see tensors: steps in rows, parameters by neuron, states kept for the backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..errors import ShapeError, StateShapeError

__all__ = [
    "EVERY",
    "NOTHING",
    "PLAIN",
    "channels_back",
    "channels_inside",
    "check_backward",
    "check_states",
    "constant_in_graphs",
    "kept_shape",
    "not_plain",
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


def not_plain(*tensors: Any) -> str | None:
    """The first class among them whose memory is not what it shows, as that of a distributed tensor."""
    for a in tensors:
        if isinstance(a, Tensor) and type(a) is not Tensor and type(a) is not torch.nn.Parameter:
            return None if torch.compiler.is_compiling() else type(a).__name__
    return None


def rows(x: Tensor) -> Tensor:
    """``x`` with every step contiguous; a sequence that repeats one step (stride 0) stays a view."""
    x = x.resolve_neg()  # a view as ``z.conj().imag`` has other values than its memory
    if x.is_contiguous() or (x.stride(0) == 0 and x[0].is_contiguous()):
        return x
    return x.contiguous()


def channels_inside(x: Tensor, v0: Tensor, *parameters: object) -> tuple[Tensor, Tensor] | None:
    """``x [T, B, C, *]`` and ``v0`` as ``[T, M, C]`` and ``[M, C]``, without a copy, if x lies so in memory.

    That is what convolutions with ``torch.channels_last`` put out. None otherwise, in graphs, and for
    parameters of one value per neuron, whose axes would have to follow.
    """
    if x.ndim < 4 or x.is_contiguous() or torch.compiler.is_compiling():
        return None
    inside = x.movedim(2, -1)
    if not (inside.is_contiguous() or (x.stride(0) == 0 and inside[0].is_contiguous())):
        return None
    if any(isinstance(p, Tensor) and p.numel() > 1 for p in parameters):
        return None
    return inside.flatten(1, -2), v0.movedim(1, -1).flatten(0, -2)


def channels_back(x: Tensor, rows: Tensor) -> Tensor:
    """What belongs to ``x [T, B, C, *]``, ``[T, M, C]`` or ``[M, C]``, with the axes of x or of its step."""
    first = rows.ndim - 2
    return rows.unflatten(first, (x.shape[1], *x.shape[3:])).movedim(-1, first + 1)


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


def check_states(x: Tensor, states: Sequence[Tensor]) -> None:
    """The kernels write where these say: refuse what they would write beyond.

    Raises:
        StateShapeError: a state is no float32 tensor of the shape of a step.
    """
    for v in states:
        if v.shape != x.shape[1:] or v.dtype != torch.float32:
            raise StateShapeError(
                f"kernels: got a state {tuple(v.shape)} {v.dtype}, the input needs {tuple(x.shape[1:])} "
                "torch.float32."
            )


def check_backward(
    x: Tensor,
    g_out: Tensor | None,
    states: Sequence[Tensor],
    g_states: Sequence[Tensor | None],
    kept: Tensor | None,
) -> None:
    """Autograd gives what fits; ``torch.ops.snnkit`` is open to everybody. ``kept``: None if not used.

    Raises:
        ShapeError, StateShapeError: a gradient, a state or the kept states do not fit ``x``.
    """
    check_states(x, [*states, *(g for g in g_states if g is not None)])
    if g_out is not None and (g_out.shape != x.shape or g_out.dtype != x.dtype):
        raise ShapeError(
            f"kernels: got a gradient {tuple(g_out.shape)} {g_out.dtype}, the output is {tuple(x.shape)} "
            f"{x.dtype}."
        )
    wanted = kept_shape(x, len(states))
    if kept is not None and kept.shape != wanted and (wanted[1] or kept.numel()):
        raise StateShapeError(
            f"kernels: got kept states {tuple(kept.shape)}, the input {tuple(x.shape)} needs {wanted}."
        )


def own(outputs: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor, ...]:
    """Outputs of a registered operation on ``x``: tensors of its own, with the declared shapes."""
    kept = kept_shape(x, len(outputs) - 2)
    new = partial(torch.empty, kept, dtype=torch.float32, device=x.device)
    return tuple(new() if out is NOTHING else out for out in outputs)
