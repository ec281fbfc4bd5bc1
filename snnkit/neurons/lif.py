r"""Leaky integrate-and-fire, with the parametrisations of the three large libraries.

::

    h[t] = charge(v[t-1], x[t])          leak of v and accumulation of x
    s[t] = 1 where h[t] >= threshold     (> with fire_at_equal=False)
    v[t] = h[t] - s[t] * threshold       soft reset
         = (1 - s[t]) h[t] + s[t] v_reset    hard reset

The charge, with ``w = v - v_rest`` and the default ``tau``: ``h = v + (x - w)/tau``; without
``decay_input``: ``h = v - w/tau + x``. :class:`snnkit.kernels.LIFDynamics` lists every arithmetic.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, flag, number
from ..errors import ConfigError, require
from ..kernels import LIFDynamics, Norm, lif, norm_lif, norm_lif_unavailable
from ..sequence import check_state
from ..surrogate import Surrogate, as_surrogate, heaviside, spike
from .base import NEURONS, Neuron, NeuronOps, per_channel
from .presets import LibraryPresets

__all__ = ["IF", "LIF", "LIFState", "lif_step"]

_LEAKS = {"divide": "tau", "multiply": "rate", "euler": "rate", "decay": "beta"}


class LIFState(NamedTuple):
    """``v [B, *]``: potential after reset (before it, if the reset is delayed)."""

    v: Tensor


def lif_step(
    x: Tensor, v: Tensor, leak: float | Tensor, threshold: float | Tensor, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    """One step of the equations above: ``(x [B, *], v [B, *]) -> (spikes, v)``; pure, any float dtype."""
    amount = threshold if d.reset_amount is None else d.reset_amount
    if d.delayed:
        fired = heaviside(v - threshold, d.fire_at_equal).detach()
        if d.reset == "hard":
            v = fired * d.v_reset + (1 - fired) * v
        h = _charge(v, x, leak, d)
        if d.reset == "soft":
            h = h - fired * amount
        return spike(h - threshold, d.surrogate, d.fire_at_equal), h

    h = _charge(v, x, leak, d)
    s = spike(h - threshold, d.surrogate, d.fire_at_equal)
    r = s.detach() if d.detach_reset else s
    if d.reset == "soft":
        return s, h - r * amount
    if d.reset == "hard":
        return s, r * d.v_reset + (1 - r) * h
    return s, h


def _charge(v: Tensor, x: Tensor, leak: float | Tensor, d: LIFDynamics) -> Tensor:
    w = v - d.v_rest
    match d.arithmetic:
        case "divide":
            return v + (x - w) / leak if d.decay_input else v - w / leak + x
        case "multiply":
            return v + (x - w) * leak if d.decay_input else v - w * leak + x
        case "euler":
            return v + leak * ((x + d.v_rest) - v) if d.decay_input else v + leak * -w + x
        case "decay":
            return leak * w + ((1 - leak) * x if d.decay_input else x) + d.v_rest
        case "integrate":
            return v + x


@NEURONS.register("lif")
class LIF(LibraryPresets, Neuron):
    r"""Leaky integrate-and-fire neuron.

    The leak is given in exactly one of three ways, which differ in the order of float operations:

    Args:
        tau: membrane time constant in steps, >= 1 (1: no memory). Default 2.
        beta: decay per step in [0, 1], ``h = beta*v + x`` (``decay_input`` defaults to False).
        rate: ``1/tau`` in (0, 1], explicit Euler ``h = v + rate*((x + v_rest) - v)``.
        threshold: firing level, > 0, same unit as x.
        decay_input: scale the input by 1/tau.
        reset: "hard" to ``v_reset``, "soft" by ``reset_amount``, or "none".
        v_reset: value after a hard reset, default 0; below the threshold.
        v_rest: value the potential leaks to, also the initial state; default ``v_reset`` with a hard
            reset, else 0.
        reset_amount: subtracted by a soft reset; default the threshold.
        reset_timing: "immediate", or "delayed" to the start of the next step (then always detached,
            and the state is the potential before the reset).
        detach_reset: no gradient through the spike in the reset.
        fire_at_equal: ``h == threshold`` fires.
        learn_tau: ``1/tau = sigmoid(w)`` with a learned w (PLIF, Fang et al., arXiv 2007.05785).
        learn_threshold: ``threshold = softplus(w)`` with a learned w.
        channels: one learned value per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``h = v + (x - (v - v_rest))/tau; s = h >= threshold; v = (1-s) h + s v_reset``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``v [B, *]``, at least float32.
    Raises:
        ConfigError: a value out of range, or more than one of tau, beta, rate.
        ShapeError: axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        spikingjelly 2.0, snntorch 1.0 and norse 1.1; the presets reproduce them bit for bit.

    Example:
        >>> spikes = snnkit.LIF(tau=2.0)(torch.full((3, 1, 1), 1.5))
        >>> spikes.flatten().tolist()
        [0.0, 1.0, 0.0]
    """

    State = LIFState

    def __init__(
        self,
        tau: float | None = None,
        *,
        beta: float | None = None,
        rate: float | None = None,
        threshold: float = 1.0,
        decay_input: bool | None = None,
        reset: Literal["hard", "soft", "none"] = "hard",
        v_reset: float | None = None,
        v_rest: float | None = None,
        reset_amount: float | None = None,
        reset_timing: Literal["immediate", "delayed"] = "immediate",
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        learn_tau: bool = False,
        learn_threshold: bool = False,
        channels: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__()
        name = type(self).__name__
        given = [v for v in (tau, beta, rate) if v is not None]
        if len(given) > 1:
            raise ConfigError(
                f"{name}: got tau={tau}, beta={beta}, rate={rate}, expected one of them. "
                "They are the same leak: beta = 1 - 1/tau, rate = 1/tau."
            )
        if beta is not None:
            leak, arithmetic = number(f"{name}.beta", beta, at_least=0, at_most=1), "decay"
        elif rate is not None:
            leak, arithmetic = number(f"{name}.rate", rate, above=0, at_most=1), "euler"
        else:
            leak, arithmetic = number(f"{name}.tau", 2.0 if tau is None else tau, at_least=1), "divide"
        threshold = number(f"{name}.threshold", threshold, above=0)
        choice(f"{name}.reset", reset, ("hard", "soft", "none"))
        delayed = choice(f"{name}.reset_timing", reset_timing, ("immediate", "delayed")) == "delayed"
        hard = reset == "hard"
        if v_reset is not None:
            require(hard, f"{name}.v_reset", v_reset, 'None unless reset="hard"')
            number(f"{name}.v_reset", v_reset, below=threshold)
        if reset_amount is not None:
            require(reset == "soft", f"{name}.reset_amount", reset_amount, 'None unless reset="soft"')
            number(f"{name}.reset_amount", reset_amount)
        v_reset = float(v_reset or 0.0)
        v_rest = v_reset if v_rest is None else number(f"{name}.v_rest", v_rest)
        shape = self._set_channels(channels)
        self._learns_tau = flag(f"{name}.learn_tau", learn_tau)
        self._learns_threshold = flag(f"{name}.learn_threshold", learn_threshold)
        if self._learns_tau:
            rate0 = 1 - leak if arithmetic == "decay" else (1 / leak if arithmetic == "divide" else leak)
            require(
                0 < rate0 < 1, f"{name}.learn_tau with tau", self._tau_of(leak, arithmetic), "tau > 1, finite"
            )
            leak, arithmetic = rate0, "multiply"
            self.tau_raw = nn.Parameter(torch.full(shape, math.log(rate0 / (1 - rate0))))
        if self._learns_threshold:
            self.threshold_raw = nn.Parameter(torch.full(shape, float(_softplus_inverse(threshold))))
        self._leak, self._threshold = leak, float(threshold)
        self.dynamics = LIFDynamics(
            surrogate=as_surrogate(surrogate),
            arithmetic=arithmetic,  # type: ignore[arg-type]
            decay_input=beta is None if decay_input is None else flag(f"{name}.decay_input", decay_input),
            reset=reset,
            v_rest=v_rest,
            v_reset=v_reset,
            reset_amount=reset_amount,
            delayed=delayed,
            detach_reset=flag(f"{name}.detach_reset", detach_reset),
            fire_at_equal=flag(f"{name}.fire_at_equal", fire_at_equal),
        )

    # -- parameters --------------------------------------------------------------------------------

    @staticmethod
    def _tau_of(leak: float | Tensor, arithmetic: str) -> Any:
        rate = 1 - leak if arithmetic in ("decay", "integrate") else leak
        return (
            leak if arithmetic == "divide" else (1 / rate if isinstance(rate, Tensor) or rate else math.inf)
        )

    @property
    def leak(self) -> float | Tensor:
        """tau, 1/tau or beta, as ``dynamics.arithmetic`` says."""
        return torch.sigmoid(self.tau_raw) if self._learns_tau else self._leak

    @property
    def tau(self) -> float | Tensor:
        """Membrane time constant in steps."""
        return self._tau_of(self.leak, self.dynamics.arithmetic)

    @property
    def threshold(self) -> float | Tensor:
        """Firing level."""
        return F.softplus(self.threshold_raw) if self._learns_threshold else self._threshold

    def _operands(self, like: Tensor) -> tuple[float | Tensor, float | Tensor]:
        """Leak and threshold ready to combine with a step ``[B, C, ...]``, in the state's dtype."""
        return per_channel(self.leak, like), per_channel(self.threshold, like)

    # -- dynamics ----------------------------------------------------------------------------------

    def initial_state(self, x: Tensor) -> LIFState:
        """``v = v_rest`` everywhere."""
        self._check_channels(x)
        return LIFState(x.new_full((), self.dynamics.v_rest).expand(x.shape))  # one value: no memory

    def step(self, x: Tensor, state: LIFState) -> tuple[Tensor, LIFState]:
        """One step of :func:`lif_step`."""
        s, v = lif_step(x, state.v, *self._operands(x), self.dynamics)
        return s, LIFState(v)

    def _run(self, x: Tensor, state: LIFState) -> tuple[Tensor, LIFState]:
        leak, threshold = self._operands(state.v)
        step = partial(_step, leak=leak, threshold=threshold, d=self.dynamics)
        spikes, v = lif(x, state.v, leak, threshold, self.dynamics, step)
        return spikes, LIFState(v)

    def forward_normed(self, x: Tensor, norm: Norm) -> tuple[Tensor, Tensor, Tensor] | None:
        """Output behind a batch norm, in one operation; None where there is none that can.

        Args:
            x: ``[T, B, C, ...]``, in front of the norm.

        Returns:
            spikes; mean and biased variance ``[C]`` of the batch, or those of ``norm`` if it has them.
        """
        moments: list[Tensor] = []

        def run(x: Tensor, state: LIFState | None = None) -> tuple[Tensor, LIFState]:
            like = self.initial_state(torch.empty(x.shape[1:], dtype=torch.float32, device=x.device))
            if state is None:
                state = like
            else:
                check_state(state, like, type(self).__name__)
            spikes, v, *found = norm_lif(x, norm, state.v, *self._operands(state.v), self.dynamics)
            moments.extend(found)
            return spikes, LIFState(v)

        operands = (self.leak, self.threshold)
        if norm_lif_unavailable(x, norm, *operands, d=self.dynamics) is not None:
            return None
        return self._call(run, x), moments[0], moments[1]

    def energy_ops(self) -> NeuronOps:
        """One leak multiplication, one addition (two with a resting potential), one comparison."""
        d = self.dynamics
        leaks = d.arithmetic != "integrate"
        return NeuronOps(
            mul=float(leaks),
            add=1.0 + (leaks and d.v_rest != 0),
            cmp=1.0,
            spike_add=float(d.reset == "soft"),
            spike_write=float(d.reset == "hard"),
            state_words=1.0,
        )

    def extra_repr(self) -> str:
        """Every setting."""
        d = self.dynamics
        learned = [n for n in ("tau", "threshold") if hasattr(self, f"{n}_raw")]
        parts = [f"{_LEAKS[d.arithmetic]}={self._leak:g}"] if d.arithmetic != "integrate" else []
        parts += [f"threshold={self._threshold:g}", f"reset={d.reset}"]
        parts += [f"v_reset={d.v_reset:g}"] if d.reset == "hard" else []
        parts += [f"v_rest={d.v_rest:g}", f"decay_input={d.decay_input}", f"detach_reset={d.detach_reset}"]
        parts += ["reset_timing=delayed"] if d.delayed else []
        parts += [f"reset_amount={d.reset_amount:g}"] if d.reset_amount is not None else []
        parts += [] if d.fire_at_equal else ["fire_at_equal=False"]
        parts += [f"learned={'+'.join(learned)}"] if learned else []
        parts += [f"channels={self.channels}"] if self.channels else []
        return ", ".join([*parts, f"surrogate={d.surrogate}"])


@NEURONS.register("if")
class IF(LIF):
    """Integrate-and-fire, no leak. Arguments, state, errors and reference as :class:`LIF`.

    Equation:
        ``h = v + x; s = h >= threshold; v = (1-s) h + s v_reset``
    """

    spikingjelly = snntorch = norse_box = None  # type: ignore[assignment]  # those presets have a leak

    def __init__(
        self,
        *,
        threshold: float = 1.0,
        reset: Literal["hard", "soft", "none"] = "hard",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        learn_threshold: bool = False,
        channels: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            beta=1.0,
            threshold=threshold,
            reset=reset,
            v_reset=v_reset,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            learn_threshold=learn_threshold,
            channels=channels,
            surrogate=surrogate,
        )
        self.dynamics = self.dynamics._replace(arithmetic="integrate")


def _step(
    x: Tensor, v: Tensor, *, leak: float | Tensor, threshold: float | Tensor, d: LIFDynamics
) -> tuple[Tensor, Tensor]:
    return lif_step(x, v, leak, threshold, d)


def _softplus_inverse(y: float) -> float:
    return y + math.log(-math.expm1(-y))
