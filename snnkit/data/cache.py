"""Arrays on disk that can always be made again.

An entry is a plain ``.npz`` whose zip comment is the SHA-256 of everything before the comment. It is
written beside its final name, flushed and renamed, so readers see a whole entry or none, however many
processes write. It is verified before it is parsed.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError, InputTypeError, LimitError, quote
from ..files import write_atomically
from .limits import LIMITS

__all__ = ["CacheWarning", "cache_folder", "cached", "key"]

Arrays = dict[str, NDArray]
_DIGEST = 64  # hexadecimal SHA-256


class CacheWarning(UserWarning):
    """A cache entry was broken and has been made again, or could not be written."""


def cache_folder(folder: str | os.PathLike[str] | None = None) -> Path:
    """``folder``, else ``$SNNKIT_CACHE``, else ``~/.cache/snnkit``. Raises InputTypeError: not a path."""
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise InputTypeError(f"cache_dir: got {type(folder).__name__} {quote(folder)}, expected a path.")
    return Path(folder or os.environ.get("SNNKIT_CACHE") or Path.home() / ".cache" / "snnkit").expanduser()


def key(parameters: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that differ whenever a parameter differs."""
    text = json.dumps(dict(parameters), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached(path: str | os.PathLike[str], build: Callable[[], Arrays]) -> Arrays:
    """Arrays of the entry ``path``; if there is none, or a broken one, those of ``build()``, kept there.

    Warns:
        CacheWarning: the entry was broken, or the new one could not be written (the result is good).
    """
    try:
        return load(path)
    except FileNotFoundError:
        pass
    except (FormatError, LimitError, OSError) as error:
        warnings.warn(f"broken cache entry, it is made again. {error}", CacheWarning, stacklevel=3)
    arrays = build()
    try:
        write_atomically(path, dump(arrays))
    except OSError as error:
        warnings.warn(
            f"cache entry {quote(str(path))} could not be written, it will be made again next time: {error}. "
            "Choose another folder with cache_dir=... or SNNKIT_CACHE.",
            CacheWarning,
            stacklevel=3,
        )
    return arrays


def dump(arrays: Arrays) -> bytes:
    """An npz file with its own hash as zip comment."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = b"0" * _DIGEST
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")  # no clock: equal arrays give equal files
            with archive.open(member, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    data = buffer.getvalue()[:-_DIGEST]
    return data + hashlib.sha256(data).hexdigest().encode()


def load(path: str | os.PathLike[str]) -> Arrays:
    """Arrays of a file written by :func:`dump`, verified.

    Raises:
        FormatError: truncated, altered or something else. LimitError: too large. OSError: unreadable.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise FormatError(path, "not a regular file.")
    LIMITS.check("file_bytes", path.stat().st_size, f"size of {quote(str(path))} in bytes")
    data = path.read_bytes()
    expected, found = data[-_DIGEST:], hashlib.sha256(data[:-_DIGEST]).hexdigest().encode()
    if expected != found:
        raise FormatError(path, f"checksum is {found.decode()}, the file says {quote(expected)}.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise FormatError(path, "compressed members, expected stored ones.")
        with np.load(io.BytesIO(data), allow_pickle=False) as members:
            arrays = dict(members)
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, MemoryError) as error:
        raise FormatError(path, f"not a cache entry: {error}.") from error
    if not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise FormatError(path, "not a cache entry: members that are no arrays.")
    return arrays
