"""``SpeechCommands``: the Google Speech Commands, 35 spoken words, as loudness in mel bands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import FormatError, InputTypeError, quote, require
from .dataset import all_items
from .folder import subfolders
from .limits import LIMITS
from .mel import RATE, LogMel
from .readers import read_wav
from .registry import DATASETS

__all__ = ["SpeechCommands"]

WORDS = (
    *("backward", "bed", "bird", "cat", "dog", "down", "eight", "five", "follow", "forward", "four", "go"),
    *("happy", "house", "learn", "left", "marvin", "nine", "no", "off", "on", "one", "right", "seven"),
    *("sheila", "six", "stop", "three", "tree", "two", "up", "visual", "wow", "yes", "zero"),
)
_LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}
_NOISE = "_background_noise_"
_LAYOUT = (
    "Expected <word>/<speaker>_nohash_<number>.wav, validation_list.txt and testing_list.txt. Unpack "
    "speech_commands_v0.02.tar.gz (download.tensorflow.org/data) and give its folder; it is not downloaded."
)


@DATASETS.register("gsc")
class SpeechCommands(Dataset[tuple[Tensor, int]]):
    """Google Speech Commands, version 0.02: 105 829 recordings of 35 words, up to a second of 16 kHz.

    Where from: Warden 2018 (arXiv 1804.03209), CC BY 4.0; counts and licence are recalled. The files that
    ``validation_list.txt`` and ``testing_list.txt`` name are the sets "valid" and "test", all others "train",
    as its authors say. ``_background_noise_`` is left out.

    Args:
        root: folder of the words and lists. split: "train", "valid" or "test".
        mel: sound to features, see :mod:`snnkit.data.mel`.

    Item: ``(dB [101, bands, 1, 1] float32, label)``, frames of 10 ms; computed when asked for. Labels follow
    the alphabet of the words; ``paths[i]`` is the file.

    Raises:
        FormatError: no such folder, a word that is none of the 35, a list that names what is not there, a
            file that is not 16 kHz, mono, 16 bit. ConfigError: no such split.
    """

    T = 101
    num_classes = len(WORDS)
    img_size = 1

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "valid", "test"] = "train",
        *,
        mel: LogMel | None = None,
    ) -> None:
        require(split in ("train", *_LISTS), "SpeechCommands.split", split, "'train', 'valid' or 'test'")
        self.mel = LogMel() if mel is None else mel
        if not isinstance(self.mel, LogMel):
            raise InputTypeError(f"SpeechCommands.mel: got {type(mel).__name__}, expected a LogMel.")
        self.split, self.in_channels = split, self.mel.bands
        names = _names(root)
        listed = {part: _listed(Path(root) / file, names) for part, file in _LISTS.items()}
        both = listed["valid"] & listed["test"]
        if both:
            raise FormatError(root, f"{len(both)} files stand in both lists, as {quote(min(both))}.")
        chosen = names - listed["valid"] - listed["test"] if split == "train" else listed[split]
        self._names = sorted(chosen)
        self.paths = [str(Path(root) / name) for name in self._names]
        self.labels = torch.tensor([WORDS.index(name.partition("/")[0]) for name in self._names]).long()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.features(index)[:, :, None, None], int(self.labels[index])

    def features(self, index: int) -> Tensor:
        """dB ``[101, bands]`` of one recording."""
        return self.mel(read_wav(self.paths[index], rate=RATE).samples)

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(features [N, 101, bands, 1, 1], labels [N])``; see ``EventDataset.tensors``."""
        return all_items(self)

    def __repr__(self) -> str:
        return f"SpeechCommands({len(self)} recordings, {self.num_classes} classes, {self.mel})"


def _names(root: str | os.PathLike[str]) -> set[str]:
    """``<word>/<file>`` of all recordings."""
    found = set()
    for word in subfolders(root, _LAYOUT):
        if word == _NOISE:
            continue
        if word not in WORDS:
            raise FormatError(root, f"folder {quote(word)} is none of the {len(WORDS)} words.", hint=_LAYOUT)
        files = os.listdir(Path(root) / word)
        found |= {f"{word}/{file}" for file in files if file.endswith(".wav") and not file.startswith(".")}
    if not found:
        raise FormatError(root, "no recording in it.", hint=_LAYOUT)
    return found


def _listed(path: Path, names: set[str]) -> set[str]:
    """What a list names, all of which is there."""
    try:
        LIMITS.check("file_bytes", path.stat().st_size, f"size of {quote(str(path))} in bytes")
        listed = set(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read as a list of files: {error}.", hint=_LAYOUT) from error
    missing = listed - names
    if missing:
        raise FormatError(
            path, f"names {len(missing)} files that are not there, as {quote(min(missing))}.", hint=_LAYOUT
        )
    return listed
