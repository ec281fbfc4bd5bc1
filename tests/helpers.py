"""What tests share: the oracle of a neuron, bit equality, and the libraries we compare with."""

from __future__ import annotations

import importlib
import os
import warnings
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from snnkit.kernels import scan
from snnkit.neurons import Neuron
from snnkit.sequence import as_sequence, state_dtype


def step_loop(neuron: Neuron, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """``neuron.run`` by its oracle: the pure step, one after the other, in the dtype of the state."""
    x = as_sequence(x, "step_loop")
    wide = x.to(state_dtype(x.dtype))
    if state is None:
        state = neuron.initial_state(wide.new_empty(wide.shape[1:]))
    out, state = scan(neuron.step, wide, state)
    return out.to(x.dtype), state


def same_bits(a: Any, b: Any) -> bool:
    """Equal type, dtype, shape and values (NaN equals NaN), for tensors and (named) tuples of them."""
    if isinstance(a, Tensor):
        equal = isinstance(b, Tensor) and a.dtype == b.dtype and a.shape == b.shape
        return equal and bool(((a == b) | (a.isnan() & b.isnan())).all())
    return type(a) is type(b) and len(a) == len(b) and all(map(same_bits, a, b))


def relative_error(got: Tensor | None, wanted: Tensor | None) -> float:
    """Largest deviation, relative to the largest wanted value."""
    assert got is not None
    assert wanted is not None
    assert got.shape == wanted.shape
    if not wanted.numel():
        return 0.0
    scale = wanted.abs().max().clamp(min=torch.finfo(wanted.dtype).tiny)
    return ((got - wanted).abs().max() / scale).item()


def oracle(module: str) -> ModuleType:
    """Import ``module``, silencing only its own warnings.

    A missing library skips the test, or fails it where ``SNNKIT_ORACLES=required``.
    """
    with warnings.catch_warnings():
        if module.startswith("norse"):
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        try:
            return importlib.import_module(module)
        except ImportError as error:
            message = f"oracle {module} cannot be imported: {error}. pip install {module.partition('.')[0]}"
            if os.environ.get("SNNKIT_ORACLES") == "required":
                pytest.fail(message)
            pytest.skip(message)
