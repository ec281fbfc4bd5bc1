"""What every counted operation is charged for: compute by alphabet, memory by the ``event`` data-flow.

Per operation of a weight layer, K = number of operations of the alphabet of its input:

    ============== =============================================== ==========================
    input          compute                                         K
    ============== =============================================== ==========================
    binary,ternary AC                                              sop
    integer        AC (unrolled into unit events) or MAC           sum_abs or sop
    real           MAC                                             valid (sop with zero_skip)
    ============== =============================================== ==========================

    memory: W  K weights read           P  2 K accumulator accesses (read, write)
            I  every event, or every real input, read once
            U  state words read and written per neuron-step     S  output events written
            A  K words of the other operand, for products of two activations
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from .alphabet import Alphabet
from .assumptions import Setup
from .ledger import OpRecord

__all__ = ["TERMS", "Charge", "charges"]

TERMS = {
    "ac": "accumulations",
    "mac": "multiply-accumulates",
    "bias": "biases and folded norms",
    "scale": "scaling of inputs",
    "neuron": "neuron updates",
    "other": "pointwise operations",
    "mem_w": "memory: weights",
    "mem_p": "memory: accumulators",
    "mem_u": "memory: neuron states",
    "mem_i": "memory: inputs",
    "mem_s": "memory: outputs",
    "mem_a": "memory: second operands",
}


@dataclass(frozen=True, slots=True)
class Charge:
    """``scale * pj`` for every unit of the raw count ``feature``; ``pj`` None: the profile has no price."""

    term: str
    feature: str
    scale: float
    pj: float | None
    what: str = ""


def charges(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    """All charges of one operation, each linear in a raw count."""
    if record.kind == "neuron":
        yield from _neuron(record, setup)
    elif record.kind == "pointwise":
        yield from _pointwise(record, setup)
    elif setup.kind != "snn":
        yield from _dense(record, setup)
    elif record.kind == "weight":
        yield from _weight(record, setup)
    else:
        yield from _product(record, setup)
    if record.total("bias_add"):
        once = 1.0 if setup.kind == "snn" else 1.0 / max(record.executions, 1)
        yield Charge("bias", "bias_add", once, setup.ac)
        if setup.dataflow == "event":
            yield Charge("mem_w", "bias_add", once, setup.access(setup.weight_bits, 0))


# -- compute -------------------------------------------------------------------------------------------


def _stream(
    alphabet: Alphabet, setup: Setup, pairs: str, units: str, slots: str
) -> tuple[str, str, float, float]:
    """(term, count, its scale, price) of operations driven by one operand."""
    if alphabet.is_spike:
        return "ac", pairs, 1.0, setup.ac
    if alphabet.is_event and setup.multilevel == "unroll" and alphabet.levels <= setup.unroll_levels:
        return "ac", units, 1.0 / alphabet.unit, setup.ac
    if alphabet.is_event:
        return "mac", pairs, 1.0, setup.mac(_level_bits(alphabet))
    return "mac", pairs if setup.zero_skip else slots, 1.0, setup.mac()


def _weight(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    a = record.a
    term, count, scale, pj = _stream(a, setup, "sop", "abs_a", "valid")
    if setup.padding == "dense":  # rate x dense, as published numbers have it
        if count in ("sop", "abs_a"):
            reached = record.total("sop")
            fair = record.total("dense") * record.total("nnz_in") / max(record.total("numel_in"), 1)
            scale *= fair / reached if reached else 1.0
        else:
            count = "dense"
    yield Charge(term, count, scale, pj)
    if a.is_event and not a.unit_is_power_of_two:
        yield Charge("scale", "numel_out", 1.0, setup.op("mul", setup.state_bits), "mul")
    if setup.dataflow == "event":
        yield from _traffic(record, setup, count, scale)
        yield _inputs(record, setup)


def _product(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    a, b = record.a, record.b
    by_a = record.streams_a
    if setup.spike_matmul in ("left", "right"):
        wanted = setup.spike_matmul == "left"
        by_a = wanted if (a if wanted else b).is_event else by_a
    source, other = (a, b) if by_a else (b, a)
    side = "a" if by_a else "b"
    term, count, scale, pj = _stream(source, setup, f"pairs_{side}", f"abs_{side}", "valid")
    if term == "mac" and count.startswith("pairs") and not source.is_event:
        count = "pairs_ab"  # zero_skip: both operands nonzero
    if a.is_spike and b.is_spike:
        count = {"single": "pairs_min", "intersect": "pairs_ab"}.get(setup.spike_matmul, count)
    yield Charge(term, count, scale, pj)
    for alphabet in (a, b):
        if alphabet.is_event and not alphabet.unit_is_power_of_two:
            yield Charge("scale", "numel_out", 1.0, setup.op("mul", setup.state_bits), "mul")
    if setup.dataflow == "event":
        bits = _level_bits(other) if other.is_event else setup.act_bits
        size = record.total(f"numel_{'b' if by_a else 'a'}") / max(record.executions, 1)
        yield Charge("mem_a", count, scale, setup.access(bits, size * bits / 8))
        yield _accumulator(record, setup, count, scale)
        yield _read(record, setup, source, f"nnz_{side}", f"numel_{side}")


def _neuron(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    spec = record.neuron
    steps = 1.0 / max(record.executions, 1) if setup.kind != "snn" else 1.0
    neurons = record.total("neuron_steps") / max(record.executions, 1)
    if setup.kind != "snn":  # a ReLU for every neuron that fires; a read-out that integrates needs none
        if spec is None or spec.levels is not None:
            yield Charge("neuron", "neuron_steps", steps, setup.op("cmp"), "cmp")
        if setup.dataflow == "event":
            bits = setup.act_bits
            yield Charge("mem_s", "neuron_steps", steps, setup.access(bits, neurons * bits / 8))
        return
    cost = spec.cost if spec is not None else None
    if cost is not None:
        for name, number in (("mul", cost.mul), ("add", cost.add), ("cmp", cost.cmp)):
            if number:
                yield Charge("neuron", "neuron_steps", number, setup.op(name), name)
        if cost.spike_add:
            yield Charge("neuron", "spike_units", cost.spike_add, setup.op("add"), "add")
    if setup.dataflow != "event":
        return
    bits, reuse = setup.state_bits, setup.reuse.get("u", 1.0)
    if cost is not None:
        word = setup.access(bits, neurons * max(cost.state_words, 1) * bits / 8)
        if cost.state_words:
            yield Charge("mem_u", "neuron_steps", 2 * cost.state_words / reuse, word)
        if cost.spike_write:
            yield Charge("mem_u", "spikes", cost.spike_write / reuse, word)
    if "spikes" not in record.steps:  # a read-out: real values leave it
        yield Charge("mem_s", "neuron_steps", 1.0, setup.access(setup.act_bits, neurons * setup.act_bits / 8))
    elif setup.encoding == "bitmap":
        level = _level_bits(record.a)
        yield Charge("mem_s", "neuron_steps", 1.0, setup.access(level, neurons * level / 8))
    else:
        event = _event_bits(record.a, neurons)
        queue = record.total("spikes") / max(record.executions, 1) * event / 8
        yield Charge("mem_s", "spikes", 1.0, setup.access(event, queue))


def _pointwise(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    scale = 1.0 / max(record.executions, 1) if setup.kind != "snn" else 1.0
    prices = {"adds": "add", "muls": "mul", "cmps": "cmp", "and_ops": "and"}
    prices |= {"exps": "exp", "divs": "div", "sqrts": "sqrt"}
    for feature, name in prices.items():
        if not record.total(feature):
            continue
        if setup.kind != "snn":
            if feature == "and_ops":  # masks become products, binary maxima comparisons
                name = "mul" if record.op.startswith("mul") else "cmp"
            if feature == "adds" and "dense_adds" in record.steps:
                feature = "dense_adds"
        yield Charge("other", feature, scale, setup.op(name), name)
    if record.total("reads") and setup.dataflow == "event":
        yield Charge(
            "mem_w", "reads", scale, setup.access(setup.weight_bits, record.weights * setup.weight_bits / 8)
        )


def _dense(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    """The ANN twin: every existing slot once, with real (or quantised) operands."""
    once = 1.0 / max(record.executions, 1)
    active = once * (1 - setup.sparsity)
    yield Charge("mac", "valid", active, setup.mac())
    if setup.dataflow != "event":
        return
    bits = setup.act_bits
    if record.kind == "weight":
        yield from _traffic(record, setup, "valid", active)
        size = record.total("numel_in") / max(record.executions, 1)
        read = setup.access(bits, size * bits / 8) / setup.reuse.get("i", 1.0)
        yield Charge("mem_i", "numel_in", once, read)
    else:
        for side, term, count in (("a", "mem_i", "numel_a"), ("b", "mem_a", "valid")):
            size = record.total(f"numel_{side}") / max(record.executions, 1)
            yield Charge(
                term, count, once if term == "mem_i" else active, setup.access(bits, size * bits / 8)
            )
        yield _accumulator(record, setup, "valid", active)


# -- memory --------------------------------------------------------------------------------------------


def _traffic(record: OpRecord, setup: Setup, count: str, scale: float) -> Iterator[Charge]:
    bits = setup.weight_bits
    weight = setup.access(bits, record.weights * bits / 8)
    yield Charge("mem_w", count, scale / setup.reuse.get("w", 1.0), weight)
    yield _accumulator(record, setup, count, scale)


def _accumulator(record: OpRecord, setup: Setup, count: str, scale: float) -> Charge:
    size = record.total("numel_out") / max(record.executions, 1) * setup.state_bits / 8
    return Charge("mem_p", count, 2 * scale / setup.reuse.get("u", 1.0), setup.access(setup.state_bits, size))


def _inputs(record: OpRecord, setup: Setup) -> Charge:
    return _read(record, setup, record.a, "nnz_in", "numel_in")


def _read(record: OpRecord, setup: Setup, alphabet: Alphabet, nnz: str, numel: str) -> Charge:
    """Events, or real values, read once each."""
    size = record.total(numel) / max(record.executions, 1)
    scale = 1.0 / setup.reuse.get("i", 1.0)
    if not alphabet.is_event:
        return Charge("mem_i", numel, scale, setup.access(setup.act_bits, size * setup.act_bits / 8))
    if setup.encoding == "bitmap":
        bits = _level_bits(alphabet)
        return Charge("mem_i", numel, scale, setup.access(bits, size * bits / 8))
    bits = _event_bits(alphabet, size)
    queue = record.total(nnz) / max(record.executions, 1) * bits / 8
    return Charge("mem_i", nnz, scale, setup.access(bits, queue))


def _level_bits(alphabet: Alphabet) -> int:
    """Bits of one value: 1 if binary, 2 if ternary."""
    return math.ceil(math.log2(max(alphabet.levels, 1) + 1)) + alphabet.signed


def _event_bits(alphabet: Alphabet, size: float) -> int:
    """Address-event: the position, and the value unless it is always the same."""
    address = max(1, math.ceil(math.log2(max(size, 2))))
    return address + (
        0 if alphabet.is_spike and not alphabet.signed else _level_bits(alphabet) - alphabet.is_spike
    )
