"""Bridges to other libraries; each file imports its library when it is used, not before."""

from .dcls import from_dcls, to_dcls
from .hub import from_hub, push_to_hub, save_pretrained
from .tonic import TonicDataset, TonicFrames, TonicTransform

__all__ = [
    "TonicDataset",
    "TonicFrames",
    "TonicTransform",
    "from_dcls",
    "from_hub",
    "push_to_hub",
    "save_pretrained",
    "to_dcls",
]
