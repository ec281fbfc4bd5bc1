r"""Information-enhanced LIF: integer spike counts in training, single spikes at inference.

::

    h[t] = x[t]                                  tau None: no membrane
         = (1 - 1/tau) v[t-1] + x[t]
    n[t] = round(clip(h[t] / step, 0, D))        half up
    out  = unit n[t]
    v[t] = h[t] - step n[t]

================  =======  =======  ==========================================================
scale             step     unit     published as
================  =======  =======  ==========================================================
``pre``           1/D      1/D      IE-LIF: ``n = round(clip(D x, 0, D))``, output n/D
``post``          1        1/D      MultiSpike with Norm = D: ``n = round(clip(x, 0, D))``
``none``          1        1        MultiSpike with Norm = 1; I-LIF with a membrane
learn_scale       a        a        a step size learned as by LSQ, starting at that of the scale
================  =======  =======  ==========================================================

Backward, straight through the rounding: ``dn/dh = 1/step`` where ``0 < h/step < D``, else 0. Learned:
``dL/da = G sum g (n - h/a)`` inside the window, ``g D`` above it, 0 below it, with
``G = 1 / sqrt(D features)``, features of one row.

A step carries the information ``H(n) <= log2(D + 1)`` bits about its input, a binary spike at most 1.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, flag, integer, number
from ..errors import require
from ..sequence import NoState
from .base import NEURONS, Neuron, NeuronOps
from .counts import round_counts

__all__ = ["IELIF", "IELIFState", "spike_entropy"]


class IELIFState(NamedTuple):
    """``v [B, *]``: potential after the reset."""

    v: Tensor


class _ScaledGradient(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(value: Tensor, factor: float) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * ctx.factor, None


@NEURONS.register("ielif")
class IELIF(Neuron):
    """Information-enhanced LIF neuron (IE-LIF, MultiSpike).

    Args:
        levels: D, the largest count of a step, in 1..255; also ``spike_levels``.
        scale: "pre", "post" or "none", see the module docstring.
        round: "half_up" or "half_even"; they differ on ties only.
        learn_scale: one step size per layer, ``softplus(scale_raw)``; with scale "pre" or "none".
            :meth:`fit_scale` starts it from data.
        tau: time constant of a membrane in steps, >= 1; None: no membrane, as published.
        detach_reset: no gradient through the counts in the reset of a membrane. Without it the gradient
            through time vanishes inside the window, because there ``dv/dh = 1 - 1 = 0``.

    Equation:
        ``h = x (with tau: h = (1 - 1/tau) v + x); n = round(clip(h/step, 0, D)); v = h - step n``
    Shape:
        ``x [T, B, *]`` float -> ``spike_unit`` times counts in {0, ..., D}, same shape and dtype.
    State:
        ``v [B, *]``, starts at 0, at least float32; none without a membrane.
    Raises:
        ConfigError: a value out of range; and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        QSD-Transformer, arXiv 2501.13492; its public code has tau None, D = 4, "pre", half up (its
        attention divides by 2 instead of D: fold that into the scale of the product). "post" with
        ``round="half_even"`` is that of Spike-driven Transformer V3, but for its gradient at the two
        boundaries. The membrane is that of I-LIF, arXiv 2407.20708; the learned scale is LSQ, arXiv
        1902.08153, with a softplus in place of a projection to a > 0.
    """

    def __init__(
        self,
        levels: int = 4,
        *,
        scale: Literal["pre", "post", "none"] = "pre",
        round: Literal["half_up", "half_even"] = "half_up",
        learn_scale: bool = False,
        tau: float | None = None,
        detach_reset: bool = True,
    ) -> None:
        super().__init__()
        self.levels = self.spike_levels = integer("IELIF.levels", levels, 1, 255)
        self.scale = choice("IELIF.scale", scale, ("pre", "post", "none"))
        self.round = choice("IELIF.round", round, ("half_up", "half_even"))
        self.tau = None if tau is None else number("IELIF.tau", tau, at_least=1)
        self.detach_reset = flag("IELIF.detach_reset", detach_reset)
        self.State = NoState if tau is None else IELIFState
        if flag("IELIF.learn_scale", learn_scale):
            require(scale != "post", "IELIF.scale with learn_scale", scale, '"pre" or "none"')
            self.scale_raw = nn.Parameter(_inverse_softplus(1 / levels if scale == "pre" else 1.0))

    @property
    def spike_unit(self) -> float | Tensor:  # type: ignore[override]
        """What one spike adds to the output."""
        if hasattr(self, "scale_raw"):
            return F.softplus(self.scale_raw)
        return 1.0 if self.scale == "none" else 1 / self.levels

    @torch.no_grad()
    def fit_scale(self, x: Tensor) -> None:
        """Start the learned step size at ``2 mean|x| / sqrt(D)``, as LSQ does, from inputs of any shape.

        Raises:
            ConfigError: without ``learn_scale``, or for inputs that are empty, all zero or not finite.
        """
        require(hasattr(self, "scale_raw"), "IELIF.fit_scale", self, "a neuron with learn_scale=True")
        value = 2 * float(x.double().abs().mean()) / math.sqrt(self.levels)
        self.scale_raw.copy_(
            _inverse_softplus(number("IELIF.fit_scale: 2 mean|x| / sqrt(D)", value, above=0))
        )

    def initial_state(self, x: Tensor) -> NoState | IELIFState:
        """``v = 0``, or nothing."""
        return NoState() if self.tau is None else IELIFState(torch.zeros_like(x))

    def step(self, x: Tensor, state: NoState | IELIFState) -> tuple[Tensor, NoState | IELIFState]:
        """One step of the equations above."""
        h = (1 - 1 / self.tau) * state.v + x if self.tau is not None else x  # type: ignore[union-attr]
        unit = self.spike_unit
        if isinstance(unit, Tensor):
            features = max(math.prod(x.shape[1:]), 1)
            unit = _ScaledGradient.apply(unit.to(x.dtype), 1 / math.sqrt(self.levels * features))
            u = h / unit
        else:
            u = h * self.levels if self.scale == "pre" else h
        n = round_counts(u, 0, self.levels, half_up=self.round == "half_up", strict=True)
        if self.tau is None:
            return n * unit, state
        spent = n.detach() if self.detach_reset else n
        return n * unit, IELIFState(h - spent * (1.0 if self.scale == "post" else unit))

    def _scan(self, x: Tensor, state: NoState | IELIFState) -> tuple[Tensor, NoState | IELIFState]:
        if self.tau is not None:
            return super()._scan(x, state)
        out, state = self.step(x.flatten(0, 1), state)  # steps are rows
        return out.reshape(x.shape), state

    def energy_ops(self) -> NeuronOps:
        """A comparison per bit of the count; with a membrane leak, addition and a subtraction per spike.

        D, 1/D and a learned scale are factors of the weights in front of the neuron and behind it.
        """
        bits, membrane = float(self.levels.bit_length()), float(self.tau is not None)
        return NeuronOps(mul=membrane, add=membrane, cmp=bits, spike_add=membrane, state_words=membrane)

    def extra_repr(self) -> str:
        """Every setting."""
        tau = "None" if self.tau is None else f"{self.tau:g}, detach_reset={self.detach_reset}"
        learn = hasattr(self, "scale_raw")
        return f"levels={self.levels}, scale={self.scale}, round={self.round}, learn_scale={learn}, tau={tau}"


def spike_entropy(counts: Tensor, levels: int) -> float:
    """Entropy in bits of the counts of a layer, at most ``log2(levels + 1)``: what they tell about the input.

    Args:
        counts: integers in 0..levels, of any shape: outputs of a neuron divided by its ``spike_unit``.
        levels: D.

    Raises:
        ConfigError: a count out of range or not an integer, or no counts.
    """
    integer("spike_entropy.levels", levels, 1)
    whole = counts.detach().long().flatten()
    ok = counts.numel() > 0 and bool(((whole == counts.flatten()) & (whole >= 0) & (whole <= levels)).all())
    require(ok, "spike_entropy.counts", counts, f"integers in 0..{levels}", "Divide by spike_unit.")
    share = torch.bincount(whole).double() / whole.numel()
    return float(torch.special.entr(share).sum() / math.log(2))


def _inverse_softplus(value: float) -> Tensor:
    exact = torch.tensor(value, dtype=torch.float64)
    return (exact + torch.log(-torch.expm1(-exact))).to(torch.get_default_dtype())
