"""Backward passes that cannot be differentiated themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

__all__ = ["first_order"]

_MESSAGE = b'snnkit kernels have first-order gradients only. Use snnkit.use_backend("reference") for others.'


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Gradients that raise where somebody differentiates them.

    As ``torch.autograd.function.once_differentiable``, which marks them only if an incoming gradient is
    differentiable: behind the last layer none is, though they depend on the input of the forward pass, and
    that part would be missing without a word.
    """

    @wraps(backward)
    def guarded(ctx: Any, *incoming: Any) -> tuple[Tensor | None, ...]:
        with torch.no_grad():
            found: tuple[Tensor | None, ...] = backward(ctx, *incoming)
        if not torch.is_grad_enabled():  # on with create_graph=True only
            return found
        refuse = torch._C._functions.DelayedError(_MESSAGE, len(found))
        marked = [None if g is None else g.detach().requires_grad_() for g in found]
        return tuple(refuse(*marked))  # type: ignore[arg-type]  # it takes None too

    return guarded
