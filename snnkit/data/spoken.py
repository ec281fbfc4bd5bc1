"""``SpokenDigits``: the Free Spoken Digit Dataset through a model of the inner ear."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..checks import integer, is_integer
from ..errors import FormatError, InputTypeError, quote, require
from .cache import Arrays, cache_folder, cached, key
from .cochlea import Cochlea
from .dataset import EventDataset
from .events import Events
from .frames import Framing
from .readers import read_wav
from .registry import DATASETS

__all__ = ["SpokenDigits"]

_PROCEDURE = 1  # raise it whenever the same files and arguments give other events
_NAME = re.compile(r"([0-9])_(\w+)_([0-9]+)\.wav")
_TEST_TAKES = 5  # takes 0..4 of every speaker and digit are the test set
_AT_ONCE = 32
_LAYOUT = (
    "Expected <digit>_<speaker>_<take>.wav in the folder, or in train and test below it. Get the Free Spoken "
    "Digit Dataset (github.com/Jakobovski/free-spoken-digit-dataset) and give its folder 'recordings'."
)


@DATASETS.register("spoken")
class SpokenDigits(EventDataset):
    """Spoken digits 0..9 as spikes of 64 channels: 3000 files of 8 kHz by 6 speakers, 50 takes of each digit.

    Where from: github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0, not downloaded. Takes 0 to 4
    are the test set, 5 to 49 the training set (300 and 2700 files), as its authors say; a folder with
    ``train`` and ``test`` is taken as it is.

    Sound to spikes: :mod:`snnkit.data.cochlea`. A recording lasts 1 s and has about 930 spikes.

    Args:
        root: folder of the wav files. split: "train" or "test".
        T, binary: of the frames, see :func:`to_frames`.
        channels: number of channels.
        image: side S of images, a divisor of ``channels``: a step becomes a picture whose rows are groups of
            channels and whose columns are S equal parts of the step; None: a step is one time bin.
        cache_dir: where the spikes are kept; default ``$SNNKIT_CACHE`` or ``~/.cache/snnkit``.

    Item: ``(frames [T, channels, 1, 1] float32, label)``, or ``[T, 1, S, S]``; ``events(i)`` is the
    recording, ``paths[i]`` its file, ``speakers[i]`` who says it.

    Raises:
        FormatError: no such folder, no such file in it, a file that is not 8 kHz, mono, 16 bit.
        ConfigError: an argument out of range.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        T: int = 50,
        binary: bool = False,
        channels: int = 64,
        image: int | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        require(split in ("train", "test"), "SpokenDigits.split", split, "'train' or 'test'")
        self.split = split
        self.paths = _files(root, split)
        names = [_NAME.fullmatch(os.path.basename(path)) for path in self.paths]
        self.speakers = [name[2] for name in names if name]
        labels = torch.tensor([int(name[1]) for name in names if name])
        cochlea = Cochlea(channels=channels)
        self._image = image
        ok = image is None or (is_integer(image) and 0 < image <= channels and channels % image == 0)
        require(ok, "SpokenDigits.image", image, f"None or a divisor of the {channels} channels")
        bins = integer("SpokenDigits.T", T) * (image or 1)
        super().__init__(labels, 10, (channels, 1, 1), T=bins, polarity="separate", binary=binary)
        self.T = T
        if image:
            self.representation = _Images(self._framing, image)

        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(_hash(path))
        name_ = key({"procedure": _PROCEDURE, "files": digest.hexdigest(), **asdict(cochlea)})
        entry = cache_folder(cache_dir) / f"spoken_{name_}.npz"
        arrays = cached(entry, lambda: _build(self.paths, cochlea))
        self._t, self._unit, self._ptr = arrays["t"], arrays["unit"], arrays["ptr"]
        self._duration_us = cochlea.duration_ms * 1000

    def events(self, index: int) -> Events:
        """Spikes of file ``index``."""
        index = self._index(index)
        inside = slice(int(self._ptr[index]), int(self._ptr[index + 1]))
        t, unit = self._t[inside].astype(np.int64), self._unit[inside].astype(np.uint16)
        info = {"path": self.paths[index], "speaker": self.speakers[index]}
        zeros = np.zeros(len(t), np.uint8)
        return Events._trusted((t, unit, zeros, zeros), self.sensor_size, (0, self._duration_us), info)

    @property
    def in_channels(self) -> int:
        """Channels of a frame."""
        return 1 if self._image else super().in_channels

    @property
    def img_size(self) -> int:
        """Side of a frame."""
        return self._image or super().img_size


@dataclass(frozen=True)
class _Images:
    """``[T, 1, side, side]``: rows are groups of channels, columns are equal parts of a step."""

    framing: Framing  # into T * side bins
    side: int

    def __call__(self, events: Events) -> Tensor:
        counts = self.framing(events)  # [T * side, channels]
        parts = counts.view(-1, self.side, self.side, counts.shape[1] // self.side)
        return parts.sum(-1).transpose(1, 2)[:, None].contiguous()


def _files(root: str | os.PathLike[str], split: str) -> list[str]:
    """Files of a split, in order of their names."""
    if not isinstance(root, str | os.PathLike):
        raise InputTypeError(f"SpokenDigits.root: got {type(root).__name__} {quote(root)}, expected a path.")
    parts = Path(root) / "train", Path(root) / "test"
    divided = all(part.is_dir() for part in parts)
    folder = parts[split == "test"] if divided else Path(root)
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FormatError(folder, f"cannot be opened as a folder: {why}.", hint=_LAYOUT) from error
    chosen = []
    for name in names:
        match = _NAME.fullmatch(name)
        if match and (divided or (int(match[3]) < _TEST_TAKES) == (split == "test")):
            chosen.append(str(folder / name))
    if not chosen:
        raise FormatError(folder, f"no file of the {split} set in it.", hint=_LAYOUT)
    return chosen


def _hash(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise FormatError(path, f"cannot be read: {error.strerror}.") from error


def _build(paths: list[str], cochlea: Cochlea) -> Arrays:
    """Spikes of all files, one after the other."""
    recordings: list[Events] = []
    for i in range(0, len(paths), _AT_ONCE):
        sounds = [read_wav(path, rate=cochlea.rate).samples for path in paths[i : i + _AT_ONCE]]
        recordings += cochlea.listen(sounds)
    return {
        "t": np.concatenate([e.t for e in recordings]).astype(np.int32),
        "unit": np.concatenate([e.x for e in recordings]),
        "ptr": np.cumsum([0, *(len(e) for e in recordings)]),
    }
