"""Spiking neurons: one family per file, a pure step function and a thin module.

To add a neuron, write one file with a class derived from :class:`Neuron`, decorate it with
``@NEURONS.register("name")`` and import it here; the contract tests pick it up.
"""

from .adaptive import AdaptiveLIF, AdaptiveState
from .base import NEURONS, Neuron, NeuronOps
from .clif import CLIF, CLIFState
from .count_spike import CountSpike
from .counts import CountCode, collapse_counts, expand_counts, fire_counts, frame_weights, round_counts
from .delay import DelayKind, DelayLinear, DelayState
from .delay_conv import DelayConv2d
from .delay_line import AxonalDelay, AxonalDelayState
from .delay_recurrent import DelayRecurrentLIF, DelayRecurrentState
from .delay_training import SigmaSchedule, delay_layers, delay_param_groups, project_delays
from .delayed import Delayed, fractional_delays
from .delta import DeltaActivation, DeltaState, accumulate_deltas
from .factory import NeuronFactory, NeuronSpec, Role, make_neuron
from .glif import GLIF, GLIFState
from .hoyer import HoyerSpike
from .ielif import IELIF, IELIFState, spike_entropy
from .ilif import ILIF, ILIFState
from .integrator import IntegratorState, LeakyIntegrator
from .izhikevich import Izhikevich, IzhikevichState
from .izhikevich_dimensionless import DimensionlessIzhikevich, DimensionlessIzhikevichState
from .klif import KLIF, KLIFState
from .lif import IF, LIF, LIFState, lif_step
from .masked_psn import MaskedPSN, MaskedPSNState
from .membrane import Membrane, Reset
from .mixture import MixtureNeuron
from .presets import LibraryPresets
from .psn import PSN, SlidingPSN, SlidingPSNState
from .recurrent import RecurrentLIF, RecurrentState
from .synaptic import SynapticLIF, SynapticState
from .ultra import UltraLIF, UltraPLIF
from .ultra_base import UltraNeuron, UltraOutput, UltraState, log_sum_exp
from .ultra_d import UltraDLIF
from .ultra_hard import calibrate_hard_threshold

__all__ = [
    "CLIF",
    "GLIF",
    "IELIF",
    "IF",
    "ILIF",
    "KLIF",
    "LIF",
    "NEURONS",
    "PSN",
    "AdaptiveLIF",
    "AdaptiveState",
    "AxonalDelay",
    "AxonalDelayState",
    "CLIFState",
    "CountCode",
    "CountSpike",
    "DelayConv2d",
    "DelayKind",
    "DelayLinear",
    "DelayRecurrentLIF",
    "DelayRecurrentState",
    "DelayState",
    "Delayed",
    "DeltaActivation",
    "DeltaState",
    "DimensionlessIzhikevich",
    "DimensionlessIzhikevichState",
    "GLIFState",
    "HoyerSpike",
    "IELIFState",
    "ILIFState",
    "IntegratorState",
    "Izhikevich",
    "IzhikevichState",
    "KLIFState",
    "LIFState",
    "LeakyIntegrator",
    "LibraryPresets",
    "MaskedPSN",
    "MaskedPSNState",
    "Membrane",
    "MixtureNeuron",
    "Neuron",
    "NeuronFactory",
    "NeuronOps",
    "NeuronSpec",
    "RecurrentLIF",
    "RecurrentState",
    "Reset",
    "Role",
    "SigmaSchedule",
    "SlidingPSN",
    "SlidingPSNState",
    "SynapticLIF",
    "SynapticState",
    "UltraDLIF",
    "UltraLIF",
    "UltraNeuron",
    "UltraOutput",
    "UltraPLIF",
    "UltraState",
    "accumulate_deltas",
    "calibrate_hard_threshold",
    "collapse_counts",
    "delay_layers",
    "delay_param_groups",
    "expand_counts",
    "fire_counts",
    "fractional_delays",
    "frame_weights",
    "lif_step",
    "log_sum_exp",
    "make_neuron",
    "project_delays",
    "round_counts",
    "spike_entropy",
]
