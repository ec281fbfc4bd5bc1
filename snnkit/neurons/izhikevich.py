r"""Izhikevich neurons: the firing patterns of cortical cells from two variables, in mV and ms.

::

    v' = v + dt (0.04 v^2 + 5 v + 140 - u + I)      I = input_scale x
    u' = u + dt a (b v - u)                         both with v, u of the last step
    s  = 1 where v' >= 30
    v  = c where s else v'                          u = u' + s d

A parabola has no bound, so neither have its gradients over time: the potential is clamped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..checks import choice, flag, is_number, number
from ..errors import ConfigError, quote, require
from ..surrogate import Surrogate, as_surrogate, heaviside, spike
from .base import NEURONS, Neuron, NeuronOps, per_channel

__all__ = ["Izhikevich", "IzhikevichState"]

Values = float | Sequence[float] | Tensor

PRESETS: Mapping[str, dict[str, float]] = MappingProxyType(
    {
        "RS": {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0},  # regular spiking, excitatory
        "IB": {"a": 0.02, "b": 0.2, "c": -55.0, "d": 4.0},  # intrinsically bursting
        "CH": {"a": 0.02, "b": 0.2, "c": -50.0, "d": 2.0},  # chattering
        "FS": {"a": 0.1, "b": 0.2, "c": -65.0, "d": 2.0},  # fast spiking, inhibitory
        "LTS": {"a": 0.02, "b": 0.25, "c": -65.0, "d": 2.0},  # low-threshold spiking
    }
)
PEAK, REST = 30.0, -65.0  # mV


class IzhikevichState(NamedTuple):
    """``v [B, *]``: potential in mV after the reset; ``u [B, *]``: recovery variable."""

    v: Tensor
    u: Tensor


@NEURONS.register("izhikevich")
class Izhikevich(Neuron):
    """Izhikevich neuron, one kind for all or one for each channel.

    Args:
        preset: "RS", "IB", "CH", "FS" or "LTS" (Izhikevich 2003, figure 2); gives a, b, c, d.
        a, b, c, d: replace the value of the preset: a number, or a value per channel (axis 2 of
            ``[T, B, C, ...]``) as a 1-D tensor or a list, which becomes a buffer.
        dt: length of a step in ms, in (0, 1]; Euler's method diverges above.
        input_scale: current per unit of input, > 0. The default 1 is the published unit, in which a
            neuron fires at about 4 and typically receives 10. Inputs in a network for threshold 1 need
            about 50: ``neuron=dict(name="izhikevich", input_scale=50)``.
        surrogate: of ``(v' - 30) / 95``, so that one unit is the way from rest (-65) to peak; a name, a
            :class:`snnkit.surrogate.Surrogate`, or None: no gradient through spikes (reservoirs).
        detach_reset: no gradient through the spike in the reset.

    Equation:
        ``v' = v + dt (0.04 v^2 + 5 v + 140 - u + I); u' = u + dt a (b v - u); s = v' >= 30;
        v = (1-s) v' + s c; u = u' + s d``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]`` starts at -65, ``u [B, *]`` at ``-65 b``, at least float32.
    Raises:
        ConfigError: a value out of range, an unknown preset, lists of different lengths.
        ShapeError: axis 2 of the input is not the number of values.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Izhikevich 2003, IEEE Trans. Neural Networks 14(6); with explicit Euler (its script takes two half
        steps for v and one whole step for u). Ours: ``v'`` is kept in ``[-62.5 - 25/dt, 30]``. Beyond
        the upper end the neuron fires anyway; below the lower one an Euler step of the parabola overshoots
        and would end in a spike, so there inhibition saturates. All values and gradients stay finite.
    """

    State = IzhikevichState
    a: float | Tensor
    b: float | Tensor
    c: float | Tensor
    d: float | Tensor

    def __init__(
        self,
        preset: str = "RS",
        *,
        a: Values | None = None,
        b: Values | None = None,
        c: Values | None = None,
        d: Values | None = None,
        dt: float = 0.5,
        input_scale: float = 1.0,
        surrogate: str | Surrogate | None = "atan",
        detach_reset: bool = False,
    ) -> None:
        super().__init__()
        self.preset = choice("Izhikevich.preset", preset, PRESETS)
        self.dt = number("Izhikevich.dt", dt, above=0, at_most=1, hint="Its unit is ms.")
        self.input_scale = number("Izhikevich.input_scale", input_scale, above=0)
        self.v_min = -62.5 - 25 / self.dt  # there the slope of an Euler step, 1 + dt (0.08 v + 5), is -1
        self.surrogate = None if surrogate is None else as_surrogate(surrogate)
        self.detach_reset = flag("Izhikevich.detach_reset", detach_reset)
        given = {"a": a, "b": b, "c": c, "d": d}
        self._given = [name for name, value in given.items() if value is not None]
        for name, value in given.items():
            self._set(name, PRESETS[preset][name] if value is None else value)

    def _set(self, name: str, value: Values) -> None:
        """Keep one of a, b, c, d: a number as float, numbers for each channel as buffer."""
        where = f"Izhikevich.{name}"
        low, high = {"a": (0, 1), "b": (-10, 10), "c": (-100, 29), "d": (-1000, 1000)}[name]
        allowed = f"numbers in [{low}, {high}]: one, or a 1-D float tensor or a list with one per channel"
        if isinstance(value, (int, float)):
            require(is_number(value) and low <= value <= high, where, value, allowed)
            setattr(self, name, float(value))
            return
        if isinstance(value, (list, tuple)):
            require(all(is_number(one) for one in value), where, value, allowed)
            value = torch.tensor([float(one) for one in value])
        if not isinstance(value, Tensor) or value.ndim != 1 or not value.is_floating_point():
            raise ConfigError(f"{where}: got {quote(value)}, expected {allowed}.")
        inside = len(value) > 0 and bool(((value >= low) & (value <= high)).all())
        require(inside, where, value, allowed)
        fits = self.channels in (None, len(value))
        require(fits, where, value, f"{self.channels} values, as many as the others have")
        self._set_channels(len(value))
        self.register_buffer(name, value.detach().clone())
        self.buffer_names = (*self.buffer_names, name)

    @classmethod
    def population(
        cls,
        n_excitatory: int,
        n_inhibitory: int,
        generator: torch.Generator | None = None,
        **settings: Any,
    ) -> Izhikevich:
        """A mixed population ``[T, B, n_excitatory + n_inhibitory, ...]``, excitatory cells first.

        As in Izhikevich's network of 2003: with r uniform in [0, 1), excitatory cells go from regular
        spiking to chattering, ``c = -65 + 15 r^2, d = 8 - 6 r^2``; inhibitory ones from low-threshold to
        fast spiking, ``a = 0.02 + 0.08 r, b = 0.25 - 0.05 r``.
        """
        for name, n in (("n_excitatory", n_excitatory), ("n_inhibitory", n_inhibitory)):
            ok = isinstance(n, int) and not isinstance(n, bool) and n >= 0 and n_excitatory + n_inhibitory > 0
            require(ok, f"Izhikevich.population.{name}", n, "an int >= 0, not both 0")
        taken = sorted(set(settings) & {"preset", *"abcd"})
        require(not taken, "Izhikevich.population", taken, "settings other than preset, a, b, c, d")
        e, i = (torch.rand(n, generator=generator) for n in (n_excitatory, n_inhibitory))
        return cls(
            a=torch.cat([torch.full_like(e, 0.02), 0.02 + 0.08 * i]),
            b=torch.cat([torch.full_like(e, 0.2), 0.25 - 0.05 * i]),
            c=torch.cat([-65 + 15 * e.square(), torch.full_like(i, -65)]),
            d=torch.cat([8 - 6 * e.square(), torch.full_like(i, 2)]),
            **settings,
        )

    def initial_state(self, x: Tensor) -> IzhikevichState:
        """``v = -65, u = b v``."""
        self._check_channels(x)
        v = torch.full_like(x, REST)
        return IzhikevichState(v, per_channel(self.b, x) * v)

    def step(self, x: Tensor, state: IzhikevichState) -> tuple[Tensor, IzhikevichState]:
        """One step of the equations above."""
        v, u = state
        a, b, c, d = (per_channel(value, x) for value in (self.a, self.b, self.c, self.d))
        h = v + self.dt * (0.04 * v * v + 5 * v + 140 - u + self.input_scale * x)
        u = u + self.dt * a * (b * v - u)
        if self.surrogate is None:
            s = heaviside(h - PEAK)
        else:
            s = spike((h - PEAK) / (PEAK - REST), self.surrogate)
        r = s.detach() if self.detach_reset else s
        return s, IzhikevichState(r * c + (1 - r) * h.clamp(self.v_min, PEAK), u + r * d)

    def energy_ops(self) -> NeuronOps:
        """The two equations as written with the parabola as ``(0.04 v + 5) v``; per spike both resets."""
        return NeuronOps(
            mul=5.0 + (self.input_scale != 1),
            add=7.0,
            cmp=2.0,
            spike_add=1.0,
            spike_write=1.0,
            state_words=2.0,
        )

    def extra_repr(self) -> str:
        """Every setting."""
        values = {name: getattr(self, name) for name in self._given}
        shown = [f"{k}=[{len(v)}]" if isinstance(v, Tensor) else f"{k}={v:g}" for k, v in values.items()]
        parts = [f"preset={self.preset}", *shown, f"dt={self.dt:g}", f"input_scale={self.input_scale:g}"]
        return ", ".join([*parts, f"detach_reset={self.detach_reset}", f"surrogate={self.surrogate}"])
