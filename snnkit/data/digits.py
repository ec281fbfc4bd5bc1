"""DigitsEvents: real handwritten digits in front of a simulated event camera. Needs no download."""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import MissingDependencyError, require
from ..files import write_atomically
from .events import Events
from .frames import to_frames
from .registry import DATASETS
from .simulator import Saccades, simulate

__all__ = ["DigitsEvents"]

CODE_VERSION = 1  # raise it whenever the same parameters give other events
TRAIN = 1437
FLOOR = 0.15
GEOMETRY = {  # sensor size -> enlargement, corner of the image, corners of the motion
    16: (1.0, 2.5, ((0.0, 0.0), (1.5, 3.0), (3.0, 0.0), (0.0, 0.0))),
    34: (3.0, 1.5, ((0.0, 0.0), (3.5, 7.0), (7.0, 0.0), (0.0, 0.0))),
}


@DATASETS.register("digits")
class DigitsEvents(Dataset):
    """Event-camera recordings of the 1797 digits of the UCI optical recognition set (CC BY 4.0).

    Each 8x8 image moves along the three saccades of N-MNIST in 315 ms in front of a sensor of 16x16 or
    34x34 pixels; :mod:`snnkit.data.simulator` says how events arise. Images 0..1436 are the training set,
    1437..1796 (other writers) the test set. The first use simulates and caches; later ones read the cache.

    Args:
        split: "train" (1437) or "test" (360).
        size: 16 or 34 pixels.
        T: frames per recording.
        contrast: mean log-intensity threshold C. spread: its standard deviation over pixels.
        dt_ms: step of the simulation; 1 ms is finer, 5 ms gives 2 % fewer events in a fifth of the time.
        sensor_seed: draws the thresholds of the pixels, once for the whole set.
        cache_dir: default ``$SNNKIT_CACHE`` or ``~/.cache/snnkit``.

    Items: ``(frames [T, 2, size, size] float32, digit)``, channel 0 OFF, 1 ON. ``events(i)`` gives the
    recording itself.

    Raises:
        ConfigError: impossible settings. MissingDependencyError: scikit-learn, which carries the images.

    A linear classifier on log counts of 6 time bins reaches 91 % on the test set (size 16).
    """

    num_classes, in_channels = 10, 2

    def __init__(
        self,
        *,
        split: Literal["train", "test"] = "train",
        size: int = 16,
        T: int = 6,
        contrast: float = 0.35,
        spread: float = 0.03,
        dt_ms: float = 5.0,
        sensor_seed: int = 0,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        require(split in ("train", "test"), "DigitsEvents.split", split, '"train" or "test"')
        require(size in GEOMETRY, "DigitsEvents.size", size, "16 or 34")
        require(isinstance(T, int) and T > 0, "DigitsEvents.T", T, "an int > 0")
        require(0 < contrast < 10, "DigitsEvents.contrast", contrast, "a number in (0, 10)")
        require(0 <= spread < 10, "DigitsEvents.spread", spread, "a number in [0, 10)")
        require(0.1 <= dt_ms <= 105, "DigitsEvents.dt_ms", dt_ms, "a number in [0.1, 105]")
        self.split, self.img_size, self.T = split, size, T
        parameters = {
            "size": size,
            "contrast": contrast,
            "spread": spread,
            "dt_ms": dt_ms,
            "sensor_seed": sensor_seed,
            "version": CODE_VERSION,
        }
        arrays = _recordings(json.dumps(parameters, sort_keys=True), str(cache_dir or _cache_dir()))
        keep = slice(0, TRAIN) if split == "train" else slice(TRAIN, None)
        self.labels = torch.from_numpy(arrays["label"][keep].astype(np.int64))
        self._arrays, self._ptr = arrays, arrays["ptr"][keep.start : keep.stop and keep.stop + 1]

    def __len__(self) -> int:
        return len(self.labels)

    def events(self, index: int) -> Events:
        """The recording number ``index`` of this split."""
        index = range(len(self))[index]
        part = slice(int(self._ptr[index]), int(self._ptr[index + 1]))
        t, x, y, p = (self._arrays[name][part] for name in "txyp")
        return Events(t, x, y, p, (self.img_size, self.img_size, 2), _SPAN)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return to_frames(self.events(index), T=self.T), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Frames ``[N, T, 2, size, size]`` and digits ``[N]`` of the whole split."""
        start, stop, n = int(self._ptr[0]), int(self._ptr[-1]), len(self)
        t, x, y, p = (self._arrays[name][start:stop].astype(np.int64) for name in "txyp")
        sample = np.repeat(np.arange(n), np.diff(self._ptr))
        time = np.minimum(t * self.T // (_SPAN[1] - _SPAN[0]), self.T - 1)
        index = (((sample * self.T + time) * 2 + p) * self.img_size + y) * self.img_size + x
        shape = (n, self.T, 2, self.img_size, self.img_size)
        counts = np.bincount(index, minlength=int(np.prod(shape))).reshape(shape)
        return torch.from_numpy(counts).float(), self.labels


_SPAN = (0, 315_001)  # half-open, and the last crossing can fall on the end of the last move


def _cache_dir() -> Path:
    return Path(os.environ.get("SNNKIT_CACHE") or Path.home() / ".cache" / "snnkit")


@lru_cache(maxsize=2)
def _recordings(parameters: str, cache_dir: str) -> dict[str, np.ndarray]:
    """All recordings for these parameters, from the cache or simulated now."""
    key = hashlib.sha256(parameters.encode()).hexdigest()[:16]
    path = Path(cache_dir) / f"digits_{key}.npz"
    arrays = _read_cache(path)
    if arrays is None:
        arrays = _simulate(json.loads(parameters))
        try:
            write_atomically(path, _pack(arrays))
        except OSError as error:
            warnings.warn(
                f"DigitsEvents: the cache {str(path)!r} could not be written: {error}", stacklevel=4
            )
    return arrays


def _simulate(parameters: dict[str, float]) -> dict[str, np.ndarray]:
    images, labels = _images()
    size = int(parameters["size"])
    scale, margin, corners = GEOMETRY[size]
    random = np.random.default_rng(int(parameters["sensor_seed"]))
    thresholds = random.normal(parameters["contrast"], parameters["spread"], (2, size, size)).clip(min=0.01)
    sample, t, x, y, p = simulate(
        images / 16.0,
        size=size,
        scale=scale,
        margin=margin,
        motion=Saccades(corners),
        dt_ms=parameters["dt_ms"],
        floor=FLOOR,
        on_threshold=thresholds[0],
        off_threshold=thresholds[1],
    )
    ptr = np.searchsorted(sample, np.arange(len(labels) + 1))
    return {
        "t": t.astype(np.int32),
        "x": x.astype(np.uint8),
        "y": y.astype(np.uint8),
        "p": p.astype(np.uint8),
        "ptr": ptr.astype(np.int64),
        "label": labels.astype(np.uint8),
    }


def _images() -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise MissingDependencyError("scikit-learn", extra="train", purpose="DigitsEvents") from error
    digits = load_digits()
    return digits.images, digits.target


def _pack(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz archive that holds its own checksum."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, digest=np.frombuffer(_digest(arrays), np.uint8), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _read_cache(path: Path) -> dict[str, np.ndarray] | None:
    """The cached arrays; None if there are none, with a warning if they are damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in ("t", "x", "y", "p", "ptr", "label")}
            if archive["digest"].tobytes() != _digest(arrays):
                raise ValueError("the checksum does not match")
        return arrays
    except Exception as error:  # np.load raises nearly anything on damaged input
        warnings.warn(
            f"DigitsEvents: the cache {str(path)!r} is damaged ({error}) and is made anew", stacklevel=5
        )
        return None


def _digest(arrays: dict[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name in ("t", "x", "y", "p", "ptr", "label"):
        digest.update(arrays[name].dtype.str.encode() + arrays[name].tobytes())
    return digest.digest()
