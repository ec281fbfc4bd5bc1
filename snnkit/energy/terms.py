"""Names of the energy terms, in the order in which they are drawn and listed."""

from __future__ import annotations

__all__ = ["CLASSES", "TERMS"]

TERMS = {
    "ac": "accumulations",
    "mac": "multiply-accumulates",
    "synop": "synaptic events",
    "bias": "biases and folded norms",
    "scale": "scaling of inputs",
    "neuron": "neuron updates",
    "other": "pointwise operations",
    "address": "address generation",
    "mem_w": "memory: weights",
    "mem_p": "memory: accumulators",
    "mem_u": "memory: neuron states",
    "mem_i": "memory: inputs",
    "mem_s": "memory: outputs",
    "mem_a": "memory: second operands",
    "mem_c": "memory: delays",
    "noc": "network and routing",
    "static": "static power",
}

# Tensors that live in memory: the last letter of their term.
CLASSES = {
    "w": "weights", "p": "accumulators", "u": "neuron states", "i": "inputs", "s": "outputs",
    "a": "second operands of products", "c": "delay lines and tables",
}  # fmt: skip
