"""Readers of event files, one format per file. Files are untrusted: checked before anything is built."""

from .nmnist import read_nmnist, write_nmnist

__all__ = ["read_nmnist", "write_nmnist"]
