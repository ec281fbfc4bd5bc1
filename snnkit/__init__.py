"""snnkit: spiking neural networks on PyTorch."""

__version__ = "0.1.0"

from .neurons import IF, LIF
from .sequence import stream
