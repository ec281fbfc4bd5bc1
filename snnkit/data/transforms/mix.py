"""EventMix: part of one recording in part of another, cut by a smooth random volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ...checks import integer, number
from ...errors import ShapeError
from ..events import Events
from .base import recording

__all__ = ["EventMix", "Mixed"]


class Mixed(NamedTuple):
    """Events of both, and the share of them that is from the first: its weight in the label."""

    events: Events
    share: float


@dataclass(frozen=True)
class EventMix:
    r"""Mix two recordings of one sensor.

    With x, y, t scaled to the unit cube, a random volume is where a mixture of Gaussians

        m(r) = sum_k w_k exp(-1/2 sum_d ((r_d - c_kd) / s_kd)^2)

    is largest; its size is drawn from Beta(alpha, alpha). Events of the first recording inside of it and
    events of the second outside of it are kept. The second is moved in time to begin with the first.

    Args:
        alpha: of the Beta distribution, > 0. components: number of Gaussians, >= 1.

    Source: Shen, Zhao, Zeng 2022, "EventMix: an efficient data augmentation strategy for event-based
    learning" (arXiv 2205.12054), recalled: Gaussian-mixture mask, label by the share of events. Centres
    uniform, widths uniform in [0.1, 0.4] and weights uniform in [0.5, 1] are ours.
    """

    alpha: float = 1.0
    components: int = 3
    random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        number("EventMix.alpha", self.alpha, above=0, at_most=1e6)
        integer("EventMix.components", self.components, 1, 1000)

    def __call__(self, first: Events, second: Events, generator: torch.Generator | None = None) -> Mixed:
        """See the class.

        Raises:
            InputTypeError: not Events. ShapeError: different sensors.
        """
        for events in (first, second):
            recording(events, "EventMix")
        if first.sensor_size != second.sensor_size:
            raise ShapeError(
                f"EventMix: sensors {first.sensor_size} and {second.sensor_size}, expected the same. "
                "Crop or downsample one of them."
            )
        seed = int(torch.randint(2**62, (), generator=generator))
        rng = np.random.default_rng(seed)  # torch has no Beta distribution that takes a generator
        size = rng.beta(self.alpha, self.alpha)
        centre = rng.uniform(size=(self.components, 3))
        width = rng.uniform(0.1, 0.4, (self.components, 3))
        weight = rng.uniform(0.5, 1, self.components)

        def density(r: NDArray) -> NDArray:
            total = np.zeros(len(r))
            for w, c, s in zip(weight, centre, width, strict=True):  # N at a time, not N x components
                total += w * np.exp(-0.5 * (((r - c) / s) ** 2).sum(1))
            return total

        level = np.quantile(density(rng.uniform(size=(4096, 3))), 1 - size)
        start, end = first.t_span
        shift = start - second.t_span[0]
        stop = max(end, second.t_span[1] + shift)
        inside = density(_cube(first, start, stop)) > level
        outside = density(_cube(second, start - shift, stop - shift)) <= level
        t = np.concatenate([first.t[inside], second.t[outside] + shift])
        order = np.argsort(t, kind="stable")
        x, y, p = (
            np.concatenate([getattr(first, name)[inside], getattr(second, name)[outside]])[order]
            for name in "xyp"
        )
        taken = int(inside.sum())
        events = Events._trusted((t[order], x, y, p), first.sensor_size, (start, stop), {})
        return Mixed(events, taken / len(t) if len(t) else size)


def _cube(events: Events, start: int, stop: int) -> NDArray[np.float64]:
    """``[N, 3]`` coordinates of events in the unit cube."""
    width, height, _ = events.sensor_size
    return np.stack([events.x / width, events.y / height, (events.t - start) / max(stop - start, 1)], 1)
