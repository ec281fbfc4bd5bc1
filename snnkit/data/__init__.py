"""Event data: container, readers, frames, batches and data sets.

Everything is time first. To add a data set, derive from :class:`EventDataset`, decorate the class with
``@DATASETS.register("name")`` and import it here.
"""

from .batch_frames import batch_frames
from .cache import CacheWarning
from .collate import Batch, EventBatch, collate, collate_events
from .dataset import EventDataset
from .digits import DigitsEvents
from .events import Events
from .folder import EventFolder
from .frames import Framing, to_frames
from .limits import LIMITS
from .nmnist import NMNIST
from .policy import DroppedEventsWarning
from .readers import read_nmnist, write_nmnist
from .registry import DATASETS
from .saccades import Saccades
from .simulator import Camera
from .split import holdout

__all__ = [
    "DATASETS",
    "LIMITS",
    "NMNIST",
    "Batch",
    "CacheWarning",
    "Camera",
    "DigitsEvents",
    "DroppedEventsWarning",
    "EventBatch",
    "EventDataset",
    "EventFolder",
    "Events",
    "Framing",
    "Saccades",
    "batch_frames",
    "collate",
    "collate_events",
    "holdout",
    "read_nmnist",
    "to_frames",
    "write_nmnist",
]
