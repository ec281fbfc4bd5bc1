r"""Layers that delay events: counted by what they connect, however they compute it.

    z[t, o] = sum_{i,s} W[o, i, s] x[t - d[o, i, s], i]

A delay adds no synaptic operation; an event that would arrive after the last step makes none. A module
declares its delays by a method ``energy_delays()``, which returns any object with the attributes

    weight      [O, I] or [O, I, S] (S synapses per pair), or None: events are only held back
    delays      a tuple of tensors of whole steps that add up, each broadcastable to the weight: [1, I] per
                input (axonal), [O, 1] per output (dendritic), [O, I] or [O, I, S] per synapse; without a
                weight one tensor [C], for axis 2 of the input
    max_delay   D, the largest delay that the layer can have
    bias        whether one is added (optional)

Its input and output are sequences ``[T, B, ...]``; the I inputs of a weight are the last axis. What the
module runs inside (convolutions with long kernels, Fourier transforms, loops) is not counted again.

A neuron whose own output comes back to it later, over synapses that are counted as they run, declares the
delays of that way by a method ``energy_returns()``: the same attributes, without a weight.

Memory, class "c" of a price. Inputs: a shift register of sum_i d_i values, every event is written and read
once. Outputs: the same for sum_o d_o accumulators, every step. Synapses: a pending buffer of O (D + 1)
accumulators, in which every synaptic operation reads and writes, and every output reads and clears once per
step. Tables: ceil(log2(D + 1)) bits with every event, output or synaptic operation.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ..errors import InputTypeError, ShapeError
from .alphabet import Alphabet
from .rules import DelayMemory, OpCount
from .synaptic import levels, nonzero_per_row

__all__ = ["delay_count", "delays_of", "returns_of"]


def delays_of(module: Any) -> Any | None:
    """What a module declares, see above; None if it delays nothing."""
    declare = getattr(module, "energy_delays", None)
    return declare() if callable(declare) else None


def returns_of(module: Any) -> Any | None:
    """What a neuron declares of its output on the way back to itself; None if it delays nothing."""
    declare = getattr(module, "energy_returns", None)
    return declare() if callable(declare) else None


def delay_count(path: str, spec: Any, x: Tensor, y: Tensor, alphabet: Alphabet) -> OpCount:
    """Counts of one call with input ``x`` and output ``y``.

    Raises:
        ShapeError, InputTypeError: the declaration does not fit the input, or is none.
    """
    missing = [name for name in ("weight", "delays", "max_delay") if not hasattr(spec, name)]
    if missing:
        raise InputTypeError(
            f"energy_delays() of {path or 'the model'}: got {type(spec).__name__}, expected an object with "
            f"weight, delays and max_delay; without {', '.join(missing)}."
        )
    weight, delays = spec.weight, [d.detach().to(x.device) for d in spec.delays]
    _check(path, spec, delays, x)
    rows, deepest = math.prod(x.shape[:2]), int(spec.max_delay)
    if weight is None:
        memory: tuple[DelayMemory, ...] = (
            DelayMemory("input", len(delays[0]), int(delays[0].sum()) * math.prod(x.shape[3:]), deepest),
        )
        held: dict[str, Tensor | int] = {"nnz_in": nonzero_per_row(x, rows), "numel_in": x.numel()}
        return OpCount("pointwise", held, rows, tuple(x.shape), x.shape[2:], alphabet, delays=memory)
    outputs, inputs = weight.shape[:2]
    total = torch.stack(
        [d.reshape(*d.shape, *[1] * (weight.ndim - d.ndim)).expand_as(weight) for d in delays]
    )
    lag = total.sum(0).long().transpose(0, 1).reshape(inputs, -1)  # [I, O S]
    arrives = _arrivals(lag, torch.ones_like(lag), len(x))  # [T, I]
    kept = _arrivals(lag, weight.detach().ne(0).transpose(0, 1).reshape(inputs, -1), len(x))
    tokens = x.numel() // max(rows * inputs, 1)  # further axes between batch and inputs
    events = x.ne(0).double().reshape(*x.shape[:2], tokens, inputs).sum(2)
    sizes = levels(x, alphabet).double() if alphabet.is_event else torch.zeros_like(x, dtype=torch.float64)
    sizes = sizes.reshape(*x.shape[:2], tokens, inputs).sum(2) * alphabet.unit
    values: dict[str, Tensor | int] = {
        "dense": rows * tokens * weight.numel(),
        "valid": int(arrives.sum()) * x.shape[1] * tokens,
        "sop": (events * arrives.unsqueeze(1)).sum(2).flatten(),
        "sop_w": (events * kept.unsqueeze(1)).sum(2).flatten(),
        "abs_a": (sizes * arrives.unsqueeze(1)).sum(2).flatten(),
        "nnz_in": events.sum(2).flatten(),
        "numel_in": x.numel(),
        "nnz_out": nonzero_per_row(y, rows),
        "numel_out": y.numel(),
        "bias_add": y.numel() if getattr(spec, "bias", False) else 0,
    }
    memory = tuple(_memory(d, outputs, inputs, deepest, tokens) for d in delays)
    return OpCount(
        "weight",
        values,
        rows,
        tuple(x.shape),
        tuple(weight.shape),
        alphabet,
        weights=weight.numel(),
        biases=outputs if getattr(spec, "bias", False) else 0,
        delays=memory,
    )


def _arrivals(lag: Tensor, weight: Tensor, steps: int) -> Tensor:
    """``[T, I]``: synapses over which an event of step t arrives within the sequence."""
    late = torch.zeros(len(lag), steps + 1, dtype=torch.float64, device=lag.device)
    late.scatter_add_(1, lag.clamp(max=steps), weight.double())  # [I, lag]
    return late[:, :steps].cumsum(1).flip(1).T  # at step t: lag <= T - 1 - t


def _memory(delay: Tensor, outputs: int, inputs: int, deepest: int, tokens: int) -> DelayMemory:
    if delay.shape[0] == 1:
        return DelayMemory("input", delay.numel(), tokens * int(delay.expand(1, inputs).sum()), deepest)
    if delay.shape[1] == 1:
        return DelayMemory("output", outputs, tokens * int(delay.sum()), deepest)
    return DelayMemory("synapse", delay.numel(), tokens * outputs * (deepest + 1), deepest)


def _check(path: str, spec: Any, delays: list[Tensor], x: Tensor) -> None:
    where = f"energy_delays() of {path or 'the model'}"
    for d in delays:
        whole = not d.is_floating_point() or bool((d == d.round()).all())
        if not whole or (d.numel() and not 0 <= float(d.min()) <= float(d.max()) <= spec.max_delay):
            raise InputTypeError(f"{where}: delays must be whole steps in 0..max_delay = {spec.max_delay}.")
    if spec.weight is None:
        ok = len(delays) == 1 and x.ndim > 2 and delays[0].shape == x.shape[2:3]
        wanted = f"one tensor of delays, one for each of the {x.shape[2] if x.ndim > 2 else 0} channels"
    else:
        shape = spec.weight.shape
        ok = len(shape) in (2, 3) and bool(delays) and x.ndim > 2 and x.shape[-1] == shape[1]
        ok = ok and all(
            d.ndim <= len(shape) and all(n in (1, m) for n, m in zip(d.shape, shape, strict=False))
            for d in delays
        )
        wanted = f"a weight [O, {x.shape[-1]}] or [O, {x.shape[-1]}, S] and delays that broadcast to it"
    if not ok:
        shapes = [tuple(d.shape) for d in delays]
        weight = None if spec.weight is None else tuple(spec.weight.shape)
        raise ShapeError(
            f"{where}: got a weight {weight} with delays {shapes} for an input {tuple(x.shape)}, "
            f"expected {wanted}."
        )
