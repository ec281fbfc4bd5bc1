"""A linear layer on spikes: gather the weights of the active inputs instead of multiplying by zeros.

``y = b + sum over active j of x[j] W[:, j]``, summed in the order of the inputs: equal to the dense product
up to the rounding of its sum.
"""

from __future__ import annotations

import ctypes as c
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import _get_current_dispatch_mode as current_mode

from ..checks import number
from ..errors import BackendError, ShapeError
from ..sequence import in_transform
from . import native
from ._layout import PLAIN

__all__ = ["event_driven", "event_linear"]

_TILE = 256  # EVENT_TILE of csrc/native.c
_WORTH = 64  # inputs or outputs below which a dense product costs nothing


def event_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear(x, weight, bias)`` by gathering; float32 on the CPU, without gradients.

    Under a dispatch mode, as of :func:`snnkit.energy.trace`, it is ``F.linear``, so that the mode sees it.

    Args:
        x: ``[..., in]``, mostly zero; spikes, counts or any other values.
        weight: ``[out, in]``. bias: ``[out]`` or None.

    Raises:
        BackendError: the C library is missing, or cannot take these tensors. ShapeError: sizes do not fit.
    """
    if current_mode() is not None:
        return F.linear(x, weight, bias)
    return _gather(x, weight, bias, None)


def _gather(x: Tensor, weight: Tensor, bias: Tensor | None, columns: Tensor | None) -> Tensor:
    """``columns``: ``weight.T`` contiguous, if it is at hand; it is what is gathered from."""
    reason = native.unavailable(x, weight, bias)
    if reason is None and x.dtype != torch.float32:
        reason = f"it works in float32, the input is {x.dtype}"
    if reason is not None:
        raise BackendError(f"event_linear: {reason}. Use torch.nn.functional.linear.")
    if (
        weight.ndim != 2
        or x.shape[-1:] != weight.shape[1:]
        or (bias is not None and bias.shape != weight.shape[:1])
    ):
        found = [None if t is None else tuple(t.shape) for t in (x, weight, bias)]
        raise ShapeError(
            f"event_linear: got x, weight, bias of {found}, expected [..., in], [out, in], [out]."
        )
    lib: Any = native.library()
    rows = x.detach().resolve_neg().reshape(math.prod(x.shape[:-1]), x.shape[-1]).contiguous()
    columns = weight.detach().t().contiguous() if columns is None else columns
    bias = None if bias is None else bias.detach().contiguous()
    y = torch.empty(len(rows), weight.shape[0], **PLAIN)
    threads = native.threads_for(rows.numel()) if len(rows) > 1 else 1
    tile = min(-(-len(rows) // threads), _TILE)
    active = torch.empty(threads, tile * x.shape[-1] + 1, dtype=torch.int32, device="cpu")
    values = torch.empty(active.shape, **PLAIN)
    lib.snn_event_linear(
        c.c_int64(len(rows)),
        c.c_int32(x.shape[-1]),
        c.c_int64(weight.shape[0]),
        *(c.c_void_p(0 if t is None else t.data_ptr()) for t in (rows, columns, bias, y, active, values)),
        c.c_int32(threads),
    )
    return y.reshape(*x.shape[:-1], weight.shape[0])


class event_driven(TorchFunctionMode):
    """Inside the block, linear layers gather where that is faster: inference in float32 on the CPU.

    Works on every module that calls ``torch.nn.functional.linear``. Results equal the dense ones up to the
    rounding of sums, so that a potential that meets its threshold within rounding may fire differently.

    The transposed weights are kept until the block ends: weights must not change inside it.

    Args:
        below: density of the input under which a product of several rows is gathered. A single row always is.

    Raises:
        ConfigError: ``below`` is no number in [0, 1].

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(256, 256), snnkit.LIF()).eval()
        >>> with torch.no_grad(), snnkit.event_driven(), snnkit.stream(net) as session:
        ...     out = session((torch.rand(10, 1, 256) < 0.05).float())
    """

    def __init__(self, below: float = 0.25) -> None:
        super().__init__()
        self.below = number("event_driven.below", below, at_least=0, at_most=1)
        self._columns: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.linear and self._gathers(*args, **kwargs):
            return self._linear(*args, **kwargs)
        return func(*args, **kwargs)

    def __exit__(self, *exc: Any) -> None:
        self._columns.clear()
        super().__exit__(*exc)

    def _gathers(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
        tensors = [t for t in (input, weight, bias) if t is not None]
        if in_transform() or current_mode() is not None:  # a mode, as of snnkit.energy, must see the product
            return False
        # of other weights, as those that a parametrization computes, nothing could be kept
        if not isinstance(weight, nn.Parameter) or weight.ndim != 2 or input.shape[-1:] != weight.shape[1:]:
            return False
        if bias is not None and bias.shape != weight.shape[:1]:
            return False
        if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
            return False
        if torch.is_autocast_enabled("cpu") or min(weight.shape) < _WORTH or not input.numel():
            return False
        if input.dtype != torch.float32 or native.unavailable(input, weight, bias) is not None:
            return False
        one_row = input.numel() == input.shape[-1]
        return one_row or int(torch.count_nonzero(input)) < self.below * input.numel()

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if id(weight) not in self._columns:
            self._columns[id(weight)] = (weight, weight.detach().t().contiguous())
        return _gather(input, weight, bias, self._columns[id(weight)][1])
