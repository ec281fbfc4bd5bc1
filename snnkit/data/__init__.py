"""Event data: a container that cannot lie, strict readers, frames that lose nothing, data sets by name.

To add a data set, write one file with a class as :mod:`snnkit.data.registry` describes, decorate it with
``@DATASETS.register("name")`` and import it here.
"""

from .collate import Batch, EventBatch, collate, collate_events
from .digits import DigitsEvents
from .events import Events
from .frames import to_frames
from .nmnist import NMNIST
from .readers import read_nmnist, write_nmnist
from .registry import DATASETS
from .split import holdout

__all__ = [
    "DATASETS",
    "NMNIST",
    "Batch",
    "DigitsEvents",
    "EventBatch",
    "Events",
    "collate",
    "collate_events",
    "holdout",
    "read_nmnist",
    "to_frames",
    "write_nmnist",
]
