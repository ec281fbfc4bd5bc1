r"""From sound to spikes: a light, deterministic model of the inner ear.

For every channel k with centre frequency f_k::

    g_k(t) = t^3 exp(-2 pi b_k t) cos(2 pi f_k t),  b_k = 1.019 (24.7 + f_k / 9.26449)   unit peak gain
    e_k    = gain * mean over 1 ms of max(0, g_k * sound)^0.6
    v      <- a v + (1 - a) e_k,  a = exp(-1/tau);  spike at v >= 1, then v = 0 and silence for 2 ms

The sound has an RMS of 0.1 over its whole length and is then cut or padded with silence. Centre frequencies
are evenly spaced on the ERB scale: with c = 24.7 * 9.26449 and K channels,
``f_k = -c + (hi + c) exp(k (ln(lo + c) - ln(hi + c)) / K)``, k = 1..K, in ascending order.

Sources: Glasberg and Moore 1990 (ERB), Slaney 1993 (spacing, 1.019), Cramer et al. 2020, arXiv 1910.07407
(sound to spikes as a data set). Deviations: one LIF neuron per channel in place of hair cells and bushy
cells; the constants of compression, gain and neuron are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..checks import integer, number
from ..errors import require
from .events import Events

__all__ = ["Cochlea"]

_EAR_Q, _MIN_BANDWIDTH = 9.26449, 24.7
_REFRACTORY_MS = 2


@dataclass(frozen=True)
class Cochlea:
    """The equations are on top of this file; call it on samples.

    Args:
        channels: K, 1..1024. low_hz, high_hz: range of centre frequencies; the upper end is not in it.
        rate: samples per second, a multiple of 1000. taps: length of the filters in samples.
        duration_ms: of the recording. gain, power, tau_ms: see the equations.

    Raises:
        ConfigError: a setting out of range, or frequencies above half the rate.
    """

    channels: int = 64
    low_hz: float = 80.0
    high_hz: float = 3600.0
    rate: int = 8000
    taps: int = 512
    duration_ms: int = 1000
    gain: float = 30.0
    power: float = 0.6
    tau_ms: float = 5.0

    def __post_init__(self) -> None:
        integer("Cochlea.channels", self.channels, 1, 1024)
        integer("Cochlea.rate", self.rate, 1000, 192_000)
        require(self.rate % 1000 == 0, "Cochlea.rate", self.rate, "a multiple of 1000")
        integer("Cochlea.taps", self.taps, 2, 2**16)
        integer("Cochlea.duration_ms", self.duration_ms, 1, 10**6)
        number("Cochlea.low_hz", self.low_hz, above=0)
        number("Cochlea.high_hz", self.high_hz, above=self.low_hz, at_most=self.rate / 2)
        for name in ("gain", "power", "tau_ms"):
            number(f"Cochlea.{name}", getattr(self, name), above=0)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Centre frequencies in Hz, ascending."""
        c = _EAR_Q * _MIN_BANDWIDTH
        k = np.arange(self.channels, 0, -1)
        ratio = np.log(self.low_hz + c) - np.log(self.high_hz + c)
        return -c + (self.high_hz + c) * np.exp(k * ratio / self.channels)

    def filters(self) -> NDArray[np.float64]:
        """Impulse responses ``[K, taps]``; the largest gain of each over all frequencies is 1."""
        t = np.arange(self.taps) / self.rate
        f = self.frequencies[:, None]
        bandwidth = 1.019 * (_MIN_BANDWIDTH + f / _EAR_Q)
        responses = t**3 * np.exp(-2 * np.pi * bandwidth * t) * np.cos(2 * np.pi * f * t)
        return responses / np.abs(np.fft.rfft(responses, 8 * self.taps)).max(1, keepdims=True)

    def envelopes(self, samples: NDArray) -> NDArray[np.float64]:
        """Input of the neurons ``[K, duration_ms]`` for samples ``[N]`` of any scale."""
        sound = np.asarray(samples, np.float64)
        length = self.duration_ms * self.rate // 1000
        sound = sound * (0.1 / max(float(np.sqrt(np.mean(sound**2))) if sound.size else 0.0, 1e-6))
        sound = np.pad(sound[:length], (0, max(0, length - sound.size)))
        size = 1 << (length + self.taps - 2).bit_length()
        moved = np.fft.irfft(_spectrum(self, size) * np.fft.rfft(sound, size), size)[:, :length]
        rectified = np.maximum(moved, 0) ** self.power
        return self.gain * rectified.reshape(self.channels, self.duration_ms, -1).mean(2)

    def __call__(self, samples: NDArray) -> Events:
        """Spikes of one sound: unit ``x`` = channel, times in whole ms, sensor (K, 1, 1).

        Args:
            samples: ``[N]``; int16 is scaled by 1/32768, floats are taken as they are.
        """
        return self.listen([samples])[0]

    def listen(self, sounds: Sequence[NDArray]) -> list[Events]:
        """Spikes of several sounds, each as it would be alone; faster than one by one."""
        currents = np.stack([self.envelopes(_as_float(sound)) for sound in sounds], 1)  # [K, sounds, ms]
        decay = float(np.exp(-1 / self.tau_ms))
        v = np.zeros(currents.shape[:2])
        silent = np.zeros(v.shape, np.int64)
        spikes = np.zeros((self.duration_ms, *v.shape), bool)
        for k in range(self.duration_ms):
            v = np.where(silent <= 0, decay * v + (1 - decay) * currents[..., k], 0.0)
            spikes[k] = v >= 1
            silent = np.where(spikes[k], _REFRACTORY_MS, silent - 1)
            v[spikes[k]] = 0
        return [self._events(spikes[:, :, i]) for i in range(len(sounds))]

    def _events(self, spikes: NDArray) -> Events:
        ms, unit = np.nonzero(spikes)
        zeros = np.zeros(len(ms), np.uint8)
        return Events(ms * 1000, unit, zeros, zeros, (self.channels, 1, 1), (0, self.duration_ms * 1000))


@lru_cache(maxsize=4)
def _spectrum(cochlea: Cochlea, size: int) -> NDArray[np.complex128]:
    return np.fft.rfft(cochlea.filters(), size)


def _as_float(samples: NDArray) -> NDArray:
    samples = np.asarray(samples)
    return samples / 32768 if samples.dtype.kind == "i" else samples
