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


def trace(neuron: Neuron, x: Tensor) -> tuple[Tensor, Any]:
    """Outputs and states of every step, ``[T, B, *]`` each; the output carries the gradient."""
    state, outs, states = neuron.initial_state(x[0]), [], []
    for x_t in x.unbind(0):
        out, state = neuron.step(x_t, state)
        outs.append(out)
        states.append(state)
    return torch.stack(outs), type(state)(*(torch.stack(s).detach() for s in zip(*states, strict=True)))


def golden_input() -> Tensor:
    """Eight dyadic currents ``[8, 1, 1]`` in float64, the input of the golden values."""
    x = [0.625, 0.75, 0.5, 1.5, 0.125, 2.5, 0, -0.375]
    return torch.tensor(x, dtype=torch.float64).view(8, 1, 1)


def golden_gradients(neuron: Neuron) -> list[list[float]]:
    """Gradients of ``sum_t (t+1) s[t]`` for :func:`golden_input`: by the input, then by every parameter."""
    x = golden_input().requires_grad_()
    (torch.arange(1, 9).view(8, 1, 1) * neuron.double()(x)).sum().backward()
    return [t.grad.flatten().tolist() for t in (x, *neuron.parameters())]  # type: ignore[union-attr]


def same_bits(a: Any, b: Any) -> bool:
    """Equal type, dtype, shape and values (NaN equals NaN), for tensors and (named) tuples of them."""
    if isinstance(a, Tensor):
        equal = isinstance(b, Tensor) and a.dtype == b.dtype and a.shape == b.shape
        return equal and bool(((a == b) | (a.isnan() & b.isnan())).all())
    return type(a) is type(b) and len(a) == len(b) and all(map(same_bits, a, b))


def agree(neuron: Neuron, got: Any, wanted: Any) -> bool:
    """Equal bits, or what ``neuron.exact`` promises in their place; NaN at the same places."""
    if neuron.exact:
        return same_bits(got, wanted)
    if isinstance(got, Tensor):
        if got.dtype != wanted.dtype or not torch.equal(got.isnan(), wanted.isnan()):
            return False
        return relative_error(got.nan_to_num(), wanted.nan_to_num()) < 2e-6
    return type(got) is type(wanted) and all(agree(neuron, *pair) for pair in zip(got, wanted, strict=True))


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
