"""Event data: container, readers, frames, batches and data sets.

Everything is time first. To add a data set, derive from :class:`EventDataset`, decorate the class with
``@DATASETS.register("name")`` and import it here.
"""

from .batch_frames import batch_frames
from .cache import CacheWarning
from .check import Finding, check_dataset, check_files, event_files
from .cifar import CIFAR10, CIFAR100
from .clouds import EventClouds, event_clouds
from .cochlea import Cochlea
from .collate import Batch, EventBatch, collate, collate_events, time_first
from .commands import SpeechCommands
from .dataset import EventDataset, all_items
from .digits import DigitsEvents
from .events import Events
from .folder import EventFolder
from .frames import Framing, to_frames
from .gesture import DVSGesture
from .hashed_split import hashed_split
from .heidelberg import SHD, SSC
from .image_folder import ImageFolder
from .images import EncodedImages
from .limits import LIMITS
from .mel import LogMel
from .mnist import MNIST, FashionMNIST
from .modelnet import ModelNet, sample_surface
from .nmnist import NMNIST
from .noise import Noise
from .object_folders import CIFAR10DVS, NCARS, NCaltech101
from .policy import DroppedEventsWarning, Policies
from .readers import (
    FORMATS,
    Format,
    Mesh,
    Sound,
    SpikeFile,
    identify_format,
    open_events,
    read_aedat2,
    read_aedat3,
    read_aedat4,
    read_dat,
    read_evt2,
    read_evt3,
    read_idx,
    read_nmnist,
    read_nmnist_1d,
    read_npy,
    read_npz,
    read_off,
    read_shd,
    read_wav,
    write_dat,
    write_evt2,
    write_nmnist,
    write_nmnist_1d,
    write_npz,
)
from .registry import DATASETS
from .saccades import Saccades
from .scanobjectnn import ScanObjectNN
from .shapes import ShapesDataset
from .simulator import Camera
from .split import holdout
from .spoken import SpokenDigits
from .statistics import EventStatistics, statistics
from .transformed import Transformed, as_configured

__all__ = [
    "CIFAR10",
    "CIFAR10DVS",
    "CIFAR100",
    "DATASETS",
    "FORMATS",
    "LIMITS",
    "MNIST",
    "NCARS",
    "NMNIST",
    "SHD",
    "SSC",
    "Batch",
    "CacheWarning",
    "Camera",
    "Cochlea",
    "DVSGesture",
    "DigitsEvents",
    "DroppedEventsWarning",
    "EncodedImages",
    "EventBatch",
    "EventClouds",
    "EventDataset",
    "EventFolder",
    "EventStatistics",
    "Events",
    "FashionMNIST",
    "Finding",
    "Format",
    "Framing",
    "ImageFolder",
    "LogMel",
    "Mesh",
    "ModelNet",
    "NCaltech101",
    "Noise",
    "Policies",
    "Saccades",
    "ScanObjectNN",
    "ShapesDataset",
    "Sound",
    "SpeechCommands",
    "SpikeFile",
    "SpokenDigits",
    "Transformed",
    "all_items",
    "as_configured",
    "batch_frames",
    "check_dataset",
    "check_files",
    "collate",
    "collate_events",
    "event_clouds",
    "event_files",
    "hashed_split",
    "holdout",
    "identify_format",
    "open_events",
    "read_aedat2",
    "read_aedat3",
    "read_aedat4",
    "read_dat",
    "read_evt2",
    "read_evt3",
    "read_idx",
    "read_nmnist",
    "read_nmnist_1d",
    "read_npy",
    "read_npz",
    "read_off",
    "read_shd",
    "read_wav",
    "sample_surface",
    "statistics",
    "time_first",
    "to_frames",
    "write_dat",
    "write_evt2",
    "write_nmnist",
    "write_nmnist_1d",
    "write_npz",
]
