"""``EventClouds``: windows of recordings as clouds of points (x, y, t)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..checks import integer
from ..errors import ConfigError, quote, require
from .dataset import EventDataset
from .events import Events
from .limits import LIMITS
from .registry import DATASETS
from .transformed import configured_steps
from .transforms import Compose
from .transforms.cloud import EventCloud, windows

__all__ = ["EventClouds", "event_clouds"]


class EventClouds(Dataset[tuple[Tensor, int]]):
    """Every window of every recording is one sample, a cloud ``[points, 3]``, or several.

    Which events of a window are drawn depends on (seed, recording, window, draw) alone, so that accuracies
    repeat. Clouds are made when they are asked for; :meth:`tensors` makes all of them once.

    Args:
        data: where recordings and labels come from.
        points: of a cloud, as in :class:`EventCloud`. polarity: a fourth column, -1 or +1.
        draws: clouds of each window, of other events each.
        transforms: of recordings, ahead of the windows: registered names, or dicts of ``name`` and arguments,
            as ``[{name: denoise, window_us: 5000}]``; none that draws random numbers.
        window_us, stride_us: as in :func:`windows`; None: the whole recording is one window.
        min_events: windows with fewer are left out; None: a quarter of ``points``.
        seed: of the choice of events.

    Item: ``(points [points, 3 or 4] float32, label)``.

    Attributes:
        labels, num_classes: of the samples. recordings: which recording each sample is of. :func:`holdout`
            keeps those of one together, :func:`snnkit.train.evaluate` takes the mean of their logits.
        in_channels: 3 or 4. img_size: number of points, the size of a sample.

    Raises:
        ConfigError: a setting out of range, or no window has enough events.
        LimitError: from :func:`windows`.
    """

    def __init__(
        self,
        data: EventDataset,
        *,
        points: int = 1024,
        draws: int = 1,
        polarity: bool = False,
        transforms: Sequence[str | dict[str, Any]] = (),
        window_us: int | None = None,
        stride_us: int | None = None,
        min_events: int | None = None,
        seed: int = 0,
    ) -> None:
        self.data, self._cloud = data, EventCloud(points, polarity)
        self._steps = Compose(tuple(configured_steps(transforms)))
        fixed = not (self._steps.random or self._steps.changes_labels)
        require(fixed, "EventClouds.transforms", self._steps, "transforms that draw no random numbers")
        wanted = "None without window_us: the whole recording is one window"
        require(stride_us is None or window_us is not None, "EventClouds.stride_us", stride_us, wanted)
        self.window_us, self.stride_us = window_us, stride_us
        least = points // 4 if min_events is None else min_events
        self.min_events = max(integer("EventClouds.min_events", least, 0), 1)
        self.seed = integer("EventClouds.seed", seed, 0, 2**63 - 1)
        self.draws = integer("EventClouds.draws", draws)
        self._places: list[tuple[int, int, int]] = []
        for i in range(len(data)):
            parts = self._windows(data.events(i))
            enough = [w for w, part in enumerate(parts) if len(part) >= self.min_events]
            self._places += [(i, w, draw) for w in enough for draw in range(draws)]
        if not self._places:
            raise ConfigError(
                f"EventClouds: no window of {quote(data)} has {self.min_events} events or more. "
                "Lower min_events or points, or lengthen window_us."
            )
        self.recordings = torch.tensor([i for i, _, _ in self._places])
        self.labels, self.num_classes = data.labels[self.recordings], data.num_classes
        self.in_channels, self.img_size = 4 if polarity else 3, points

    def _windows(self, events: Events) -> list[Events]:
        events = self._steps(events)
        if self.window_us is None:
            return [events]
        return windows(events, self.window_us, stride_us=self.stride_us, min_events=0)

    def _made(self, index: int, part: Events) -> Tensor:
        text = " ".join(map(str, (self.seed, *self._places[index])))
        digest = hashlib.sha256(text.encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
        return self._cloud(part, generator)

    def events(self, index: int) -> Events:
        """The window of which sample ``index`` is."""
        recording, window, _ = self._places[index]
        return self._windows(self.data.events(recording))[window]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"EventClouds: index {index} out of range for {len(self)} clouds")
        index %= len(self)
        return self._made(index, self.events(index)), int(self.labels[index])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """The whole set: ``(points [N, points, D], labels [N])``; every recording is read once.

        Raises:
            LimitError: more cells than ``LIMITS.frame_cells``.
        """
        LIMITS.check(
            "frame_cells", len(self) * self.img_size * self.in_channels, "EventClouds.tensors: cells"
        )
        return torch.stack(list(self._all())), self.labels.clone()

    def _all(self) -> Iterator[Tensor]:
        last, parts = -1, []
        for index, (recording, window, _) in enumerate(self._places):
            if recording != last:
                last, parts = recording, self._windows(self.data.events(recording))
            yield self._made(index, parts[window])

    def __repr__(self) -> str:
        return f"EventClouds({self.data!r}, {len(self)} clouds, {self._cloud})"


@DATASETS.register("clouds")
def event_clouds(
    split: str = "train",
    *,
    of: str = "digits",
    root: str | None = None,
    data: dict[str, Any] | None = None,
    **settings: Any,
) -> EventClouds:
    """:class:`EventClouds` of a registered data set.

    Args:
        split: of the data set. of: its name. root: its folder. data: its further arguments.
        settings: of :class:`EventClouds`.

    Raises:
        UnknownNameError, ConfigError, FormatError: from the data set; ConfigError: it holds no recordings.
    """
    source = DATASETS.get(of)(split=split, **({"root": root} if root else {}), **(data or {}))
    if not isinstance(source, EventDataset):
        raise ConfigError(f"clouds: data set {of!r} holds no recordings of events; choose another.")
    return EventClouds(source, **settings)
