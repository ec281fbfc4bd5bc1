"""The same dynamics as ``snnkit.neurons``, faster; every kernel is checked against the step loop."""

from .lif import LIFDynamics, lif
from .reference import scan

__all__ = ["LIFDynamics", "lif", "scan"]
