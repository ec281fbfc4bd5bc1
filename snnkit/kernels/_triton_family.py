"""Integer LIF, current-based LIF and UltraLIF in Triton: forward and backward passes of a sequence.

Conditions and settings as :mod:`snnkit.kernels.triton_lif`. Run in Triton's interpreter and compiled for
compute capability 9.0, not run on a GPU yet. UltraLIF takes exp and log of the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ._layout import NOTHING, kept_shape, per_neuron, rows, state
from .triton_lif import LONGEST, blocks, launch

__all__ = ["Described", "triton_backward", "triton_forward"]


class Described(NamedTuple):
    """One family to the kernels: which, its numbers (at most four), reset, at_equal, detach, surrogate."""

    family: int
    numbers: Sequence[float]
    reset: int = 0
    at_equal: bool = True
    detach: bool = False
    surrogate: int = 0


def _arguments(
    x: Tensor, states: Sequence[Tensor], learned: Sequence[float | Tensor], d: Described
) -> tuple[dict[str, Any], int]:
    steps = x.shape[0]
    neurons = x.numel() // steps
    arguments: dict[str, Any] = {"x_at": x, "x_stride": 0 if x.stride(0) == 0 else neurons}
    for name, v in zip("ab", (*states, None), strict=False):
        arguments[f"{name}0_at"] = v
        arguments[f"{name}_stride"] = 0 if v is None else int(neurons <= 1 or any(v.stride()))
    for i in range(3):
        value = learned[i] if i < len(learned) else 0.0
        found = per_neuron(value, x.shape[1:]) if isinstance(value, Tensor) else (None, 1, 1)
        arguments |= dict(zip([f"p{i}_{what}" for what in ("at", "period", "inner")], found, strict=True))
        arguments[f"p{i}_value"] = 0.0 if isinstance(value, Tensor) else float(value)
        arguments[f"n{i}"] = float(d.numbers[i]) if i < len(d.numbers) else 0.0
    arguments["n3"] = float(d.numbers[3]) if len(d.numbers) > 3 else 0.0
    kinds = {"FAMILY": d.family, "RESET": d.reset, "AT_EQUAL": d.at_equal}
    kept = math.prod(kept_shape(x)[1:])
    return {**arguments, **kinds, "kept_stride": kept, "N": neurons, "T": steps}, neurons


def triton_forward(
    x: Tensor, states: Sequence[Tensor], learned: Sequence[float | Tensor], d: Described, keep: bool
) -> tuple[Tensor, ...]:
    """Output ``[T, *]``, final states, and the states that ``keep`` asks for."""
    x, states = rows(x), [state(v) for v in states]
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if not x.numel():
        return out, *(v.clone() for v in states), NOTHING
    last, kept = [torch.empty(v.shape, dtype=v.dtype, device=v.device) for v in states], NOTHING
    if keep and x.shape[0] > LONGEST:
        kept = torch.empty(kept_shape(x, len(states)), dtype=torch.float32, device=x.device)
    arguments, neurons = _arguments(x, states, learned, d)
    arguments |= {"out_at": out, "kept_at": None if kept is NOTHING else kept}
    arguments |= {"a1_at": last[0], "b1_at": last[1] if len(last) > 1 else None}
    launch("_triton_families", "family_forward", neurons, arguments | blocks(x.shape[0], neurons, 64))
    return out, *last, kept


def triton_backward(
    g_out: Tensor | None,
    g_states: Sequence[Tensor | None],
    x: Tensor,
    states: Sequence[Tensor],
    kept: Tensor,
    learned: Sequence[float | Tensor],
    d: Described,
    *,
    wanted: Sequence[bool],
    sums: int,
) -> tuple[Tensor, ...]:
    """Gradients of input and of the ``wanted`` first states, and sums over time ``[sums, *]``."""
    x, states = rows(x), [state(v) for v in states]
    g_x = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    plain: dict[str, Any] = {"dtype": torch.float32, "device": x.device}
    g_first = [
        torch.empty(v.shape, **plain) if want else NOTHING for v, want in zip(states, wanted, strict=True)
    ]
    totals = torch.zeros(sums, *x.shape[1:], **plain) if sums else NOTHING
    g_last = [None if g is None else g.contiguous() for g in g_states]
    if not x.numel():
        for g, first in zip(g_last, g_first, strict=True):
            if first is not NOTHING:
                first.zero_() if g is None else first.copy_(g)
        return g_x, *g_first, totals
    arguments, neurons = _arguments(x, states, learned, d)
    for name, g, first in zip("ab", (*g_last, None), (*g_first, NOTHING), strict=False):
        arguments[f"g_{name}_at"] = g
        arguments[f"g_{name}0_at"] = None if first is NOTHING else first
    arguments |= {
        "kept_at": kept if x.shape[0] > LONGEST else None,
        "g_out_at": None if g_out is None else g_out.contiguous(),
        "g_x_at": g_x,
        "sums_at": totals if sums else None,
        "SUMS": sums,
        "DETACH": d.detach,
        "SURROGATE": d.surrogate,
    }
    launch("_triton_families", "family_backward", neurons, arguments | blocks(x.shape[0], neurons, 16))
    return g_x, *g_first, totals
