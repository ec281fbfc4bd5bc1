"""Readers and writers of files, one format per file.

Files are untrusted input: sizes are checked before reading, every record is checked against the sensor, and
nothing is repaired unless the caller asks for it. To add an event format, write one file that ends with
``FORMATS.register("name")(Format(...))`` and import it here.
"""

from .aedat2 import read_aedat2
from .aedat3 import read_aedat3
from .aedat4 import read_aedat4
from .dat import read_dat, write_dat
from .evt2 import read_evt2, write_evt2
from .evt3 import read_evt3
from .formats import FORMATS, Format, identify_format, open_events
from .forty_bit import read_nmnist, read_nmnist_1d, write_nmnist, write_nmnist_1d
from .idx import read_idx
from .npz import read_npy, read_npz, write_npz
from .off import Mesh, read_off
from .shd import SpikeFile, read_shd
from .wav import Sound, read_wav

__all__ = [
    "FORMATS",
    "Format",
    "Mesh",
    "Sound",
    "SpikeFile",
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
    "write_dat",
    "write_evt2",
    "write_nmnist",
    "write_nmnist_1d",
    "write_npz",
]
