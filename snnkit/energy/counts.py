"""What is counted, hardware independent: integers that add up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Counts"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Exact operation counts of one layer, one step, one sample or a whole run; they add with ``+``.

    Attributes:
        calls: how often a weight layer, a product or a neuron ran.
        dense: multiply-accumulate slots, those on padding included (what FLOP counters call MACs).
        valid: slots whose input position exists, zero padding excluded.
        sop: synaptic operations, (nonzero input, existing tap) pairs. Product of two activations: the
            pairs of the operand that is streamed as events, the sparser one if both are events.
        sop_w: as ``sop``, nonzero weights only. Products of two activations: both operands nonzero.
        sum_abs: sum over pairs of abs(x)/u, u the unit of the alphabet of x: events if levels are
            unrolled into spikes. 0 for real operands.
        nnz_in, nnz_out, numel_in, numel_out: nonzeros and sizes of inputs and outputs of these
            operations (as executed: rounding under autocast can move ``nnz_out``).
        bias_add: one addition per output element where a bias, or a folded norm, exists.
        pairs_a, pairs_b, pairs_ab: for products ``A @ B`` of two activations: pairs driven by the
            nonzeros of A (``nnz(A) N``), of B (``nnz(B) M``), and with both operands nonzero.
        neuron_steps, spikes: neuron updates; nonzero outputs of spiking neurons.
        adds, muls, cmps, and_ops: operations outside of all these (residual additions, pooling, norms
            that cannot be folded, masks), see :mod:`snnkit.energy.pointwise`.
        exps, divs, sqrts: evaluations of transcendental functions, divisions and square roots, see
            :mod:`snnkit.energy.functions`.
        reads: words looked up (embedding, gather).
    """

    calls: int = 0
    dense: int = 0
    valid: int = 0
    sop: int = 0
    sop_w: int = 0
    sum_abs: int = 0
    nnz_in: int = 0
    nnz_out: int = 0
    numel_in: int = 0
    numel_out: int = 0
    bias_add: int = 0
    pairs_a: int = 0
    pairs_b: int = 0
    pairs_ab: int = 0
    neuron_steps: int = 0
    spikes: int = 0
    adds: int = 0
    muls: int = 0
    cmps: int = 0
    and_ops: int = 0
    exps: int = 0
    divs: int = 0
    sqrts: int = 0
    reads: int = 0

    def __add__(self, other: Counts) -> Counts:
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts(*(getattr(self, name) + getattr(other, name) for name in NAMES))

    def __radd__(self, other: Any) -> Counts:
        return self if other == 0 else NotImplemented  # so that sum(list_of_counts) works

    def as_dict(self) -> dict[str, int]:
        """Field name -> value."""
        return {name: getattr(self, name) for name in NAMES}


NAMES: tuple[str, ...] = tuple(f.name for f in fields(Counts))
