"""What each neuron becomes on integers: a table of thresholds, or dynamics in fixed point.

A rule reads a neuron and gives a :class:`Table` (no memory) or :class:`Dynamics`. To add one::

    @integer_rule(MyNeuron)
    def _(neuron, fraction): return Dynamics("lif", {...}, {...})
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ..errors import QuantConfigError
from ..neurons import IELIF, ILIF, LIF, Neuron
from .state import StateQuantized

__all__ = ["DECAY_BITS", "Dynamics", "Table", "integer_neuron", "integer_rule"]

DECAY_BITS = 15  # of the fraction of a leak: 1 - 1/tau is exact for tau = 2, 4, ...


@dataclass(frozen=True)
class Table:
    """A neuron without memory: it counts ``j = 1..levels`` with ``x >= (j - 1/2) step``.

    Attributes:
        half_up: a value in the middle counts up; else to the even count.
    """

    step: Fraction
    levels: int
    half_up: bool


@dataclass(frozen=True)
class Dynamics:
    """A neuron with a membrane in units of ``2^-fraction``: an instruction of :mod:`.program`."""

    op: str
    args: dict[str, Any]
    tensors: dict[str, Tensor]


Rule = Callable[[Any, int], Table | Dynamics]
_RULES: dict[type, Rule] = {}


def integer_rule(cls: type[Neuron]) -> Callable[[Rule], Rule]:
    """Decorator: the rule of a neuron class and its subclasses."""

    def add(rule: Rule) -> Rule:
        _RULES[cls] = rule
        return rule

    return add


def integer_neuron(neuron: Neuron, fraction: int) -> Table | Dynamics:
    """What ``neuron`` becomes, with ``fraction`` bits behind the binary point.

    Raises:
        QuantConfigError: no rule for its class, a step of its own, or a setting without an integer form.
    """
    for cls in type(neuron).__mro__:
        if cls in _RULES and _same_step(neuron, cls):
            return _RULES[cls](neuron, fraction)
    known = ", ".join(sorted(c.__name__ for c in _RULES))
    raise QuantConfigError(
        f"convert_to_integer: {type(neuron).__name__} has no integer form. Known: {known}. Add one with "
        "quant.integer_rule."
    )


def _same_step(neuron: Neuron, cls: type) -> bool:
    """A subclass that brings another step, or does more around it, is another neuron."""
    own = type(neuron)
    return all(getattr(own, name) is getattr(cls, name, None) for name in ("step", "run", "forward"))


def fixed(value: float | Tensor, fraction: int) -> Tensor:
    """``round(value 2^fraction)``, a number or one per channel."""
    exact = torch.as_tensor(value).detach().cpu().double()
    return torch.round(exact * 2.0**fraction).to(torch.int64)


@integer_rule(LIF)
def _lif(neuron: LIF, fraction: int) -> Dynamics:
    d, leak = neuron.dynamics, neuron.leak
    if d.delayed:
        raise QuantConfigError(
            'convert_to_integer: LIF(reset_timing="delayed") has no integer form. Use "immediate".'
        )
    if d.arithmetic == "divide":
        rate = 1 / leak
    elif d.arithmetic in ("multiply", "euler"):
        rate = leak
    else:
        rate = 1 - leak if d.arithmetic == "decay" else 0.0
    inward = d.decay_input and d.arithmetic != "integrate"
    factor = fixed(rate, DECAY_BITS)
    threshold = fixed(neuron.threshold, fraction)
    amount = threshold if d.reset_amount is None else fixed(d.reset_amount, fraction)
    args = {
        "bits": DECAY_BITS,
        "decay_input": inward,
        "reset": d.reset,
        "v_rest": int(fixed(d.v_rest, fraction)),
        "v_reset": int(fixed(d.v_reset, fraction)),
        "equal": d.fire_at_equal,
        "grid": None,
    }
    decay = factor if inward else 2**DECAY_BITS - factor
    return Dynamics("lif", args, {"decay": decay, "theta": threshold, "amount": amount})


@integer_rule(ILIF)
def _ilif(neuron: ILIF, fraction: int) -> Dynamics:
    return _counts(neuron.tau, neuron.threshold, neuron.levels, False, fraction)


@integer_rule(IELIF)
def _ielif(neuron: IELIF, fraction: int) -> Table | Dynamics:
    learned = hasattr(neuron, "scale_raw")
    if learned:
        step = Fraction(float(neuron.spike_unit))
    else:
        step = Fraction(1, neuron.levels) if neuron.scale == "pre" else Fraction(1)
    if neuron.tau is None:
        return Table(step, neuron.levels, neuron.round == "half_up")
    return _counts(neuron.tau, float(step), neuron.levels, neuron.round == "half_up", fraction)


@integer_rule(StateQuantized)
def _on_grid(neuron: StateQuantized, fraction: int) -> Table | Dynamics:
    inner = integer_neuron(neuron.inner, fraction)
    if isinstance(inner, Table):
        return inner
    shift = fraction - neuron.fraction_bits
    if shift < 0:
        raise QuantConfigError(
            f"convert_to_integer: state_bits = {neuron.state_bits} needs fraction >= {neuron.fraction_bits}, "
            f"got {fraction}."
        )
    return Dynamics(inner.op, inner.args | {"grid": [shift, neuron.state_bits]}, inner.tensors)


def _counts(tau: float, step: float, levels: int, half_up: bool, fraction: int) -> Dynamics:
    args = {"bits": DECAY_BITS, "levels": levels, "half_up": half_up, "grid": None}
    return Dynamics("counts", args, {"decay": fixed(1 - 1 / tau, DECAY_BITS), "theta": fixed(step, fraction)})
