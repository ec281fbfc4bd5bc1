"""DVS128 Gesture: long recordings, cut into gestures by their label files."""

from __future__ import annotations

import csv
import hashlib
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch

from ..errors import FormatError, require
from .dataset import EventDataset
from .events import Events
from .frames import Polarity
from .policy import OnBad, OnUnsorted
from .readers import read_aedat3
from .registry import DATASETS

__all__ = ["DVSGesture"]

_NAME = re.compile(r"user([0-9]{2})_\w+\.aedat")
_LAST_TRAIN_USER = 23
_COLUMNS = ["class", "startTime_usec", "endTime_usec"]
_LABEL_BYTES = 2**20
_LAYOUT = (
    "Expected user<NN>_<light>.aedat with user<NN>_<light>_labels.csv beside each, as in the folder "
    "DvsGesture of the archive by IBM; it is not downloaded."
)


class _Gesture(NamedTuple):
    path: str
    start: int
    end: int


@DATASETS.register("dvs_gesture")
class DVSGesture(EventDataset):
    """Eleven hand and arm gestures of 29 people in front of a DVS128, 128x128.

    Where from: Amir et al. 2017, "A low power, fully event-based gesture recognition system"
    (research.ibm.com, CC BY 4.0 as recalled), not downloaded. Layout: one AEDAT 3.1 file per person and
    light, with its label file.

    Cut rule: one sample per row of a label file, the events with start <= t < end. Rows may overlap. Users
    1 to 23 are for training, 24 to 29 for testing. This is recalled to give 1176 and 288 samples; other
    editions have 1077 and 264: state the number with an accuracy. Labels are class - 1, that is 0..10.

    Args:
        root: folder of the files. split: "train" or "test".
        T, polarity, binary: of the frames, see :func:`to_frames`; bins cover the row of the label file.
        size: side of the frames, cropped or padded around the centre; None: 128.
        on_truncated, on_out_of_range, on_unsorted: see :func:`read_aedat3`.

    Attributes:
        FLIP_SWAP: labels that change places when left and right do, for ``FlipX(swap=...)``.

    Raises:
        FormatError: another layout, a malformed label file, a malformed recording (when it is read).
        ConfigError: an argument out of range.

    A process keeps the recording it read last, which the next gesture is most often cut from: read in order,
    or keep the frames with ``Transformed(..., cache_dir=...)``.
    """

    FLIP_SWAP: ClassVar[tuple[tuple[int, int], ...]] = ((1, 2), (3, 6), (4, 5))

    def __init__(
        self,
        root: str | os.PathLike[str],
        split: Literal["train", "test"] = "train",
        *,
        T: int = 16,
        polarity: Polarity = "separate",
        binary: bool = False,
        size: int | None = None,
        on_truncated: OnBad = "error",
        on_out_of_range: OnBad = "error",
        on_unsorted: OnUnsorted = "error",
    ) -> None:
        require(split in ("train", "test"), "DVSGesture.split", split, "'train' or 'test'")
        self.split = split
        self._policies = {
            "on_truncated": on_truncated, "on_out_of_range": on_out_of_range, "on_unsorted": on_unsorted
        }  # fmt: skip
        self._gestures: list[_Gesture] = []
        labels: list[int] = []
        for path in _recordings(root, split):
            for label, start, end in _read_labels(path.with_name(f"{path.stem}_labels.csv")):
                self._gestures.append(_Gesture(str(path), start, end))
                labels.append(label)
        if not labels:
            raise FormatError(root, f"no gesture of the {split} set in it.", hint=_LAYOUT)
        self._last: tuple[str, Events] | None = None
        super().__init__(
            torch.tensor(labels), 11, (128, 128, 2), T=T, polarity=polarity, binary=binary, size=size
        )

    def events(self, index: int) -> Events:
        """Gesture ``index``; ``info["path"]`` is its file. Its times are those of the recording."""
        path, start, end = self._gestures[self._index(index)]
        if self._last is None or self._last[0] != path:
            self._last = path, read_aedat3(path, self.sensor_size, **self._policies)  # type: ignore[arg-type]
        whole = self._last[1]
        if len(whole) and not whole.t_span[0] <= end:
            raise FormatError(path, f"a gesture ends at {end} µs, before the recording begins.", hint=_LAYOUT)
        part = whole.slice_time(start, end)
        return part.with_(t_span=(start, end), info={**part.info, "path": path})

    def fingerprint(self, index: int) -> str:
        """Hash of the file, the cut and how it is read, which spares decoding it; a file is hashed once."""
        path, start, end = self._gestures[self._index(index)]
        if not os.path.isfile(path):  # the reader says what is wrong with it
            return super().fingerprint(index)
        facts = os.stat(path)
        whole = _digest(path, facts.st_size, facts.st_mtime_ns)
        return hashlib.sha256(f"{whole} {start} {end} {sorted(self._policies.items())}".encode()).hexdigest()

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_last": None}


@lru_cache(maxsize=1024)
def _digest(path: str, size: int, modified: int) -> str:
    """SHA-256 of a file that had this size at this time."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recordings(root: str | os.PathLike[str], split: str) -> list[Path]:
    try:
        names = sorted(os.listdir(root))
    except (OSError, ValueError, TypeError) as error:
        raise FormatError(str(root), f"cannot be opened as a folder: {error}.", hint=_LAYOUT) from error
    users = [(name, int(match[1])) for name in names if (match := _NAME.fullmatch(name))]
    return [Path(root) / name for name, user in users if (user <= _LAST_TRAIN_USER) == (split == "train")]


def _read_labels(path: Path) -> list[tuple[int, int, int]]:
    """(label, start, end) of every row, in the order of the file."""
    try:
        if path.stat().st_size > _LABEL_BYTES:
            raise FormatError(path, f"larger than {_LABEL_BYTES} bytes.", hint=_LAYOUT)
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read as a label file: {error}.", hint=_LAYOUT) from error
    rows = list(csv.reader(lines))
    if not rows or [name.strip() for name in rows[0]] != _COLUMNS:
        raise FormatError(path, f"begins with {rows[:1]}, expected the columns {_COLUMNS}.", hint=_LAYOUT)
    found = []
    for number, row in enumerate(rows[1:], 2):
        values = [int(v) for v in row if re.fullmatch(r" *[0-9]{1,15} *", v)]
        ok = len(row) == len(values) == 3 and 1 <= values[0] <= 11 and values[1] < values[2]
        if not ok:
            raise FormatError(path, f"line {number} is {row}, expected class 1..11 and start < end in µs.")
        found.append((values[0] - 1, values[1], values[2]))
    return found
