"""Low-bit weights, integer inference, and the proof that a network is spike-driven.

::

    small = snnkit.quant.quantize(net, weight_bits=4)    # train it on: each forward quantises
"""

from .base import QUANTIZERS, Codes, Quantizer
from .calibrate import calibrate
from .fold import fold_norms, fuse_blocks
from .lsq import LSQ, lsq_round
from .oscillation import CGA, OscillationTracker
from .quantize import project_steps, quantize, quantized_layers
from .state import StateQuantized, quantize_states
from .statsq import StatsQ
from .ternary import Binary, Ternary

__all__ = [
    "CGA",
    "LSQ",
    "QUANTIZERS",
    "Binary",
    "Codes",
    "OscillationTracker",
    "Quantizer",
    "StateQuantized",
    "StatsQ",
    "Ternary",
    "calibrate",
    "fold_norms",
    "fuse_blocks",
    "lsq_round",
    "project_steps",
    "quantize",
    "quantize_states",
    "quantized_layers",
]
