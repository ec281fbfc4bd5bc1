"""The registry of counting rules, by operator.

Rules live in :mod:`synaptic`, :mod:`pointwise` and :mod:`functions`. A rule looks at one executed operation
and answers with an :class:`OpCount` (or a tuple of them), with ``FREE`` (moves or relabels data, or can be
folded away), or with a sentence: not counted, and why. An operator without a rule is not counted either.
Both are listed in the report, so nothing is silently zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, log2
from typing import Any, Literal

import torch
from torch import Tensor

from .alphabet import EMPTY, REAL, Alphabet, observe
from .provenance import Linear, Mark, Provenance, tensors_in

__all__ = ["FREE", "DelayMemory", "Op", "OpCount", "Rule", "looks_like_matmul", "rule", "rule_of"]

FREE = object()


@dataclass(frozen=True, slots=True)
class DelayMemory:
    """What the delays at one place need.

    Attributes:
        place: "input", "output" or "synapse". number: of delay parameters.
        held: values that wait, at most: the sum of the delays, or O (D + 1). max_delay: D.
    """

    place: Literal["input", "output", "synapse"]
    number: int
    held: int
    max_delay: int

    @property
    def code_bits(self) -> int:
        """Bits of one delay parameter."""
        return ceil(log2(self.max_delay + 1))


@dataclass(slots=True)
class OpCount:
    """Counts of one operation, per leading index of its operand.

    Attributes:
        kind: "weight" layer, "product" of two activations, "neuron" update or "pointwise".
        values: field name -> ``[rows]`` tensor, or the total of all rows if it spreads evenly. Beside
            the fields of :class:`Counts`: ``abs_a``, ``abs_b`` (sum over pairs of abs(x)),
            ``pairs_min`` (the sparser stream of every product), ``nnz_a``, ``nnz_b``, ``numel_a``,
            ``numel_b`` (of the two operands of a product), ``spike_units`` (sum of spike levels),
            ``dense_adds`` (additions if nothing is skipped).
        rows: number of leading indices.
        shape: shape of the operand as the model holds it, ``[T, B, ...]``, ``[T*B, ...]`` or
            ``[B, ...]``; tells how rows belong to steps and samples.
        signature: further sizes that tell operations of one module apart.
        a, b: alphabets of the operands; b only for products.
        weights, biases: number of stored weights, and of biases or offsets of a folded norm.
        path: the module that pays, if not the one that runs the operation.
        delays: memory that its delays need, see :mod:`snnkit.energy.delays`.
    """

    kind: Literal["weight", "product", "neuron", "pointwise"]
    values: dict[str, Tensor | int]
    rows: int
    shape: tuple[int, ...] | None
    signature: tuple[Any, ...] = ()
    a: Alphabet = EMPTY
    b: Alphabet = EMPTY
    weights: int = 0
    biases: int = 0
    path: str | None = None
    delays: tuple[DelayMemory, ...] = ()


@dataclass(slots=True)
class Op:
    """One executed operation as a rule sees it.

    Attributes:
        path: of the module that runs it. name: operator, without its overload. args: by schema name,
            defaults included. out: result.
        call, shape: name of the Python-level product around it, and the shape of its largest operand;
            "" and None if there is none.
        marks: origin of tensors.
        nonzero_weights: whether a weight has no zero (remembered, so that it is counted once).
        notes: warnings that a rule wants reported.
        real: operands a and b are known to be real from earlier calls.
        linear, inner, result: what the rule found out about the result, see :class:`Mark`; ``result`` is
            its ``declared``.
    """

    path: str
    name: str
    args: dict[str, Any]
    out: Any
    call: str
    shape: tuple[int, ...] | None
    marks: Provenance
    nonzero_weights: Callable[[Tensor], bool]
    real: tuple[bool, bool] = (False, False)
    notes: list[str] = field(default_factory=list)
    linear: Linear | None = None
    result: Alphabet | None = None
    inner: tuple[tuple[int, ...], tuple[tuple[int, int], ...]] | None = None

    def tensor(self, *names: str) -> Tensor:
        """The first of the named arguments that the operator has."""
        return next(self.args[n] for n in names if isinstance(self.args.get(n), Tensor))

    def is_data(self, x: Any) -> bool:
        """Depends on the model input; False for numbers."""
        return isinstance(x, Tensor) and self.marks.is_data(x)

    def mark(self, x: Tensor) -> Mark | None:
        """What is known about the storage of ``x``."""
        return self.marks.get(x)

    def alphabet(self, x: Tensor, *, real: bool = False) -> Alphabet:
        """Alphabet of ``x``: real if known to be, or known from the layer that made it, else observed."""
        if real:
            return REAL
        mark = self.marks.get(x)
        if mark is not None and mark.alphabet is not None:
            return mark.alphabet
        seen = observe(x)
        if seen.kind == "empty" and mark is not None and mark.declared is not None:
            return mark.declared
        return seen

    def declared(self, x: Any) -> Alphabet | None:
        """What the layers before ``x`` can produce, if that is known and not real."""
        mark = self.marks.get(x) if isinstance(x, Tensor) else None
        known = None if mark is None else mark.alphabet or mark.declared
        return known if known is not None and known.is_event else None

    def has_data(self) -> bool:
        """Any operand depends on the model input."""
        return any(self.marks.is_data(t) for t in tensors_in(self.args.values()))


Rule = Callable[[Op], "OpCount | tuple[OpCount, ...] | object"]
_RULES: dict[Any, Rule] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Decorator: count ``operators``, as ``"convolution"`` (of aten) or ``"mylib::my_op"``, by this rule.

    Operators that this version of torch lacks are skipped.
    """

    def add(function: Rule) -> Rule:
        for name in operators:
            space, _, op = name.rpartition("::")
            packet = getattr(getattr(torch.ops, space or "aten"), op, None)
            if packet is not None:
                _RULES[packet] = function
        return function

    return add


def rule_of(packet: Any) -> Rule | None:
    """The rule for an operator (an OpOverloadPacket), or None."""
    return _RULES.get(packet)


_MATMUL_WORDS = (
    "mm", "conv", "linear", "matmul", "attention", "lstm", "gru", "rnn", "einsum", "dot", "bilinear",
    "trilinear", "cdist", "fft", "kron", "qlinear", "solve", "cholesky",
)  # fmt: skip


def looks_like_matmul(name: str) -> bool:
    """An operator of unknown rule that may hide multiply-accumulates: leaving it out always warns."""
    return any(word in name for word in _MATMUL_WORDS)
