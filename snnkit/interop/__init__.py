"""Bridges to other libraries; each file imports its library when it is used, not before."""

from .tonic import TonicDataset, TonicFrames, TonicTransform

__all__ = ["TonicDataset", "TonicFrames", "TonicTransform"]
