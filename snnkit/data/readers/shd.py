"""Spiking Heidelberg Digits and Spiking Speech Commands: HDF5 files of many recordings.

``spikes/times`` (seconds, variable length, half precision in the published files), ``spikes/units``
(0..699), ``labels``, and for SHD ``extra/speaker`` and ``extra/keys``.

Times are converted to float64 first: in half precision, 1e6 times a second is infinite.

Source: Cramer, Stradmann, Schemmel, Zenke 2022, "The Heidelberg spiking data sets for the systematic
evaluation of spiking neural networks", IEEE TNNLS 33(7).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from ...checks import integer
from ...errors import FormatError, SnnkitError, quote
from ..checks import as_sensor
from ..events import Events
from ..limits import LIMITS
from ..policy import Policies, sift
from .formats import FORMATS, Format
from .hdf5 import HDF5_MAGIC, open_hdf5, own_dataset
from .hdf5_heap import declared_length

__all__ = ["SpikeFile", "read_shd"]

_TIMES, _UNITS, _LABELS = "spikes/times", "spikes/units", "labels"


def read_shd(
    path: str | os.PathLike[str],
    sensor_size: tuple[int, int, int] = (700, 1, 1),
    *,
    index: int,
    **policies: Unpack[Policies],
) -> Events:
    """Read one recording of an SHD or SSC file. To read many, keep a :class:`SpikeFile`.

    Args:
        path: the file.
        sensor_size: (units, 1, 1).
        index: number of the recording.
        policies: see :class:`Policies`; an HDF5 file that is cut cannot be opened.

    Raises: as :class:`SpikeFile`.
    """
    with SpikeFile(path, sensor_size, **policies) as file:
        return file.events(index)


class SpikeFile:
    """The recordings of an SHD or SSC file, read one by one.

    The file is opened when it is first needed, once in each process: instances can be pickled and used by
    data-loader workers.

    Args:
        path: the file.
        sensor_size: (units, 1, 1).
        policies: see :class:`Policies`.

    Attributes:
        labels: class of each recording, int64 ``[N]``.

    Raises:
        MissingDependencyError: h5py is not installed.
        FormatError: not HDF5, damaged, without these data sets, one that reads another file; a recording
            whose times are not finite or whose units and times differ in number, off the sensor, unsorted.
        LimitError: more recordings than ``LIMITS.members``. ConfigError, InputTypeError: as read_nmnist.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        sensor_size: tuple[int, int, int] = (700, 1, 1),
        **policies: Unpack[Policies],
    ) -> None:
        self.path, self.sensor_size, self._policies = path, as_sensor(sensor_size), policies
        self._file: Any = None
        self._process = 0
        try:
            self.labels = self._labels()
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.labels)

    def events(self, index: int) -> Events:
        """Recording ``index``: the unit in ``x``, y = p = 0, times rounded to µs."""
        index = integer("SpikeFile.events", index, 0, len(self) - 1)
        with self._guarded(f"recording {index}"):
            return self._recording(index, self._values(_TIMES, index), self._values(_UNITS, index))

    def extra(self, name: str) -> NDArray:
        """A further column of one number per recording, as "speaker" of SHD."""
        with self._guarded(f"extra/{name}"):
            return self._column(f"extra/{name}")

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._file is not None and self._process == os.getpid():
            self._file.close()
        self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}

    def _labels(self) -> NDArray[np.int64]:
        with self._guarded("labels"):
            labels = self._column(_LABELS)
            lengths = {name: self._set(name).shape for name in (_TIMES, _UNITS)} | {_LABELS: labels.shape}
            if len(set(lengths.values())) > 1:
                self._fail(f"lengths differ: {lengths}.")
            if labels.dtype.kind not in "iu":
                self._fail(f"expected integer labels, got {labels.dtype}.")
            return labels.astype(np.int64)

    def _recording(self, index: int, times: NDArray, units: NDArray) -> Events:
        if times.ndim != 1 or times.shape != units.shape:
            self._fail(
                f"recording {index} has times {times.shape} and units {units.shape}, expected [N] each."
            )
        if times.dtype.kind != "f" or units.dtype.kind not in "iu":
            self._fail(f"expected float times and integer units, got {times.dtype} and {units.dtype}.")
        LIMITS.check("events", times.size, f"SpikeFile({quote(str(self.path))}): events of {index}")
        t = np.rint(times.astype(np.float64) * 1e6)
        if not (np.abs(t) < LIMITS.time_span_us).all():  # NaN is not
            self._fail(f"recording {index} has a time of {times[~(np.abs(t) < LIMITS.time_span_us)][0]} s.")
        zeros = np.zeros(t.size, np.uint8)

        def fail(first: int, reason: str, hint: str) -> NoReturn:
            self._fail(f"recording {index}: {reason}", hint)

        columns, dropped = sift(
            (t.astype(np.int64), units, zeros, zeros),
            self.sensor_size,
            on_out_of_range=self._policies.get("on_out_of_range", "error"),
            on_unsorted=self._policies.get("on_unsorted", "error"),
            where=f"SpikeFile({quote(str(self.path))})[{index}]",
            fail=fail,
        )
        return Events(*columns, self.sensor_size, None, {"dropped": dropped})

    def _open(self) -> Any:
        """The file, opened by this process."""
        if self._file is None or self._process != os.getpid():
            self._file = open_hdf5(self.path, "SpikeFile", **self._policies)
            self._process = os.getpid()
        return self._file

    def _set(self, name: str) -> Any:
        """A data set that lies in this file, found without following a link."""
        node = own_dataset(self._open(), name, self._fail)
        if node.ndim != 1:
            self._fail(f"{name!r} has shape {node.shape}, expected [N].")
        LIMITS.check("members", node.shape[0], f"SpikeFile({quote(str(self.path))}): recordings")
        return node

    def _values(self, name: str, index: int) -> NDArray:
        """Entry ``index`` of a column of variable length, if the file is large enough to hold it."""
        column = self._set(name)
        length = declared_length(self.path, column, index)
        if length is not None and length > os.path.getsize(self.path):
            self._fail(f"recording {index} of {name!r} claims {length} values, more than the file has bytes.")
        return np.asarray(column[index])

    def _column(self, name: str) -> NDArray:
        """A column of plain numbers, whole."""
        node = self._set(name)
        if node.dtype.kind not in "iuf" or node.dtype.itemsize > 8:
            self._fail(f"{name!r} has dtype {quote(str(node.dtype))}, expected numbers.")
        return np.asarray(node[:])

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Turn what h5py raises on a damaged file into a FormatError."""
        try:
            yield
        except SnnkitError:
            raise
        except Exception as error:
            self._fail(f"{what} cannot be read: {quote(str(error))}.", cause=error)

    def _fail(self, reason: str, hint: str = "", cause: BaseException | None = None) -> NoReturn:
        raise FormatError(self.path, reason, hint=hint) from cause


FORMATS.register("hdf5")(Format("SHD/SSC HDF5", read_shd, lambda head: head.startswith(HDF5_MAGIC)))
