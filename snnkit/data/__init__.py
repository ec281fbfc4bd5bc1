"""Event data: container, readers, frames, batches and data sets.

Everything is time first. To add a data set, derive from :class:`EventDataset`, decorate the class with
``@DATASETS.register("name")`` and import it here.
"""

from .batch_frames import batch_frames
from .cache import CacheWarning
from .check import Finding, check_dataset, check_files, event_files
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
from .statistics import EventStatistics, statistics
from .transformed import Transformed

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
    "EventStatistics",
    "Events",
    "Finding",
    "Framing",
    "Saccades",
    "Transformed",
    "batch_frames",
    "check_dataset",
    "check_files",
    "collate",
    "collate_events",
    "event_files",
    "holdout",
    "read_nmnist",
    "statistics",
    "to_frames",
    "write_nmnist",
]
