"""Spiking neurons: one family per file, a pure step function and a thin module.

To add a neuron, write one file with a class derived from :class:`Neuron`, decorate it with
``@NEURONS.register("name")`` and import it here; the contract tests pick it up.
"""

from .base import NEURONS, Neuron, NeuronOps, NoState
from .count_spike import CountSpike
from .counts import CountCode, collapse_counts, expand_counts, fire_counts, frame_weights, round_counts
from .delta import DeltaActivation, DeltaState, accumulate_deltas
from .factory import NeuronFactory, NeuronSpec, Role, make_neuron
from .ielif import IELIF, IELIFState, spike_entropy
from .ilif import ILIF, ILIFState
from .integrator import IntegratorState, LeakyIntegrator
from .lif import IF, LIF, LIFState, lif_step
from .presets import LibraryPresets
from .ultra import UltraLIF, UltraPLIF
from .ultra_base import UltraNeuron, UltraOutput, UltraState, log_sum_exp
from .ultra_d import UltraDLIF
from .ultra_hard import calibrate_hard_threshold

__all__ = [
    "IELIF",
    "IF",
    "ILIF",
    "LIF",
    "NEURONS",
    "CountCode",
    "CountSpike",
    "DeltaActivation",
    "DeltaState",
    "IELIFState",
    "ILIFState",
    "IntegratorState",
    "LIFState",
    "LeakyIntegrator",
    "LibraryPresets",
    "Neuron",
    "NeuronFactory",
    "NeuronOps",
    "NeuronSpec",
    "NoState",
    "Role",
    "UltraDLIF",
    "UltraLIF",
    "UltraNeuron",
    "UltraOutput",
    "UltraPLIF",
    "UltraState",
    "accumulate_deltas",
    "calibrate_hard_threshold",
    "collapse_counts",
    "expand_counts",
    "fire_counts",
    "frame_weights",
    "lif_step",
    "log_sum_exp",
    "make_neuron",
    "round_counts",
    "spike_entropy",
]
