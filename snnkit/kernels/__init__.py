"""The same dynamics as ``snnkit.neurons``, faster; every kernel is checked against the step loop."""

from .backend import BACKENDS, backend, use_backend
from .clouds import farthest, nearest
from .counts import counts
from .delay_channels import delay_channels, shift_channels
from .delay_dense import DELAY_BACKENDS, DelayBackend, delay_dense
from .delay_kernel import INTERPOLATIONS, Interpolation, delay_kernel, rounded_delay
from .delayed_linear import delayed_linear
from .dynamics import LIFDynamics
from .event_linear import event_driven, event_linear
from .int_layer import IntLayer
from .int_pool import int_pool
from .int_values import IntAfter, int_after, int_values
from .lif import lif
from .lif_eager import lif_eager
from .lif_native import lif_native
from .memory import keep_memory
from .native import isa, library
from .norm_lif import Norm, norm_lif, norm_lif_unavailable
from .reference import scan
from .report import backend_report
from .synaptic import synaptic
from .triton_lif import lif_triton
from .ultra import ultra

__all__ = [
    "BACKENDS",
    "DELAY_BACKENDS",
    "INTERPOLATIONS",
    "DelayBackend",
    "IntAfter",
    "IntLayer",
    "Interpolation",
    "LIFDynamics",
    "Norm",
    "backend",
    "backend_report",
    "counts",
    "delay_channels",
    "delay_dense",
    "delay_kernel",
    "delayed_linear",
    "event_driven",
    "event_linear",
    "farthest",
    "int_after",
    "int_pool",
    "int_values",
    "isa",
    "keep_memory",
    "library",
    "lif",
    "lif_eager",
    "lif_native",
    "lif_triton",
    "nearest",
    "norm_lif",
    "norm_lif_unavailable",
    "rounded_delay",
    "scan",
    "shift_channels",
    "synaptic",
    "ultra",
    "use_backend",
]
