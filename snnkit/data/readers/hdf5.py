"""HDF5 files without what reaches out of them: links, external storage, virtual data sets, objects.

HDF5 can name other files to be read in its place. Only numbers that lie in the file itself are read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import FormatError, MissingDependencyError, SnnkitError, quote
from ..limits import LIMITS
from .hdf5_heap import check_heaps
from .source import Source

__all__ = ["HDF5_MAGIC", "open_hdf5", "own_dataset", "read_arrays"]

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_NUMBERS = "iuf"


def open_hdf5(path: str | os.PathLike[str], reader: str, **policies: Any) -> Any:
    """The open ``h5py.File``, after a look at its first bytes and its heaps.

    Args:
        path: the file. reader: name for messages. policies: as of :class:`Source`.

    Raises:
        MissingDependencyError: h5py is not installed. FormatError: not HDF5, or heaps that are damaged.
    """
    h5py = _h5py(reader)
    with Source(path, reader, **policies) as source:
        if source.read(0, min(source.size, len(HDF5_MAGIC))) != HDF5_MAGIC:
            source.fail("expected an HDF5 file, which begins with \\x89HDF.", 0)
        check_heaps(source)
    return h5py.File(path, "r", locking=False)


def own_dataset(file: Any, name: str, fail: Callable[[str], NoReturn]) -> Any:
    """The data set ``name`` that lies in this file, found without following a link."""
    h5py, node = _h5py("own_dataset"), file
    for part in name.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            found = "nothing" if link is None else f"a {type(link).__name__}"
            fail(f"expected the data set {name!r}, found {found} at {part!r}.")
        node = node[part]
    if not isinstance(node, h5py.Dataset) or node.is_virtual or node.external:
        fail(f"{name!r} is no data set of its own: virtual and external ones are refused.")
    return node


def read_arrays(path: str | os.PathLike[str], shapes: dict[str, tuple[int | None, ...]]) -> list[NDArray]:
    """Arrays of numbers, whole.

    Args:
        path: the file. shapes: name of each data set -> expected shape; None is any size.

    Raises:
        MissingDependencyError: h5py is not installed. LimitError: more cells than ``LIMITS.frame_cells``.
        FormatError: not HDF5, damaged, or a data set that is missing, of another shape, or no numbers.
    """

    def fail(reason: str, cause: BaseException | None = None) -> NoReturn:
        raise FormatError(path, reason) from cause

    arrays = []
    try:
        with open_hdf5(path, "read_arrays") as file:
            for name, wanted in shapes.items():
                node = own_dataset(file, name, fail)
                right = [w is None or w == n for w, n in zip(wanted, node.shape, strict=False)]
                if len(node.shape) != len(wanted) or not all(right):
                    expected = "[" + ", ".join("any" if w is None else str(w) for w in wanted) + "]"
                    fail(f"{name!r} has shape {node.shape}, expected {expected}.")
                if node.dtype.kind not in _NUMBERS or node.dtype.itemsize > 8:
                    fail(f"{name!r} has dtype {quote(str(node.dtype))}, expected numbers.")
                LIMITS.check("frame_cells", node.size, f"read_arrays({quote(str(path))}): {name}")
                arrays.append(np.asarray(node[:]))
    except SnnkitError:
        raise
    except Exception as error:
        fail(f"cannot be read: {quote(str(error))}.", error)
    return arrays


def _h5py(reader: str) -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "h5py", extra="hdf5", purpose=f"reading HDF5 files ({reader})"
        ) from error
    return h5py
