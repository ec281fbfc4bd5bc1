"""Mirrors of space, time and polarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ...checks import integer, number
from ...errors import require
from ..events import Events
from .base import TRANSFORMS, EventTransform, chance, rebuilt, recording

__all__ = ["FlipPolarity", "FlipX", "FlipY", "TimeReverse"]


@TRANSFORMS.register("flip_x")
@dataclass(frozen=True)
class FlipX(EventTransform):
    """Mirror left and right with a probability: ``x' = W - 1 - x``.

    Args:
        probability: of the mirror.
        swap: pairs of labels that change places with the sides, as the gestures of the left and of the
            right arm; such a transform is applied with :meth:`labelled`.
    """

    probability: float = 0.5
    swap: tuple[tuple[int, int], ...] = ()
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("FlipX.probability", self.probability, at_least=0, at_most=1)
        try:
            pairs = tuple((a, b) for a, b in self.swap)
        except (TypeError, ValueError):
            pairs = ((-1, -1),)
        names = [integer("FlipX.swap", label, 0) for two in pairs for label in two]
        require(len(set(names)) == len(names), "FlipX.swap", self.swap, "pairs of labels, each label once")
        object.__setattr__(self, "swap", pairs)

    @property
    def changes_labels(self) -> bool:
        """True if there are labels to swap."""
        return bool(self.swap)

    def labelled(
        self, events: Events, label: int, generator: torch.Generator | None = None
    ) -> tuple[Events, int]:
        """Mirror the recording and, if it was mirrored, swap its label."""
        recording(events, "FlipX")
        if not chance(generator, self.probability):
            return events, label
        other = {a: b for pair in self.swap for a, b in (pair, pair[::-1])}
        return rebuilt(events, x=events.sensor_size[0] - 1 - events.x.astype(np.int32)), other.get(
            label, label
        )

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        return self.labelled(events, 0, generator)[0]


@TRANSFORMS.register("flip_y")
@dataclass(frozen=True)
class FlipY(EventTransform):
    """Mirror top and bottom with a probability: ``y' = H - 1 - y``."""

    probability: float = 0.5
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("FlipY.probability", self.probability, at_least=0, at_most=1)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        if not chance(generator, self.probability):
            return events
        return rebuilt(events, y=events.sensor_size[1] - 1 - events.y.astype(np.int32))


@TRANSFORMS.register("time_reverse")
@dataclass(frozen=True)
class TimeReverse(EventTransform):
    """Play a recording backwards with a probability: ``t' = start + end - 1 - t``, ``p' = 1 - p``.

    What grew brighter grows darker, so polarity flips too, if the sensor has two.
    """

    probability: float = 0.5
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("TimeReverse.probability", self.probability, at_least=0, at_most=1)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        if not chance(generator, self.probability):
            return events
        start, end = events.t_span
        p = events.p ^ 1 if events.sensor_size[2] == 2 else events.p
        t = start + end - 1 - events.t
        return rebuilt(
            events, t=t[::-1].copy(), x=events.x[::-1].copy(), y=events.y[::-1].copy(), p=p[::-1].copy()
        )


@TRANSFORMS.register("flip_polarity")
@dataclass(frozen=True)
class FlipPolarity(EventTransform):
    """Turn the polarity of every event around with a probability of its own; no effect without polarity."""

    probability: float = 0.0
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("FlipPolarity.probability", self.probability, at_least=0, at_most=1)

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        turned = torch.rand(len(events), generator=generator).numpy() < self.probability
        return rebuilt(events, p=events.p ^ turned) if events.sensor_size[2] == 2 else events
