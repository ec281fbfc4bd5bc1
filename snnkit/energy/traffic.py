"""Memory traffic and network hops of one operation under a data-flow, see :mod:`snnkit.energy.dataflow`.

W  weights                      P  accumulators, read and written      I  events or inputs read
U  states, read and written     S  events or outputs written           A  second operands of products
C  delay lines, pending buffers and tables, see :mod:`snnkit.energy.delays`
energy of a class = accesses x word bits x price of a bit in the memory that holds the tensor
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from .alphabet import Alphabet
from .assumptions import Setup
from .charges import EXECUTIONS, INFERENCES, Charge, Work, level_bits, work_of
from .ledger import OpRecord

__all__ = ["hops", "traffic"]


def traffic(record: OpRecord, setup: Setup, steps: float) -> Iterator[Charge]:
    """Charges for memory; ``steps``: how often the record runs per inference."""
    if record.kind == "neuron":
        yield from _neuron(record, setup, steps)
    elif record.kind == "pointwise":
        if record.total("reads"):
            bits = setup.weight_bits
            yield Charge("mem_w", "reads", 1.0, setup.access("w", bits, record.weights * bits / 8))
        yield from _delays(record, setup, "nnz_in")
    else:
        work = work_of(record, setup)
        yield from _weights(record, setup, work, steps)
        yield from _delays(record, setup, work.feature, work.scale)
        yield from _sums(record, setup, work)
        yield from _inputs(record, setup, work)
    if record.total("bias_add"):
        size = record.biases * setup.weight_bits / 8
        word = setup.access("w", setup.weight_bits, size)
        if setup.flow.weights in ("tensor", "fit"):
            once = setup.flow.weights == "tensor" or setup.on_chip(size)
            yield Charge("mem_w", INFERENCES if once else EXECUTIONS, record.biases, word)
        else:
            yield Charge("mem_w", "bias_add", 1.0, word)


def _size(record: OpRecord, count: str) -> float:
    """Elements per execution."""
    return record.total(count) / max(record.executions, 1)


# -- weights, accumulators, inputs ---------------------------------------------------------------------


def _weights(record: OpRecord, setup: Setup, work: Work, steps: float) -> Iterator[Charge]:
    """The stored operand: weights, or the activations that the other operand is multiplied with."""
    how, share = setup.flow.weights, setup.share("w" if record.kind == "weight" else "a")
    if record.kind == "weight":
        term, number, bits = "mem_w", float(record.weights), float(setup.stored_bits(record.weight_bits))
    else:
        other = record.b if work.source == "a" else record.a
        number = _size(record, "numel_b" if work.source == "a" else "numel_a")
        bits = level_bits(other) if other.is_event and setup.kind == "snn" else setup.act_bits
        term = "mem_a"
    word = setup.access(term[-1], bits, number * bits / 8)
    if how == "operation" or (how == "group" and record.kind != "weight"):
        yield Charge(term, work.feature, work.scale * share, word, event=work.event)
    elif how == "slot":
        yield Charge(term, "valid", share, word)
    elif how == "group":
        groups = math.ceil(steps / (setup.time_group or steps))
        taps = record.total("valid") * groups / max(steps, 1)
        if record.total(work.feature) * work.scale <= taps:
            yield Charge(term, work.feature, work.scale * share, word, event=work.event)
        else:
            yield Charge(term, "valid", groups / max(steps, 1) * share, word)
    else:
        once = record.kind == "weight" and (how == "tensor" or setup.on_chip(number * bits / 8))
        yield Charge(term, INFERENCES if once else EXECUTIONS, number, word)


def _delays(record: OpRecord, setup: Setup, operation: str, scale: float = 1.0) -> Iterator[Charge]:
    """Values that wait, and the tables that say how long; a network of one step has neither."""
    if setup.kind != "snn":
        return
    event = record.a.is_event
    for delay in record.delays:
        if delay.place == "input":
            every, factor, bits = ("nnz_in" if event else "numel_in"), 1.0, float(level_bits(record.a))
            bits = bits if event else setup.act_bits
        elif delay.place == "output":
            every, factor, bits = "numel_out", 1.0, float(setup.state_bits)
        else:
            every, factor, bits = operation, scale, float(setup.state_bits)
        follows = event and delay.place != "output"
        waits = setup.access("c", bits, delay.held * bits / 8)
        yield Charge("mem_c", every, 2 * factor, waits, event=follows)
        if delay.place == "synapse":  # delivered: read and cleared once per step
            yield Charge("mem_c", "numel_out", 2.0, waits)
        table = setup.access("c", delay.code_bits, delay.number * delay.code_bits / 8)
        if setup.flow.weights in ("tensor", "fit"):
            yield Charge("mem_c", INFERENCES, delay.number, table)
        else:
            yield Charge("mem_c", every, factor, table, event=follows)


def _sums(record: OpRecord, setup: Setup, work: Work) -> Iterator[Charge]:
    pending = setup.kind == "snn" and any(delay.place == "synapse" for delay in record.delays)
    if setup.flow.sums == "register" or pending:  # the pending buffer is the accumulator
        return
    word = setup.access("p", setup.state_bits, _size(record, "numel_out") * setup.state_bits / 8)
    scale = 2 * setup.share("u")
    if setup.flow.sums == "slot":
        yield Charge("mem_p", "valid", scale, word)
    else:
        yield Charge("mem_p", work.feature, work.scale * scale, word, event=work.event)


def _inputs(record: OpRecord, setup: Setup, work: Work) -> Iterator[Charge]:
    side = work.source
    nnz, numel = ("nnz_in", "numel_in") if record.kind == "weight" else (f"nnz_{side}", f"numel_{side}")
    size, share = _size(record, numel), setup.share("i")
    coded = work.alphabet.is_event
    bits = float(level_bits(work.alphabet) if coded else setup.act_bits)
    if setup.flow.inputs == "slot":
        yield Charge("mem_i", "valid", share, setup.access("i", bits, size * bits / 8))
    elif not coded:
        yield Charge("mem_i", numel, share, setup.access("i", bits, size * bits / 8))
    else:
        yield from _events(setup, "i", work.alphabet, nnz, numel, size, _size(record, nnz), share)


def _events(
    setup: Setup,
    tensor: str,
    alphabet: Alphabet,
    nnz: str,
    numel: str,
    size: float,
    events: float,
    share: float,
) -> Iterator[Charge]:
    """Events in the chosen code, through a queue that holds those of one execution."""
    term = f"mem_{tensor}"
    if setup.encoding == "bitmap":
        bits = level_bits(alphabet)
        yield Charge(term, numel, share, setup.access(tensor, bits, size * bits / 8))
        return
    bits = event_bits(alphabet, size)
    queue = (setup.fifo_messages or events) * bits / 8
    yield Charge(term, nnz, share, setup.access(tensor, bits, queue), event=True)
    if setup.encoding == "csr":  # one pointer per row, a row is a step
        pointer = math.ceil(math.log2(size + 1)) if size else 0
        yield Charge(term, EXECUTIONS, share, setup.access(tensor, pointer, queue))


def event_bits(alphabet: Alphabet, size: float) -> int:
    """An event: its position among ``size``, and its value unless that is always the same."""
    address = max(1, math.ceil(math.log2(max(size, 2))))
    constant = alphabet.is_spike and not alphabet.signed
    return address + (0 if constant else level_bits(alphabet) - alphabet.is_spike)


# -- neurons -------------------------------------------------------------------------------------------


def _neuron(record: OpRecord, setup: Setup, steps: float) -> Iterator[Charge]:
    neurons = _size(record, "neuron_steps")
    real = setup.access("s", setup.act_bits, neurons * setup.act_bits / 8)
    if setup.kind != "snn":
        yield Charge("mem_s", "neuron_steps", 1.0, real)
        return
    bits, share = setup.state_bits, setup.share("u")
    cost = record.neuron.cost if record.neuron is not None else None
    if cost is not None:
        word = setup.access("u", bits, neurons * max(cost.state_words, 1) * bits / 8)
        if setup.flow.states == "group":
            share *= math.ceil(steps / (setup.time_group or steps)) / max(steps, 1)
        if cost.state_words:
            yield Charge("mem_u", "neuron_steps", 2 * cost.state_words * share, word)
        if cost.spike_write and setup.flow.states == "step":
            yield Charge("mem_u", "spikes", cost.spike_write * share, word, event=True)
    if "spikes" not in record.steps:  # a read-out: real values leave it
        yield Charge("mem_s", "neuron_steps", 1.0, real)
    else:
        spikes = _size(record, "spikes")
        yield from _events(setup, "s", record.a, "spikes", "neuron_steps", neurons, spikes, 1.0)


def hops(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    """Every event, or dense activation, travels ``setup.hops`` hops."""
    if record.kind != "neuron":
        return
    found = setup.profile.price("hop", "int", 1)
    pj = None if found is None else found[0] * setup.hops
    if setup.kind == "snn" and "spikes" in record.steps:
        bits = event_bits(record.a, _size(record, "neuron_steps"))
        yield Charge("noc", "spikes", float(bits), pj, "hop", True)
    else:
        yield Charge("noc", "neuron_steps", float(setup.act_bits), pj, "hop")
