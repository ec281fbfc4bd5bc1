"""Calls of the Python level: what they know is lost when the dispatcher sees their parts."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .guard import decomposed_recurrence
from .operators import DEVICES
from .provenance import tensors_in

__all__ = ["Calls"]

_SHAPED = frozenset(
    (
        "linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "addmm", "baddbmm", "einsum",
        "outer", "ger", "tensordot", "bilinear", "scaled_dot_product_attention",
        "multi_head_attention_forward",
    )
)  # fmt: skip
_RECURRENT = frozenset(["lstm", "gru", "rnn_tanh", "rnn_relu"])


class Calls(TorchFunctionMode):
    """Remembers shapes before the dispatcher flattens them; keeps LSTM, GRU and RNN unfused.

    Attributes:
        name, shape: the product that is being computed, and the shape of its largest operand; "" and None.
        autocast: devices and types of autocast, where inference_mode hides them from the dispatcher.
        busy: the observer itself computes; nothing is remembered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name = ""
        self.shape: tuple[int, ...] | None = None
        self.autocast: list[tuple[str, torch.dtype]] = []
        self.busy = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if self.busy:
            return func(*args, **kwargs)
        if torch.is_inference_mode_enabled():
            # the dispatcher will hand over whole calls, and does not tell that autocast is on
            on = [d for d in DEVICES if torch.is_autocast_enabled(d)]
            self.autocast = [(d, torch.get_autocast_dtype(d)) for d in on]
        if name in _RECURRENT:
            with decomposed_recurrence():
                return func(*args, **kwargs)
        if name not in _SHAPED:
            return func(*args, **kwargs)
        before = self.name, self.shape
        shapes: list[tuple[int, ...]] = [tuple(t.shape) for t in tensors_in((args, kwargs))]
        self.name, self.shape = name, max(shapes, key=len, default=None)
        try:
            return func(*args, **kwargs)
        finally:
            self.name, self.shape = before
