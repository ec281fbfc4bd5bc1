"""Charges of an event profile: E = synaptic events e_synop + neuron-steps e_neuron + spikes e_spike.

Chips report such prices as measured, memory and control included. A profile with a price per dense
"mac" and none per "synop" is a processor that computes every slot at every step, spikes or not.
"""

from __future__ import annotations

from collections.abc import Iterator

from .alphabet import Alphabet
from .assumptions import Setup
from .charges import Charge
from .ledger import OpRecord

__all__ = ["event_charges"]


def event_charges(record: OpRecord, setup: Setup) -> Iterator[Charge]:
    """All charges of one operation; a count without a price is yielded with ``pj`` None."""
    if record.kind == "neuron":
        yield Charge("neuron", "neuron_steps", 1.0, setup.profile.event("neuron"), "a neuron update")
        spike = setup.profile.event("spike")
        if setup.kind == "snn" and spike is not None and "spikes" in record.steps:
            yield Charge("noc", "spikes", 1.0, spike, event=True)
    elif record.kind == "pointwise":
        for count in ("adds", "muls", "cmps", "and_ops", "exps", "divs", "sqrts", "reads"):
            if record.total(count):
                yield Charge("other", count, 1.0, None, "a pointwise operation")
    elif setup.kind != "snn" or setup.profile.event("synop") is None:
        price = setup.profile.event("mac")
        yield Charge("mac", "valid", 1.0 - setup.sparsity, price, "a multiply-accumulate")
    else:
        yield _synaptic(record, setup)


def _synaptic(record: OpRecord, setup: Setup) -> Charge:
    side = "a" if record.kind == "weight" or record.streams_a else "b"
    alphabet: Alphabet = record.a if side == "a" else record.b
    price = setup.profile.event("synop")
    if alphabet.is_spike:
        return Charge("synop", "sop" if record.kind == "weight" else record.stream, 1.0, price, event=True)
    if alphabet.is_event and alphabet.levels <= setup.unroll_levels:
        return Charge("synop", f"abs_{side}", 1.0 / alphabet.unit, price, event=True)
    mac = setup.profile.event("mac")
    return Charge(
        "mac", "valid", 1.0, mac, "a multiply-accumulate: the input of this layer is no spike train"
    )
