"""Low-bit weights, integer inference, and the proof that a network is spike-driven.

::

    small = snnkit.quant.quantize(net, weight_bits=4)    # train it on: each forward quantises
"""

from ..fusing import fuse_blocks
from .base import QUANTIZERS, Codes, Quantizer
from .calibrate import calibrate, measure_norms
from .check import SpikeProof, assert_spike_driven, product_inputs
from .distill import AttentionSimilarityLoss, attention_maps
from .fold import fold_norms
from .integer import convert_to_integer
from .integer_file import load_integer, save_integer
from .integer_neurons import integer_rule
from .lsq import LSQ, lsq_round
from .oscillation import CGA, OscillationTracker
from .product_watch import Offence
from .program import IntegerModel, SimulatedModel, simulate_integer
from .quantize import project_steps, quantize, quantized_layers
from .size import LayerSize, SizeReport, size_report
from .state import StateQuantized, quantize_states
from .statsq import StatsQ
from .ternary import Binary, Ternary

__all__ = [
    "CGA",
    "LSQ",
    "QUANTIZERS",
    "AttentionSimilarityLoss",
    "Binary",
    "Codes",
    "IntegerModel",
    "LayerSize",
    "Offence",
    "OscillationTracker",
    "Quantizer",
    "SimulatedModel",
    "SizeReport",
    "SpikeProof",
    "StateQuantized",
    "StatsQ",
    "Ternary",
    "assert_spike_driven",
    "attention_maps",
    "calibrate",
    "convert_to_integer",
    "fold_norms",
    "fuse_blocks",
    "integer_rule",
    "load_integer",
    "lsq_round",
    "measure_norms",
    "product_inputs",
    "project_steps",
    "quantize",
    "quantize_states",
    "quantized_layers",
    "save_integer",
    "simulate_integer",
    "size_report",
]
