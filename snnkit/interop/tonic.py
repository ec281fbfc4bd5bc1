"""Data sets and transforms of tonic, in one line each::

    data = TonicDataset(tonic.datasets.NMNIST("data", train=True))
    seen = Transformed(data, [TonicTransform(tonic.transforms.Denoise(10_000)), Framing(T=8)])

Everything that comes from there is checked as if it came from a file: fields, sensor, order of time. tonic
itself (GPL-3.0) is not imported here; objects that behave like its own are welcome too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import choice, integer
from ..data import EventDataset, Events
from ..data.frames import Polarity
from ..data.transforms import EventTransform
from ..errors import ConfigError, InputTypeError, ShapeError, quote

__all__ = ["TonicDataset", "TonicFrames", "TonicTransform"]

_FIELDS = np.dtype([("x", np.int64), ("y", np.int64), ("t", np.int64), ("p", np.int64)])
_MICROSECONDS = {"us": 1, "ms": 1000}


class TonicDataset(EventDataset):
    """A data set of tonic, or any sequence of (structured array with t, x, y, p; label).

    Args:
        source: the data set, without transforms of its own.
        sensor_size: (W, H, P); None: ``source.sensor_size``.
        labels: of all samples, to spare reading them; None: ``source.targets``, else every sample is read.
            Labels that are no integers are numbered in sorted order, see ``classes``.
        time_unit: of the times, "us" or "ms" (tonic's edition of DVS Gesture).
        T, polarity, binary, size: of the frames, as everywhere; bins cover the time of the events.
        on_out_of_range, on_unsorted: see :meth:`Events.from_arrays`.

    Item: ``(frames [T, P, S, S] float32, label)``; ``events(i)`` is the recording.

    Raises:
        InputTypeError: not such a data set; an item that is no pair or lacks a field.
        ConfigError: no sensor_size; events off the sensor or unsorted (when they are read).
    """

    def __init__(
        self,
        source: Any,
        *,
        sensor_size: tuple[int, int, int] | None = None,
        labels: Any = None,
        time_unit: Literal["us", "ms"] = "us",
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = None,
        on_out_of_range: Literal["error", "drop"] = "error",
        on_unsorted: Literal["error", "sort"] = "error",
    ) -> None:
        if not (hasattr(source, "__len__") and hasattr(source, "__getitem__")):
            raise InputTypeError(f"TonicDataset: got {type(source).__name__}, expected a data set of tonic.")
        found = getattr(source, "sensor_size", None) if sensor_size is None else sensor_size
        if found is None or any(side is None for side in found):
            raise ConfigError(
                f"TonicDataset: {type(source).__name__} has sensor_size {found}; give sensor_size=(W, H, P)."
            )
        choice("TonicDataset.time_unit", time_unit, tuple(_MICROSECONDS))
        self._source, self._unit = source, _MICROSECONDS[time_unit]
        self._policies: dict[str, Any] = {"on_out_of_range": on_out_of_range, "on_unsorted": on_unsorted}
        given = labels if labels is not None else getattr(source, "targets", None)
        if given is None or len(given) != len(source):
            given = [self._item(i)[1] for i in range(len(source))]
        numbers, self.classes = _numbered(given)
        super().__init__(
            torch.tensor(numbers, dtype=torch.int64), len(self.classes), tuple(found),
            T=T, polarity=polarity, binary=binary, size=size,
        )  # fmt: skip

    def events(self, index: int) -> Events:
        """Recording ``index``, checked."""
        array, _ = self._item(self._index(index))
        return _events(array, self.sensor_size, None, unit=self._unit, **self._policies)

    def _item(self, index: int) -> tuple[Any, Any]:
        item = self._source[index]
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise InputTypeError(
                f"TonicDataset: sample {index} is {type(item).__name__}, expected (events, label)."
            )
        return item[0], item[1]


@dataclass(frozen=True)
class TonicTransform(EventTransform):
    """A transform of tonic that returns events.

    It gets a copy in tonic's layout (int64 fields x, y, t, p). numpy's global random numbers, which tonic
    uses, are seeded from the generator and put back afterwards.

    Args:
        transform: structured array -> structured array. sensor_size: of the result; None: as before.

    Raises:
        InputTypeError: it returns no such array. ConfigError: the result is no valid recording. The
        recording interval is kept where all events are in it, else it is that of the events.
    """

    transform: Callable[[NDArray], Any]
    sensor_size: tuple[int, int, int] | None = None
    random: ClassVar[bool] = True

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        array = _seeded(self.transform, events, generator)
        start, end = events.t_span
        out = _events(array, self.sensor_size or events.sensor_size, None, info=events.info)
        inside = not len(out) or (start <= int(out.t[0]) and int(out.t[-1]) < end)
        return out.with_(t_span=events.t_span) if inside else out


@dataclass(frozen=True)
class TonicFrames:
    """A transform of tonic that returns an array, as ``ToFrame`` or ``ToVoxelGrid``: events -> float32.

    Args:
        transform: structured array -> array of numbers.

    Raises:
        InputTypeError: not Events, or the result is no array of numbers.
    """

    transform: Callable[[NDArray], Any]
    random: ClassVar[bool] = True

    def __call__(self, events: Events, generator: torch.Generator | None = None) -> Tensor:
        """The array as a tensor of its shape."""
        if not isinstance(events, Events):
            raise InputTypeError(f"TonicFrames: got {type(events).__name__}, expected snnkit.data.Events.")
        array = _seeded(self.transform, events, generator)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
            raise InputTypeError(
                f"TonicFrames: {quote(self.transform)} returned {_kind(array)}, expected numbers."
            )
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def _seeded(transform: Callable[[NDArray], Any], events: Events, generator: torch.Generator | None) -> Any:
    array = np.empty(len(events), _FIELDS)
    for name in "xytp":
        array[name] = getattr(events, name)
    state = np.random.get_state()  # noqa: NPY002 tonic draws from the global generator
    np.random.seed(int(torch.randint(2**32, (), generator=generator)))  # noqa: NPY002
    try:
        return transform(array)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _events(
    array: Any, sensor_size: tuple[int, int, int], t_span: tuple[int, int] | None, unit: int = 1, **more: Any
) -> Events:
    names = getattr(getattr(array, "dtype", None), "names", None) or ()
    if not {"t", "x", "p"} <= set(names):
        raise InputTypeError(
            f"interop.tonic: got {_kind(array)}, expected a structured array with t, x, p and, unless 1-D, y."
        )
    t = np.asarray(array["t"])
    if t.dtype.kind == "f":
        t = np.rint(t.astype(np.float64) * unit)
        if not (np.abs(t) < 2**53).all():
            raise ConfigError("interop.tonic: times that are no finite numbers below 2**53 µs.")
        t = t.astype(np.int64)
    elif unit != 1:
        t = t.astype(np.int64) * unit
    y = array["y"] if "y" in names else np.zeros(len(t), np.int64)
    p = (np.asarray(array["p"]) > 0).astype(np.uint8) if sensor_size[2] == 2 else np.zeros(len(t), np.uint8)
    if t.ndim != 1:
        raise ShapeError(f"interop.tonic: events of shape {t.shape}, expected [N].")
    return Events.from_arrays(t, array["x"], y, p, sensor_size, t_span=t_span, **more)


def _numbered(labels: Any) -> tuple[list[int], tuple[Any, ...]]:
    """Labels as 0..K-1, and the K classes they stand for."""
    plain = [label.item() if hasattr(label, "item") else label for label in labels]
    if all(isinstance(label, int) and not isinstance(label, bool) for label in plain):
        number = integer("TonicDataset: smallest label", min(plain, default=0), 0)
        return plain, tuple(range(max(plain, default=number) + 1))
    try:
        classes = sorted(set(plain))
    except TypeError as error:
        raise InputTypeError(
            f"TonicDataset: labels that cannot be sorted: {error}. Give labels=[...]."
        ) from error
    return [classes.index(label) for label in plain], tuple(classes)


def _kind(array: Any) -> str:
    return f"{type(array).__name__} {getattr(array, 'dtype', '')}".rstrip()
