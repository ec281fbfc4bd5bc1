r"""From sound to loudness in mel bands, as networks for Speech Commands take it.

A recording is cut or padded with silence to a second, brought from 16 to 8 kHz; for frame k and band m::

    P[k, f] = |sum_n w[n] s[80 k + n - 128] exp(-2 pi i f n / 256)|^2        w: periodic Hann window of 256
    L[k, m] = 10 log10 max(1e-10, sum_f tri_m(f) P[k, f])                   s reflected at both ends

``tri_m`` are triangles that rise and fall linearly in Hz between neighbours of ``bands + 2`` points, evenly
spaced in mel = 2595 log10(1 + f / 700) from ``low_hz`` to ``high_hz``. Half the rate: convolution with
``sinc(0.495 j) 0.495 cos^2(pi 0.495 j / 12)``, |0.495 j| <= 6, at every second sample.

Source: the code of arXiv 2306.17670 and the defaults of torchaudio that it relies on (resampling by a sinc
with a Hann window of 6 zero crossings, rolloff 0.99; mel scale of HTK, no norm; decibels without a limit).
Its bands end at 14 kHz, above the 4 kHz that there are, so that 53 of 140 hear nothing; ``high_hz`` is 4000
here, and 7 low bands hear nothing, since they lie between two frequencies of the window.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..checks import integer, number
from ..errors import DTypeError, ShapeError

__all__ = ["LogMel"]

RATE = 16_000  # of the recordings
_WINDOW, _HOP, _FLOOR = 256, 80, 1e-10
_CUT, _ZEROS = 0.495, 6  # of the filter before every second sample is dropped


@dataclass(frozen=True)
class LogMel:
    """The equations are on top of this file; call it on samples.

    Args:
        bands: M. low_hz, high_hz: ends of the bands; 14000 is the published upper end.

    Raises:
        ConfigError: a setting out of range. At a call, DTypeError: no int16 samples. ShapeError: several
        channels.

    Example:
        >>> import numpy as np
        >>> snnkit.data.LogMel()(np.zeros(16000, np.int16)).shape
        torch.Size([101, 140])
    """

    bands: int = 140
    low_hz: float = 50.0
    high_hz: float = RATE / 4

    def __post_init__(self) -> None:
        integer("LogMel.bands", self.bands, 1, 1024)
        number("LogMel.low_hz", self.low_hz, at_least=0)
        number("LogMel.high_hz", self.high_hz, above=self.low_hz, at_most=RATE)

    def __call__(self, samples: NDArray) -> Tensor:
        """dB ``[101, bands]`` float32 of int16 samples ``[N]`` at 16 kHz."""
        if getattr(samples, "dtype", None) != np.int16:  # floats in [-1, 1] would be 90 dB too quiet
            found = getattr(samples, "dtype", type(samples).__name__)
            raise DTypeError(
                f"LogMel: got {found}, expected a NumPy array of int16, as wav files have them. Convert "
                "floats in [-1, 1] with (32767 * x).astype(np.int16)."
            )
        if samples.ndim != 1:
            raise ShapeError(f"LogMel: got shape {samples.shape}, expected [N]. Choose or average channels.")
        sound = torch.from_numpy(samples[:RATE].astype("float32")) / 32768
        sound = _halved(F.pad(sound, (0, RATE - len(sound))))
        window = torch.hann_window(_WINDOW)
        spectrum = torch.stft(sound, _WINDOW, _HOP, window=window, pad_mode="reflect", return_complex=True)
        power = spectrum.abs().square().T @ _filters(self)
        return 10 * power.clamp_min(_FLOOR).log10()


@lru_cache(maxsize=8)
def _filters(mel: LogMel) -> Tensor:
    """``[129, bands]``: weights of the frequencies up to 4 kHz."""
    ends = torch.tensor([mel.low_hz, mel.high_hz], dtype=torch.float64)
    low, high = (2595 * (1 + ends / 700).log10()).tolist()
    at = 700 * (10 ** (torch.linspace(low, high, mel.bands + 2, dtype=torch.float64) / 2595) - 1)
    above = torch.linspace(0, RATE / 4, _WINDOW // 2 + 1, dtype=torch.float64)[:, None] - at
    width = at.diff()
    rise, fall = above[:, :-2] / width[:-1], -above[:, 2:] / width[1:]
    return torch.minimum(rise, fall).relu().float()


def _halved(sound: Tensor) -> Tensor:
    """At half the rate, without what would be heard at other frequencies then."""
    reach = int(_ZEROS / _CUT)  # samples to each side
    j = torch.arange(-reach, reach + 1, dtype=torch.float64) * _CUT
    kernel = torch.sinc(j) * torch.cos(torch.pi * j / (2 * _ZEROS)).square() * _CUT
    return F.conv1d(sound[None, None], kernel.float()[None, None], stride=2, padding=reach)[0, 0]
