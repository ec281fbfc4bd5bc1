"""Key layouts of published codes, one family per file: which of their tensors is which of ours.

To add one, write a file whose function builds a :class:`KeyLayout` for a network, file it with
:func:`register_layout` and import it here; the tests pick it up.
"""

from . import (  # noqa: F401 - each files its layout
    _max_former,
    _meta_spikeformer,
    _qkformer,
    _sglformer,
    _spike_driven,
    _spikformer,
    _spikingformer,
    _spikingresformer,
)
from .layout import LAYOUTS, KeyLayout, block_paths, register_layout
from .load import ReferenceImport, from_reference, reference_models, to_reference

__all__ = [
    "LAYOUTS",
    "KeyLayout",
    "ReferenceImport",
    "block_paths",
    "from_reference",
    "reference_models",
    "register_layout",
    "to_reference",
]
