"""What all layers with delays share: delays in steps, their width, rounding, freezing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import choice, integer, number
from ..errors import NumericsError, ShapeError, StreamError
from ..kernels import (
    INTERPOLATIONS,
    Interpolation,
    delay_channels,
    delay_kernel,
    rounded_delay,
    shift_channels,
)
from ..sequence import Stateful, as_sequence, check_finite, checks_numerics

__all__ = ["Delayed", "fractional_delays"]

_fractional: ContextVar[bool] = ContextVar("snnkit_fractional_delays", default=False)


@contextmanager
def fractional_delays() -> Iterator[None]:
    """Inside the block, layers in evaluation keep delays between two steps, as in training.

    Without it, evaluation rounds them, as hardware and event-driven inference do. The accuracy inside
    and outside of the block shows how much a network relies on what cannot be built. Compiled graphs round.
    """
    token = _fractional.set(True)
    try:
        yield
    finally:
        _fractional.reset(token)


class Delayed(Stateful):
    """Base of the layers with learnable delays.

    A subclass registers its delays with ``_add_delay`` and declares them to the energy estimator in
    ``energy_delays``, see :mod:`snnkit.energy.delays`.

    Attributes:
        max_delay: largest delay D, in steps. interp: how delays between two steps are treated in training,
            see :mod:`snnkit.kernels.delay_kernel`.
        sigma: buffer, width of the profile in steps; a :class:`SigmaSchedule` narrows it. initial_sigma: what
            it was at first.
    """

    sigma: Tensor

    def __init__(self, max_delay: int, interp: Interpolation, sigma: float | None) -> None:
        super().__init__()
        name = type(self).__name__
        self.max_delay = integer(f"{name}.max_delay", max_delay, at_least=0)
        choice(f"{name}.interp", interp, INTERPOLATIONS)
        self.interp: Interpolation = interp
        if sigma is None:
            sigma = 1.0 if interp == "triangle" else max(max_delay / 2, 0.5)
        self.initial_sigma = number(f"{name}.sigma", sigma, above=0)
        self.register_buffer("sigma", torch.tensor(self.initial_sigma))
        self._limits: dict[str, int] = {}

    def _add_delay(self, name: str, shape: tuple[int, ...], limit: int) -> None:
        """A parameter of delays in ``[0, limit]``."""
        self._limits[name] = limit
        self.register_parameter(name, nn.Parameter(torch.empty(shape)))

    def delays(self) -> Mapping[str, tuple[Tensor, int]]:
        """Name -> delays in steps, and the largest that they can have."""
        return {name: (getattr(self, name), limit) for name, limit in self._limits.items()}

    def _load_from_state_dict(self, *args: Any) -> None:
        """Warns if the delays that are loaded do not fit."""
        super()._load_from_state_dict(*args)
        for name, (delay, limit) in self.delays().items():
            longest = 0.0 if delay.is_meta or not delay.numel() else float(delay.detach().max())
            if longest > limit + 1:  # a step of the optimiser may leave them a little outside
                warnings.warn(
                    f"{type(self).__name__}.{name}: loaded delays up to {longest:g} steps, of which those "
                    f"above {limit} are used as {limit}. Build the layer with the max_delay of its training.",
                    stacklevel=2,
                )

    def lags(self, name: str = "delay") -> Tensor:
        """The whole delays of inference, int64."""
        return rounded_delay(*self.delays()[name])

    def reset_delays(self) -> None:
        """Draw delays: uniform over ``[0, D]``, and whole if they are fixed."""
        with torch.no_grad():
            for delay, limit in self.delays().values():
                delay.uniform_(0, limit)
        if self.interp == "fixed":
            self.freeze()

    @property
    def rounded(self) -> bool:
        """Whether a call now uses whole delays."""
        if self.training or (not torch.compiler.is_compiling() and _fractional.get()):
            return self.interp in ("ste", "fixed")
        return True

    @property
    def _learns(self) -> bool:
        """Whether a call now needs the profile around the delays, for itself or for the gradient."""
        return not self.rounded or (self.training and self.interp != "fixed")

    def _profile(self, name: str, weight: Tensor, *, learns: bool | None = None) -> Tensor:
        """Kernel over lags of ``weight [out, in, S]`` with the delays of that name; as of now, or as said."""
        delay, limit = self.delays()[name]
        dtype = weight.dtype
        interp: Interpolation = self.interp if (self._learns if learns is None else learns) else "fixed"
        with torch.autocast(weight.device.type, enabled=False):
            return delay_kernel(weight, delay.to(dtype).view_as(weight), self.sigma.to(dtype), limit, interp)

    def _channel_profile(self, name: str, like: Tensor, *, learns: bool | None = None) -> Tensor:
        """``[C, D + 1]`` for one delay per channel."""
        delay, _ = self.delays()[name]
        ones = torch.ones(*delay.shape, 1, 1, dtype=like.dtype, device=delay.device)
        return self._profile(name, ones, learns=learns)[:, 0]

    def _checked(self, x: Tensor, channels: int, axes: str) -> Tensor:
        """``x`` as a sequence of those axes and that number of channels, and the delays as numbers."""
        name, more = type(self).__name__, axes.endswith("...]")
        ndim = axes.count(",") + (not more)
        x = as_sequence(x, name, ndim, axes)
        if (x.ndim != ndim and not more) or x.shape[2] != channels:
            raise ShapeError(
                f"{name}: got shape {tuple(x.shape)}, expected {axes} with {channels} on axis 2. Bring "
                "channels there with x.movedim, or flatten other axes with x.flatten(2)."
            )
        if checks_numerics(x):
            self._check_delays()
            if checks_numerics():
                check_finite(x, name)
        return x

    def _check_delays(self) -> None:
        for name, (delay, limit) in self.delays().items():
            bad = int((~torch.isfinite(delay.detach())).sum())
            if bad:
                raise NumericsError(
                    f"{type(self).__name__}.{name}: {bad} NaN or Inf of {delay.numel()} delays, expected "
                    f"values in [0, {limit}]. Lower the learning rate of delays, or clip their gradient."
                )

    def _check_rounded(self) -> None:
        if not self.rounded:
            raise StreamError(
                f'{type(self).__name__}(interp="{self.interp}"): delays between two steps are an aid of '
                'training and do not stream. Call eval(), which rounds them, or train with interp="ste".'
            )

    def _delay_channels(self, seen: Tensor, name: str, limit: int) -> Tensor:
        """Every channel of ``seen [limit + T, B, C, *]`` by its own delay: ``[T, B, C, *]``."""
        kernel = self._channel_profile(name, seen) if self._learns else None
        if kernel is None or self.rounded:
            return shift_channels(seen, self.lags(name), limit, kernel)
        return delay_channels(seen, kernel)

    # -- what training does to delays ----------------------------------------------------------------

    @torch.no_grad()
    def project_(self) -> None:
        """Set delays that a step of the optimiser moved outside of ``[0, D]`` to its ends.

        Raises:
            NumericsError: a delay is NaN or infinite.
        """
        self._check_delays()
        for delay, limit in self.delays().values():
            delay.clamp_(0, limit)

    @torch.no_grad()
    def round_(self) -> None:
        """Round all delays, half to even: what evaluation uses anyway becomes what is stored."""
        for delay, limit in self.delays().values():
            delay.clamp_(0, limit).round_()

    def freeze(self) -> None:
        """Round the delays and learn them no longer, for a last phase in which only weights are trained."""
        self.round_()
        self.interp = "fixed"
        for delay, _ in self.delays().values():
            delay.requires_grad_(False)

    def delay_ms(self, dt_ms: float, name: str = "delay") -> Tensor:
        """Delays in milliseconds, for steps of ``dt_ms``."""
        return self.delays()[name][0].detach() * number(f"{type(self).__name__}.dt_ms", dt_ms, above=0)

    def _delay_repr(self) -> str:
        shown = "?" if self.sigma.is_meta else f"{float(self.sigma):g}"
        width = "" if self.interp == "fixed" else f", sigma={shown}"
        return f'max_delay={self.max_delay}, interp="{self.interp}"{width}'
