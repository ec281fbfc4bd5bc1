"""Ones in the binary numbers of integer operands: what a bit-serial unit adds, pair by pair.

``pop_a`` (and ``pop_b`` of a product) is the sum over pairs of popcount(abs(x)/u). The rules count
``abs_a``, the sum over pairs of abs(x), for any operator; with popcount(abs(x)/u) u in the place of x the
same rule gives the popcounts.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .alphabet import Alphabet
from .rules import Op, OpCount, Rule, rule_of
from .synaptic import of_products

__all__ = ["popcount", "with_popcounts"]

_FIRST = ("mat1", "batch1", "mat", "input", "X", "self")
_SECOND = ("mat2", "batch2", "vec", "tensor", "other")


def popcount(x: Tensor, unit: float) -> Tensor:
    """Number of ones in the binary form of ``round(abs(x) / unit)``, at most 255; the dtype of x."""
    number = (x.double().abs() / unit).round().long()
    ones = torch.zeros_like(number)
    for bit in range(8):
        ones += (number >> bit) & 1
    return ones.to(x.dtype)


def with_popcounts(op: Op, rule: Rule, answer: OpCount | object) -> OpCount | object:
    """``answer`` of ``rule``, with the popcounts of its operands if it counts multiply-accumulates."""
    if op.name == "_trilinear" and isinstance(answer, tuple):
        forming, counted = answer
        linear = rule_of(torch.ops.aten.linear)
        assert linear is not None
        return forming, with_popcounts(of_products(op), linear, counted)
    if isinstance(answer, OpCount) and answer.kind in ("weight", "product"):
        sides = [("a", answer.a, "sop" if answer.kind == "weight" else "pairs_a")]
        sides += [("b", answer.b, "pairs_b")] if answer.kind == "product" else []
        for side, alphabet, pairs in sides:
            if alphabet.is_spike or not alphabet.is_event:
                answer.values[f"pop_{side}"] = answer.values[pairs] if alphabet.is_spike else 0
            else:
                answer.values[f"pop_{side}"] = _again(op, rule, answer.kind, side, alphabet)
    return answer


def _again(op: Op, rule: Rule, kind: str, side: str, alphabet: Alphabet) -> Tensor | int:
    """Apply the rule to an operand whose values are the popcounts of its own."""
    first, second = (next((n for n in names if n in op.args), "") for names in (_FIRST, _SECOND))
    if kind == "weight":  # the operand that is no weight, on either side
        name = first if op.is_data(op.args[first]) or not second else second
    else:
        name = first if side == "a" else second
    x = op.args[name]
    ones = popcount(x, alphabet.unit) * alphabet.unit
    op.marks.follow([op.marks.get(x)], ones)
    counted = rule(replace(op, args={**op.args, name: ones}, notes=[], real=(False, False)))
    assert isinstance(counted, OpCount)
    units = counted.values[f"abs_{side}"]
    return (units / alphabet.unit).round() if isinstance(units, Tensor) else 0
