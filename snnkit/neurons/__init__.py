"""Spiking neurons: one family per file, a pure step function and a thin module.

To add a neuron, write one file with a class derived from :class:`Neuron`, decorate it with
``@NEURONS.register("name")`` and import it here; the contract tests pick it up.
"""

from .base import NEURONS, Neuron, NeuronOps
from .factory import NeuronFactory, NeuronSpec, Role, make_neuron
from .hoyer import HoyerSpike
from .ilif import ILIF, ILIFState
from .integrator import IntegratorState, LeakyIntegrator
from .lif import IF, LIF, LIFState, lif_step
from .masked_psn import MaskedPSN, MaskedPSNState
from .presets import LibraryPresets
from .psn import PSN, SlidingPSN, SlidingPSNState

__all__ = [
    "IF",
    "ILIF",
    "LIF",
    "NEURONS",
    "PSN",
    "HoyerSpike",
    "ILIFState",
    "IntegratorState",
    "LIFState",
    "LeakyIntegrator",
    "LibraryPresets",
    "MaskedPSN",
    "MaskedPSNState",
    "Neuron",
    "NeuronFactory",
    "NeuronOps",
    "NeuronSpec",
    "Role",
    "SlidingPSN",
    "SlidingPSNState",
    "lif_step",
    "make_neuron",
]
