r"""An event camera in front of a scene of known brightness.

Every pixel compares its log intensity with the level at its last event::

    L = ln(f + (1 - f) I)                       I in [0, 1], f a floor
    n = floor(|L - L_ref| / C±)                 events in one step, ON if L rose
    t_j: L linear within the step crosses L_ref ± j C±
    L_ref <- L_ref ± n C±

The thresholds C+ and C- of a pixel are drawn once from N(C, sigma), at least 0.01. Optional noise, all
off by default: leak (L_ref sinks, which makes ON events), shot noise (Poisson events), a first-order
low-pass whose speed is proportional to brightness, a refractory time.

Sources: Rebecq et al. 2018, "ESIM: an open event camera simulator"; Hu et al. 2021, "v2e: from video
frames to realistic DVS events" (arXiv 2006.07722). Deviations: the floor f in place of v2e's lin-log
map; shot noise is uniform over pixels and leaves L_ref alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import require

__all__ = ["Camera", "Recordings", "Scene"]

Scene = Callable[[int], NDArray[np.float64]]  # time in µs -> intensity [N, H, W] in [0, 1]


class Recordings(NamedTuple):
    """Events of N samples one after the other; sample i is ``ptr[i]:ptr[i+1]``, sorted by time."""

    t: NDArray[np.int32]
    x: NDArray[np.unsignedinteger]
    y: NDArray[np.unsignedinteger]
    p: NDArray[np.uint8]
    ptr: NDArray[np.int64]


@dataclass(frozen=True)
class Camera:
    """Pixel constants; the equations are on top of this file.

    Args:
        threshold: C, contrast in log intensity, 0.05..10.
        threshold_sigma: spread of C over pixels.
        floor: f, in (0, 1).
        leak_hz: rate of leak events of a pixel.
        shot_hz: rate of shot-noise events of a pixel.
        cutoff_hz: corner frequency of the low-pass at I = 1; 0: no low-pass.
        refractory_us: time after an event in which a pixel is blind.
        seed: of thresholds and shot noise.

    Raises:
        ConfigError: a constant out of range.
    """

    threshold: float = 0.35
    threshold_sigma: float = 0.03
    floor: float = 0.15
    leak_hz: float = 0.0
    shot_hz: float = 0.0
    cutoff_hz: float = 0.0
    refractory_us: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        self._check("threshold", 0.05, 10, "Smaller thresholds drown in events.")
        self._check("threshold_sigma", 0, 10)
        self._check("floor", 1e-6, 1 - 1e-6)
        for name in ("leak_hz", "shot_hz", "cutoff_hz"):
            self._check(name, 0, 1e6)
        self._check("refractory_us", 0, 2**31, kind=int)
        self._check("seed", 0, 2**63 - 1, kind=int)

    def _check(self, name: str, low: float, high: float, hint: str = "", kind: type = float) -> None:
        value: Any = getattr(self, name)
        typed = isinstance(value, int) or (kind is float and isinstance(value, float))
        ok = typed and not isinstance(value, bool) and low <= value <= high
        what = "an int" if kind is int else "a number"
        require(ok, f"Camera.{name}", value, f"{what} in [{low}, {high}]", hint)

    def thresholds(self, height: int, width: int) -> tuple[NDArray, NDArray]:
        """C+ and C- of every pixel, ``[H, W]`` each."""
        rng = np.random.default_rng(self.seed)
        draw = rng.normal(self.threshold, self.threshold_sigma, (2, height, width))
        on, off = np.maximum(draw, 0.01)
        return on, off

    def record(self, scene: Scene, *, duration_us: int, dt_us: int, first: int = 0) -> Recordings:
        """Film N samples at once, from time 0 to ``duration_us``, in steps of ``dt_us``.

        Args:
            scene: intensity ``[N, H, W]`` at a time in µs.
            duration_us: a multiple of dt_us, below 2**31.
            first: number of the first sample. A sample's events do not depend on which other samples
                are filmed with it.

        Raises:
            ConfigError: duration or step out of range.
        """
        ok = 0 < dt_us <= duration_us < 2**31 and duration_us % dt_us == 0
        require(ok, "Camera.record", (duration_us, dt_us), "a duration below 2**31 µs, a multiple of dt_us")
        intensity = scene(0)
        samples, height, width = intensity.shape
        area = height * width
        on, off = (c.reshape(area) for c in self.thresholds(height, width))
        level = self._log(intensity)
        reference = level.copy()
        last = np.full(level.size, -np.inf) if self.refractory_us else None
        found: list[tuple[NDArray, ...]] = []  # sample * duration + time, pixel, polarity

        for start in range(0, duration_us, dt_us):
            intensity = scene(start + dt_us)
            new = self._log(intensity)
            if self.cutoff_hz:
                bright = self.floor + (1 - self.floor) * intensity.reshape(samples, area)
                new = level + np.minimum(1, 2e-6 * np.pi * self.cutoff_hz * dt_us * bright) * (new - level)
            if self.leak_hz:
                reference -= 1e-6 * self.leak_hz * dt_us * on
            change = new - reference
            pixel = np.flatnonzero((change >= on) | (change <= -off))  # few: the rest is work on these only
            place = pixel % area
            change, before, after = (a.reshape(-1)[pixel] for a in (change, level, new))
            rises = change > 0
            size = np.where(rises, on[place], off[place])
            number = (np.abs(change) / size).astype(np.int64)
            step = np.where(rises, size, -size)
            for fires, share in _crossings(reference.reshape(-1)[pixel], step, number, before, after):
                time = start + dt_us * share
                if last is not None:
                    fires &= time - last[pixel] >= self.refractory_us
                    last[pixel[fires]] = time[fires]
                when = np.minimum(time[fires].astype(np.int64), duration_us - 1)
                found.append((pixel[fires] // area * duration_us + when, place[fires], rises[fires]))
            reference.reshape(-1)[pixel] += number * step
            level = new

        if self.shot_hz and samples:
            found.append(self._shot_noise(samples, area, duration_us, first))
        return _gather(found, samples, width, duration_us)

    def _log(self, intensity: NDArray) -> NDArray:
        return np.log(self.floor + (1 - self.floor) * intensity).reshape(len(intensity), -1)

    def _shot_noise(self, samples: int, area: int, duration_us: int, first: int) -> tuple[NDArray, ...]:
        """Poisson events, from one generator per sample."""
        parts = []
        for i in range(samples):
            rng = np.random.default_rng([self.seed, first + i])
            n = rng.poisson(1e-6 * self.shot_hz * duration_us * area)
            draws = [rng.integers(high, size=n) for high in (duration_us, area, 2)]
            parts.append((i * duration_us + draws[0], draws[1], draws[2].astype(bool)))
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _crossings(
    reference: NDArray, step: NDArray, number: NDArray, before: NDArray, after: NDArray
) -> Iterator[tuple[NDArray, NDArray]]:
    """For j = 1, 2, ...: which pixels have a j-th event, and the share of the step that passed before it."""
    slope = np.where(after == before, np.inf, after - before)  # a leak needs no change of light
    for j in range(1, int(number.max(initial=0)) + 1):
        yield number >= j, np.clip((reference + j * step - before) / slope, 0, 1)


def _gather(found: list[tuple[NDArray, ...]], samples: int, width: int, duration_us: int) -> Recordings:
    """Sort by sample and time; simultaneous events of a sample stay in order of step and row."""
    empty = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    when, place, rises = (np.concatenate(column) for column in zip(empty, *found, strict=True))
    order = np.argsort(when, kind="stable")
    when, place, rises = when[order], place[order], rises[order]
    ptr = np.searchsorted(when, np.arange(samples + 1, dtype=np.int64) * duration_us)
    y, x = np.divmod(place, width)
    small = np.uint8 if place.size == 0 or max(y.max(), width - 1) < 256 else np.uint16
    return Recordings(
        (when % duration_us).astype(np.int32),
        x.astype(small),
        y.astype(small),
        rises.astype(np.uint8),
        ptr.astype(np.int64),
    )
