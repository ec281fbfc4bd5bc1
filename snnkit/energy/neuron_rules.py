"""What one update of a neuron costs: declared by the module itself, or by a rule for its class.

A module with a method ``energy_ops()`` declares its costs (every snnkit neuron does). For other
libraries, rules are found along the class hierarchy by name, so that none of them is imported and
subclasses are covered. The cost is never derived from the operations a simulator happens to run.

A rule of your own::

    @neuron_rule("mylib.MyNeuron")               # or the class itself
    def _(module):
        return NeuronSpec(NeuronCost(mul=1, add=1, cmp=1, spike_add=1, state_words=1))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor, nn

from ..errors import ConfigError, InputTypeError

__all__ = ["NeuronCost", "NeuronSpec", "neuron_rule", "neuron_spec"]


@dataclass(frozen=True, slots=True)
class NeuronCost:
    """Operations per neuron and time step, without the accumulation of the input (that is synaptic).

    Attributes:
        mul, add, cmp: multiplications, additions, comparisons per neuron-step.
        spike_add, spike_write: additions and state writes per spike.
        state_words: state variables, each read and written once per neuron-step.
    """

    mul: float = 0.0
    add: float = 0.0
    cmp: float = 0.0
    spike_add: float = 0.0
    spike_write: float = 0.0
    state_words: float = 0.0


@dataclass(frozen=True, slots=True)
class NeuronSpec:
    """A neuron module as the tracer sees it.

    Attributes:
        cost: None if the class is known to be a neuron but its cost is not: listed as not counted.
        levels: 1 binary, D counts 0..D, None a real-valued output.
        signed: negative outputs occur.
        time_first: one call processes a sequence ``[T, B, ...]``; else one step ``[B, ...]``.
        covers_products: the cost includes the matrix products inside the module (parallel neurons).
        unit: size of one spike, where declared.
        assumed: what the cost takes for granted, to be stated in the report.
    """

    cost: NeuronCost | None
    levels: int | None = 1
    signed: bool = False
    time_first: bool = False
    covers_products: bool = False
    assumed: str = ""
    unit: float | None = None


NeuronRule = Callable[[Any], NeuronSpec]
_RULES: dict[tuple[str, str], NeuronRule] = {}


def neuron_rule(*targets: str | type) -> Callable[[NeuronRule], NeuronRule]:
    """Decorator: the spec of modules of class ``"package.ClassName"``, or of a class, and its subclasses.

    The most derived class with a rule decides; a later rule replaces an earlier one.
    """

    keys: list[tuple[str, str]] = []
    for target in targets:
        if isinstance(target, str):
            package, _, name = target.rpartition(".")
            if not package or not name:
                raise ConfigError(f'neuron_rule: got {target!r}, expected "package.ClassName" or a class.')
        else:
            package, name = target.__module__, target.__name__
        keys.append((package.partition(".")[0], name))

    def add(rule: NeuronRule) -> NeuronRule:
        _RULES.update(dict.fromkeys(keys, rule))
        return rule

    return add


def neuron_spec(module: nn.Module) -> NeuronSpec | None:
    """The spec of ``module``; None if it is not a neuron.

    Raises:
        InputTypeError: a rule returned something else.
    """
    declare = getattr(module, "energy_ops", None)
    if callable(declare):
        ops = declare()
        return NeuronSpec(
            NeuronCost(**{f.name: float(getattr(ops, f.name, 0.0)) for f in fields(NeuronCost)}),
            levels=getattr(module, "spike_levels", 1),
            signed=bool(getattr(module, "signed", False)),
            time_first=True,
            covers_products=bool(getattr(module, "covers_products", False)),
            unit=_unit(getattr(module, "spike_unit", None)),
        )
    for cls in type(module).__mro__:
        rule = _RULES.get((cls.__module__.partition(".")[0], cls.__name__))
        if rule is not None:
            spec = rule(module)
            if not isinstance(spec, NeuronSpec):
                raise InputTypeError(
                    f"neuron_rule for {cls.__name__}: got {type(spec).__name__}, expected a NeuronSpec."
                )
            return spec
    return None


def _unit(unit: Any) -> float | None:
    """A positive number, or a tensor of one; units that differ between channels are no single one."""
    if isinstance(unit, Tensor):
        unit = unit.item() if unit.numel() == 1 else None
    ok = isinstance(unit, (int, float)) and 0 < unit < math.inf
    return float(unit) if ok else None
