"""Transforms of recordings, what recordings become, and augmentation of frames and clouds.

=====================  =========================================================================
events -> events       every name in ``TRANSFORMS``; put in a row by ``Compose``
two -> one             ``EventMix``
events -> tensor       ``Framing`` (of :mod:`snnkit.data`), ``VoxelGrid``, ``TimeSurface``, ``EventCloud``
frames -> frames       ``NDA``, ``FrameAugment``, for images ``ImageAugment``: ``[T, B, P, H, W]``
clouds -> clouds       ``CloudAugment``: a batch ``[B, N, D]``
=====================  =========================================================================

To add a transform of events, derive a frozen dataclass from :class:`EventTransform`, decorate it with
``@TRANSFORMS.register("name")`` and import it here; the contract tests find it.
"""

from .base import TRANSFORMS, Compose, EventTransform
from .cloud import EventCloud, windows
from .cloud_augment import CloudAugment
from .crop import Crop
from .denoise import Denoise
from .downsample import Downsample
from .drop import DropArea, DropRandom, DropTime, EventDrop
from .flip import FlipPolarity, FlipX, FlipY, TimeReverse
from .frame_augment import FrameAugment
from .image_augment import ImageAugment
from .jitter import SpatialJitter, TimeJitter
from .mix import EventMix, Mixed
from .moment import CropTime, TimeShift
from .nda import NDA
from .rand_augment import RandAugment
from .refractory import Refractory
from .surface import TimeSurface
from .voxel import VoxelGrid

__all__ = [
    "NDA",
    "TRANSFORMS",
    "CloudAugment",
    "Compose",
    "Crop",
    "CropTime",
    "Denoise",
    "Downsample",
    "DropArea",
    "DropRandom",
    "DropTime",
    "EventCloud",
    "EventDrop",
    "EventMix",
    "EventTransform",
    "FlipPolarity",
    "FlipX",
    "FlipY",
    "FrameAugment",
    "ImageAugment",
    "Mixed",
    "RandAugment",
    "Refractory",
    "SpatialJitter",
    "TimeJitter",
    "TimeReverse",
    "TimeShift",
    "TimeSurface",
    "VoxelGrid",
    "windows",
]
