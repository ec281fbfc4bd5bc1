"""What every transform of a recording promises, and how transforms are put in a row.

A transform is a frozen dataclass: it prints itself as the call that makes it, two of equal arguments are
equal, and its printed form is part of the key under which a cache keeps its results. It maps ``Events`` to
``Events``, never writes to its input, and counts what it leaves out in ``info["dropped"]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import ConfigError, InputTypeError, require
from ...registry import Registry
from ..events import Events

__all__ = ["TRANSFORMS", "Compose", "EventTransform", "chance", "rebuilt", "recording", "uniform"]

TRANSFORMS: Registry = Registry("transform")


class EventTransform(ABC):
    """Base of all transforms; a subclass is a frozen dataclass and implements :meth:`_apply`.

    Attributes:
        random: the result depends on the generator.
        version: raise it when the same arguments give other events; caches then make theirs again.
        changes_labels: only :meth:`labelled` is allowed, since the label goes with the events.
    """

    random: ClassVar[bool] = False
    version: ClassVar[int] = 1

    @property
    def changes_labels(self) -> bool:
        """True if the class of a recording can change, as in a mirrored gesture."""
        return False

    def __call__(self, events: Events, generator: torch.Generator | None = None) -> Events:
        """The transformed recording.

        Args:
            events: one recording; not written to.
            generator: on the CPU; None: torch's global one, which data-loader workers seed by themselves.

        Raises:
            InputTypeError: not Events. ConfigError: the label would have to change too, see :meth:`labelled`.
        """
        if self.changes_labels:
            raise ConfigError(
                f"{self}: it changes labels as well as events. Call "
                "transform.labelled(events, label, generator)."
            )
        return self.labelled(events, 0, generator)[0]

    def labelled(
        self, events: Events, label: int, generator: torch.Generator | None = None
    ) -> tuple[Events, int]:
        """The transformed recording and its label."""
        return self._apply(recording(events, type(self).__name__), generator), label

    @abstractmethod
    def _apply(self, events: Events, generator: torch.Generator | None) -> Events: ...


@TRANSFORMS.register("compose")
@dataclass(frozen=True)
class Compose(EventTransform):
    """One transform after the other.

    Args:
        steps: the transforms, first to last. None at all is the identity.

    Raises:
        InputTypeError: a step that is no transform.
    """

    steps: tuple[EventTransform, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        for step in self.steps:
            if not isinstance(step, EventTransform):
                raise InputTypeError(f"Compose: got {type(step).__name__}, expected a transform of events.")

    @property
    def random(self) -> bool:  # type: ignore[override]
        """True if any step draws."""
        return any(step.random for step in self.steps)

    @property
    def version(self) -> tuple[Any, ...]:  # type: ignore[override]
        """Versions of the steps."""
        return tuple(step.version for step in self.steps)

    @property
    def changes_labels(self) -> bool:
        """True if any step can change the label."""
        return any(step.changes_labels for step in self.steps)

    def labelled(
        self, events: Events, label: int, generator: torch.Generator | None = None
    ) -> tuple[Events, int]:
        """Apply the steps in order."""
        recording(events, "Compose")
        for step in self.steps:
            events, label = step.labelled(events, label, generator)
        return events, label

    def _apply(self, events: Events, generator: torch.Generator | None) -> Events:
        return self.labelled(events, 0, generator)[0]


def recording(events: Events, where: str) -> Events:
    """``events``, if they are Events."""
    if not isinstance(events, Events):
        raise InputTypeError(
            f"{where}: got {type(events).__name__}, expected snnkit.data.Events. Transforms act on events, "
            "before they become frames."
        )
    return events


def rebuilt(
    events: Events,
    keep: NDArray | None = None,
    reason: str = "",
    *,
    sensor_size: tuple[int, int, int] | None = None,
    t_span: tuple[int, int] | None = None,
    **columns: NDArray,
) -> Events:
    """``events`` with some columns replaced, then without those where ``keep`` is False.

    What is left out is added to ``info["dropped"][reason]``. The caller vouches for the result: it is not
    checked again. Columns are owned by the result.
    """
    info = events.info
    parts = [columns.get(name, getattr(events, name)) for name in "txyp"]
    if keep is not None:
        lost = len(events) - int(np.count_nonzero(keep))
        parts = [part[keep] for part in parts]
        if lost:
            dropped = dict(info.get("dropped", {}))
            dropped[reason] = dropped.get(reason, 0) + lost
            info = {**info, "dropped": dropped}
    size, span = sensor_size or events.sensor_size, t_span or events.t_span
    return Events._trusted((parts[0], parts[1], parts[2], parts[3]), size, span, dict(info))


def uniform(generator: torch.Generator | None, low: float, high: float) -> float:
    """One number from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def chance(generator: torch.Generator | None, probability: float) -> bool:
    """True with the given probability. Draws one number in any case."""
    return uniform(generator, 0, 1) < probability


def pair(where: str, value: Any, low: float, high: float) -> tuple[float, float]:
    """``value`` as (least, most) within [low, high]."""
    try:
        first, last = (float(v) for v in value)
    except (TypeError, ValueError):
        first, last = 1.0, 0.0
    require(low <= first <= last <= high, where, value, f"two numbers {low:g} <= least <= most <= {high:g}")
    return first, last
