"""The same dynamics as ``snnkit.neurons``, faster; every kernel is checked against the step loop."""

from .backend import BACKENDS, backend, use_backend
from .counts import counts
from .dynamics import LIFDynamics
from .lif import lif
from .lif_eager import lif_eager
from .lif_native import lif_native
from .memory import keep_memory
from .native import describe, isa, library
from .reference import scan

__all__ = [
    "BACKENDS",
    "LIFDynamics",
    "backend",
    "counts",
    "describe",
    "isa",
    "keep_memory",
    "library",
    "lif",
    "lif_eager",
    "lif_native",
    "scan",
    "use_backend",
]
