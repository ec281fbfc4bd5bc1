"""``DigitsEvents``: handwritten digits before a simulated event camera, no download."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import MissingDependencyError, require
from .cache import Arrays, cache_folder, cached, key
from .dataset import EventDataset
from .events import Events
from .frames import Polarity
from .registry import DATASETS
from .saccades import DURATION_US, MOVE_US, Saccades
from .simulator import Camera, Recordings

__all__ = ["DigitsEvents"]

Split = Literal["train", "test"]

_PROCEDURE = 1  # raise it whenever the same arguments give other events; old cache entries are left alone
_TRAIN = 1437  # the rest, 360, is the test set
_PIXELS_AT_ONCE = 2**19  # float64 temporaries of 4 MiB stay in the cache of a processor


class _Setting(NamedTuple):
    up: int
    margin: float
    travel: float


_SETTINGS = {16: _Setting(1, 2.5, 3.0), 34: _Setting(3, 1.5, 7.0)}
_NOISE: dict[str, Any] = {"leak_hz": 0.01, "shot_hz": 0.001, "cutoff_hz": 300.0, "refractory_us": 500}


@DATASETS.register("digits")
class DigitsEvents(EventDataset):
    """1797 handwritten digits, each shown to an event camera that makes the three moves of N-MNIST.

    Images: UCI optical digits, 8x8 with values 0..16, as ``sklearn.datasets.load_digits`` has them.
    Train is index 0..1436, test the remaining 360. Motion: :mod:`snnkit.data.saccades`; camera:
    :mod:`snnkit.data.simulator`. A recording lasts 315 ms and has about 590 events on 16x16, 4260 on
    34x34. A logistic regression on log(1 + count) in six time bins has 92 to 94 % test accuracy on
    16x16, depending on seed and regularisation.

    Args:
        split: "train" or "test".
        size: side of the sensor, 16 (image at its own size) or 34 (enlarged three times, as N-MNIST).
        T, polarity, binary: of the frames, see :func:`to_frames`.
        dt_us: step of the simulation, a divisor of 105 000. 1000 is finest; 5000 differs by 2 % in the
            number of events and is four times as fast.
        threshold, threshold_sigma: contrast threshold and its spread over pixels.
        noise: leak, shot noise, low-pass and refractory time with the constants of v2e.
        seed: of thresholds and noise, one draw for the whole data set.
        cache_dir: where the events are kept; default ``$SNNKIT_CACHE`` or ``~/.cache/snnkit``.

    Item: ``(frames [T, 2, size, size] float32, label)``; ``events(i)`` is the recording.

    Raises:
        ConfigError: an argument out of range.
        MissingDependencyError: no scikit-learn, and the cache has no entry for these arguments.

    Example:
        >>> train = DigitsEvents("train", T=8)
        >>> frames, labels = train.tensors()     # [1437, 8, 2, 16, 16], [1437]
    """

    def __init__(
        self,
        split: Split = "train",
        *,
        size: int = 16,
        T: int = 8,
        polarity: Polarity = "separate",
        binary: bool = False,
        dt_us: int = 5000,
        threshold: float = 0.35,
        threshold_sigma: float = 0.03,
        noise: bool = False,
        seed: int = 0,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        require(split in ("train", "test"), "DigitsEvents.split", split, "'train' or 'test'")
        require(isinstance(size, int) and size in _SETTINGS, "DigitsEvents.size", size, "16 or 34")
        ok = isinstance(dt_us, int) and dt_us >= 100 and MOVE_US % dt_us == 0
        require(ok, "DigitsEvents.dt_us", dt_us, f"an int >= 100 that divides {MOVE_US}", "Use 1000 or 5000.")
        require(isinstance(noise, bool), "DigitsEvents.noise", noise, "a bool")
        camera = Camera(threshold, threshold_sigma, seed=seed, **(_NOISE if noise else {}))
        name = key({"procedure": _PROCEDURE, "size": size, "dt_us": dt_us, **asdict(camera)})
        path = cache_folder(cache_dir) / f"digits_{name}.npz"
        arrays = cached(path, lambda: _build(size, dt_us, camera))

        part = slice(0, _TRAIN) if split == "train" else slice(_TRAIN, None)
        ptr = arrays["ptr"][part.start : None if part.stop is None else part.stop + 1]
        inside = slice(int(ptr[0]), int(ptr[-1]))
        self._columns = tuple(arrays[c][inside].copy() for c in "txyp")
        self._ptr, self._first, self.split = ptr - ptr[0], part.start, split
        labels = torch.from_numpy(arrays["labels"][part].astype(np.int64))
        super().__init__(labels, 10, (size, size, 2), T=T, polarity=polarity, binary=binary)

    def events(self, index: int) -> Events:
        """Recording ``index``; ``info["source_index"]`` is its number in ``load_digits``."""
        index = self._index(index)
        a, b = self._ptr[index], self._ptr[index + 1]
        t, x, y, p = (c[a:b] for c in self._columns)
        info = {"source_index": self._first + index}
        return Events._trusted((t, x, y, p), self.sensor_size, (0, DURATION_US), info)


def _build(size: int, dt_us: int, camera: Camera) -> Arrays:
    """Events and labels of all 1797 images."""
    images, labels = _load_images()
    recordings = film(images, size, dt_us, camera)
    return {**recordings._asdict(), "labels": labels.astype(np.uint8)}


def film(images: NDArray[np.float64], size: int, dt_us: int, camera: Camera) -> Recordings:
    """Events of ``images [N, 8, 8]``, values 0..1, on a sensor of side 16 or 34; a few at a time."""
    group = max(1, _PIXELS_AT_ONCE // size**2)
    parts = [
        camera.record(
            Saccades(images[i : i + group], size, *_SETTINGS[size]),
            duration_us=DURATION_US,
            dt_us=dt_us,
            first=i,
        )
        for i in range(0, len(images), group)
    ]
    t, x, y, p = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:4])
    counts = np.concatenate([np.diff(part.ptr) for part in parts])
    return Recordings(t, x, y, p, np.concatenate([[0], np.cumsum(counts)]))


def _load_images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", extra="train", purpose="DigitsEvents") from error
    digits = load_digits()
    return digits.images / 16, digits.target
