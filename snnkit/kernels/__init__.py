"""The same dynamics as ``snnkit.neurons``, faster; every kernel is checked against the step loop."""

from .backend import BACKENDS, backend, use_backend
from .counts import counts
from .dynamics import LIFDynamics
from .event_linear import event_driven, event_linear
from .lif import lif
from .lif_eager import lif_eager
from .lif_native import lif_native
from .memory import keep_memory
from .native import backend_report, isa, library
from .reference import scan
from .synaptic import synaptic
from .ultra import ultra

__all__ = [
    "BACKENDS",
    "LIFDynamics",
    "backend",
    "backend_report",
    "counts",
    "event_driven",
    "event_linear",
    "isa",
    "keep_memory",
    "library",
    "lif",
    "lif_eager",
    "lif_native",
    "scan",
    "synaptic",
    "ultra",
    "use_backend",
]
