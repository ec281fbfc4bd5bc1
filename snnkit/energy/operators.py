"""What is known about an operator before it runs: its arguments, its rule, and how it must be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from . import functions as functions  # registers its rules
from . import layout, synaptic
from . import pooling as pooling
from .rules import Rule, rule_of

__all__ = ["DEVICES", "Operator", "describe"]

DEVICES = ("cpu", "cuda")  # whose autocast is watched


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator (an OpOverload).

    Attributes:
        name: without overload, with its namespace unless that is aten.
        arguments: names and defaults of its schema.
        written: positions and names of arguments that it changes in place.
        rule: counting rule, None if there is none or nothing to count.
        synaptic: the rule counts multiply-accumulates. free: it only moves data, or makes constants.
        composite: made of other operators, which only inference_mode hands over in one piece.
        allocates: the result has no values yet.
        shape_only: the result takes nothing from its operands but their shape.
        autocast: devices on which autocast acts on it as a whole, not on its parts.
    """

    name: str
    arguments: tuple[tuple[str, Any], ...]
    written: tuple[int | str, ...]
    rule: Rule | None
    synaptic: bool
    free: bool
    composite: bool
    shape_only: bool
    allocates: bool
    autocast: frozenset[str]


def describe(func: Any) -> Operator:
    """Read all of it off the schema and the dispatcher."""
    packet = getattr(func, "overloadpacket", func)
    space = getattr(func, "namespace", "")
    name = str(getattr(packet, "__name__", packet))
    schema = getattr(func, "_schema", None)
    arguments = tuple((a.name, a.default_value) for a in schema.arguments) if schema else ()
    written: list[int | str] = []
    for i, a in enumerate(schema.arguments if schema else ()):
        if a.alias_info is not None and a.alias_info.is_write:
            written += [a.name] if a.kwarg_only else [i, a.name]
    found = rule_of(packet)
    full = name if space in ("aten", "") else f"{space}::{name}"
    keys = torch._C.DispatchKey
    has = getattr(func, "has_kernel_for_dispatch_key", lambda key: False)
    return Operator(
        name=full,
        arguments=arguments,
        written=tuple(written),
        rule=None if found is layout.free else found,
        synaptic=found is not None and found.__module__ == synaptic.__name__,
        free=found is layout.free or (space == "aten" and name in layout.LAYOUT) or space == "prim",
        shape_only=name.startswith("new_") or name in ("empty_like", "zeros_like", "ones_like", "full_like"),
        allocates=name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
        # of its own, in C++: Python decompositions of other operators would change what is executed
        composite=schema is not None
        and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), keys.CompositeImplicitAutograd),
        autocast=frozenset(d for d in DEVICES if has(getattr(keys, f"Autocast{d.upper()}"))),
    )
