"""Readers and writers of event files, one format per file.

Event files are untrusted input: sizes are checked before reading, every record is checked against the
sensor, and nothing is repaired unless the caller asks for it.
"""

from .nmnist import read_nmnist, write_nmnist

__all__ = ["read_nmnist", "write_nmnist"]
