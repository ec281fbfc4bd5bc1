"""Spiking neurons: one family per file, a pure step function and a thin module.

To add a neuron, write one file with a class derived from :class:`Neuron`, decorate it with
``@NEURONS.register("name")`` and import it here; the contract tests pick it up.
"""

from .adaptive import AdaptiveLIF, AdaptiveState
from .base import NEURONS, Neuron, NeuronOps
from .clif import CLIF, CLIFState
from .factory import NeuronFactory, NeuronSpec, Role, make_neuron
from .glif import GLIF, GLIFState
from .hoyer import HoyerSpike
from .ilif import ILIF, ILIFState
from .integrator import IntegratorState, LeakyIntegrator
from .izhikevich import Izhikevich, IzhikevichState
from .izhikevich_dimensionless import DimensionlessIzhikevich, DimensionlessIzhikevichState
from .klif import KLIF, KLIFState
from .lif import IF, LIF, LIFState, lif_step
from .masked_psn import MaskedPSN, MaskedPSNState
from .membrane import Membrane, Reset
from .presets import LibraryPresets
from .psn import PSN, SlidingPSN, SlidingPSNState
from .recurrent import RecurrentLIF, RecurrentState
from .synaptic import SynapticLIF, SynapticState

__all__ = [
    "CLIF",
    "GLIF",
    "IF",
    "ILIF",
    "KLIF",
    "LIF",
    "NEURONS",
    "PSN",
    "AdaptiveLIF",
    "AdaptiveState",
    "CLIFState",
    "DimensionlessIzhikevich",
    "DimensionlessIzhikevichState",
    "GLIFState",
    "HoyerSpike",
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
    "Neuron",
    "NeuronFactory",
    "NeuronOps",
    "NeuronSpec",
    "RecurrentLIF",
    "RecurrentState",
    "Reset",
    "Role",
    "SlidingPSN",
    "SlidingPSNState",
    "SynapticLIF",
    "SynapticState",
    "lif_step",
    "make_neuron",
]
