r"""Count spikes of SpikingBrain: activations as signed integer counts of a unit that each token sets itself.

::

    V = clip(mean|x| / k, 1e-5, 1e4)          over the features of a token; or a fixed unit
    n = clip(round(x / V), -n_max, n_max)     half to even; from 0 up with mode "binary"
    out = n V

Backward, straight through the rounding with V as a constant: ``dout/dx = 1`` where n is not clipped, else 0.

At inference a count becomes single events over time, ``code`` of :func:`snnkit.neurons.expand_counts`: as
many steps as the largest count for "binary" and "ternary", as many as it has bits for "bitwise".
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor

from ..checks import choice, flag, integer, is_integer, number
from ..errors import ShapeError, require
from ..sequence import NoState
from .base import NEURONS, Neuron, NeuronOps
from .counts import CountCode, collapse_counts, expand_counts, round_counts

__all__ = ["CountSpike"]


@NEURONS.register("count_spike")
class CountSpike(Neuron):
    """Signed counts of a unit per token.

    Args:
        k: counts that the mean magnitude of a token amounts to, > 0.
        mode: how a count is sent, "binary" (no negative counts: what is below 0 is cut off), "ternary" or
            "bitwise". The last two differ in the number of events and steps, not in the values.
        n_max: largest magnitude of a count, in 1..255; the cost of a count sent by ones grows with it. None:
            no bound, as published.
        unit: a fixed V > 0 for the whole layer, in place of that of each token.
        dim: axis of the features of a token, counted as in a step: 1, the channels of ``[B, C, ...]``, or -1
            for tokens ``[B, N, C]``. It cannot be the batch axis, 0.
        twos_complement: with "bitwise", negative counts in two's complement, one step more, in place of a
            sign for each event.

    Equation:
        ``V = mean(abs(x)) / k; n = clip(round(x/V), -n_max, n_max); out = n V``
    Shape:
        ``x [T, B, *]`` float -> counts times V, same shape and dtype.
    State:
        none.
    Raises:
        ConfigError: a value out of range. ShapeError: no such axis.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        SpikingBrain, arXiv 2509.05276; its public code has no training gradient and no bound:
        the straight-through gradient, ``n_max`` and ``unit`` are ours, and so is ``dim`` (there always the
        last axis). With a V per token ``spike_levels`` is None: a linear layer behind it adds integers but
        multiplies each sum by V, while its energy is counted as of real inputs; a fixed ``unit`` with
        ``n_max`` makes it one of additions.
    """

    State = NoState

    def __init__(
        self,
        k: float = 3.0,
        *,
        mode: Literal["binary", "ternary", "bitwise"] = "ternary",
        n_max: int | None = None,
        unit: float | None = None,
        dim: int = 1,
        twos_complement: bool = False,
    ) -> None:
        super().__init__()
        self.k = number("CountSpike.k", k, above=0)
        self.mode = choice("CountSpike.mode", mode, ("binary", "ternary", "bitwise"))
        self.n_max = None if n_max is None else integer("CountSpike.n_max", n_max, 1, 255)
        self.unit = None if unit is None else number("CountSpike.unit", unit, above=0)
        require(is_integer(dim) and dim != 0, "CountSpike.dim", dim, "an axis of [B, C, ...] other than 0")
        self.dim = int(dim)
        self.twos_complement = flag("CountSpike.twos_complement", twos_complement)
        require(
            mode == "bitwise" or not twos_complement,
            "CountSpike.twos_complement",
            twos_complement,
            'False unless mode="bitwise"',
        )
        self.signed = mode != "binary"
        self.spike_levels = None if unit is None else self.n_max
        self.spike_unit = 1.0 if self.unit is None else self.unit

    @property
    def code(self) -> CountCode:
        """How counts are sent, for :func:`snnkit.neurons.expand_counts` and ``collapse_counts``."""
        if self.mode == "bitwise":
            return "twos_complement" if self.twos_complement else "bitwise"
        return "unary" if self.mode == "binary" else "ternary"

    def initial_state(self, x: Tensor) -> NoState:
        """Empty."""
        dim = self.dim + x.ndim if self.dim < 0 else self.dim
        if self.unit is None and not 0 < dim < x.ndim:
            raise ShapeError(
                f"CountSpike(dim={self.dim}): got a step of shape {tuple(x.shape)}, expected one with the "
                "features of a token on that axis, which is not the batch axis 0."
            )
        return NoState()

    def counts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Counts ``[B, *]`` of a step ``x [B, *]`` and the unit V, one per token (``dim`` has size 1)."""
        if self.unit is None:
            # along a contiguous axis: elsewhere the order of the sum, and its last bit, depend on the batch
            mean = x.detach().abs().movedim(self.dim, -1).contiguous().mean(-1).unsqueeze(self.dim)
            unit = (mean / self.k).clamp(1e-5, 1e4)
        else:
            unit = x.new_full((1,) * x.ndim, self.unit)
        high = math.inf if self.n_max is None else self.n_max
        return round_counts(x / unit, -high if self.signed else 0, high), unit

    def expand(self, counts: Tensor, levels: int | None = None) -> Tensor:
        """Counts ``[T, B, *]`` as events ``[T*S, B, *]``; ``levels`` is needed without ``n_max``.

        Raises:
            ConfigError: neither is given, or a count is larger.
        """
        return expand_counts(counts, self._levels(levels), self.code)

    def collapse(self, frames: Tensor, levels: int | None = None) -> Tensor:
        """The counts ``[T, B, *]`` again, from what :meth:`expand` gave or a linear layer made of it."""
        return collapse_counts(frames, self._levels(levels), self.code)

    def _levels(self, levels: int | None) -> int:
        hint = "Without n_max, the largest count there is: int(counts.abs().max())."
        return integer("CountSpike.levels", self.n_max if levels is None else levels, 1, hint=hint)

    def step(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """One step of the equations above."""
        n, unit = self.counts(x)
        return n * unit, state

    def _scan(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        out, state = self.step(x.flatten(0, 1), state)  # steps are rows
        return out.reshape(x.shape), state

    def energy_ops(self) -> NeuronOps:
        """Per value: division by V and a comparison per bit of the count (8 without a bound).

        The mean takes another addition; its division, once per token, is not counted.
        """
        bits = float((self.n_max or 255).bit_length())
        return NeuronOps(mul=1.0, add=float(self.unit is None), cmp=bits)

    def extra_repr(self) -> str:
        """Every setting."""
        unit = "None" if self.unit is None else f"{self.unit:g}"
        text = f"k={self.k:g}, mode={self.mode}, n_max={self.n_max}, unit={unit}, dim={self.dim}"
        return text + (", twos_complement=True" if self.twos_complement else "")
