r"""Current-based leaky integrate-and-fire: a second-order neuron with a synaptic current.

::

    i[t] = alpha i[t-1] + x[t]
    h[t] = beta v[t-1] + i[t]
    s[t] = 1 where h[t] >= threshold
    v[t] = h[t] - s[t] threshold         soft reset; hard and none as in LIF

An input spike acts as an exponentially decaying current, so that the potential rises and falls
smoothly. With alpha = 0 this is ``LIF(beta=beta)``.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from ..kernels import synaptic
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps
from .membrane import Membrane, Reset

__all__ = ["SynapticLIF", "SynapticState"]


class SynapticState(NamedTuple):
    """``i [B, *]``: synaptic current; ``v [B, *]``: potential after the reset."""

    i: Tensor
    v: Tensor


@NEURONS.register("synaptic_lif")
class SynapticLIF(Membrane):
    """LIF neuron with a synaptic current (CUBA).

    Args:
        alpha: decay of the current per step, in [0, 1].
        beta: decay of the potential per step, in [0, 1].
        threshold: firing level, > 0, same unit as x.
        reset: "soft" by the threshold, "hard" to ``v_reset``, or "none". The current is never reset.
        v_reset: value after a hard reset; below the threshold.
        detach_reset: no gradient through the spike in the reset.
        fire_at_equal: ``h == threshold`` fires.
        learn_alpha: ``alpha = sigmoid(w)`` with a learned w.
        learn_beta: ``beta = sigmoid(w)`` with a learned w.
        channels: one learned value per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``i = alpha i + x; h = beta v + i; s = h >= threshold; v = h - s threshold``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype.
    State:
        ``i [B, *]`` and ``v [B, *]``, start at 0, at least float32.
    Raises:
        ConfigError: a value out of range, a flag that is not a bool.
        ShapeError: axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        spikingjelly 2.0 ``CUBALIFNode(c_decay=alpha, v_decay=beta)``; bit for bit; snntorch 1.0 ``Synaptic``
        with ``reset_delay=False`` and "zero" (hard, ``v_reset=0``) or with "none", both with
        ``fire_at_equal=False``. snntorch's delayed resets are other dynamics: "zero" also drops the input
        of the step after a spike, "subtract" takes the threshold one step later. A learned decay is
        sigmoid(w) here, a clamped value in snntorch.
    """

    State = SynapticState

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.75,
        *,
        threshold: float = 1.0,
        reset: Reset = "soft",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        learn_alpha: bool = False,
        learn_beta: bool = False,
        channels: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            threshold=threshold,
            reset=reset,
            v_reset=v_reset,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            channels=channels,
            surrogate=surrogate,
        )
        self._decay("alpha", alpha, learn_alpha)
        self._decay("beta", beta, learn_beta)

    @property
    def alpha(self) -> float | Tensor:
        """Decay of the current per step."""
        return self._value("alpha")

    @property
    def beta(self) -> float | Tensor:
        """Decay of the potential per step."""
        return self._value("beta")

    def initial_state(self, x: Tensor) -> SynapticState:
        """``i = v = 0``."""
        self._check_channels(x)
        zero = x.new_zeros(()).expand(x.shape)  # one value: no memory
        return SynapticState(zero, zero)

    def step(self, x: Tensor, state: SynapticState) -> tuple[Tensor, SynapticState]:
        """One step of the equations above."""
        i = self._operand("alpha", x) * state.i + x
        h = self._operand("beta", x) * state.v + i
        s = self._fire(h)
        return s, SynapticState(i, self._after(h, s))

    def _run(self, x: Tensor, state: SynapticState) -> tuple[Tensor, SynapticState]:
        s, last = synaptic(
            x,
            state,
            self._operand("alpha", state.i),
            self._operand("beta", state.i),
            self.step,
            threshold=self.threshold,
            reset=self._reset,
            v_reset=self.v_reset,
            detach=self.detach_reset,
            fire_at_equal=self.fire_at_equal,
            surrogate=self.surrogate,
        )
        return s, SynapticState(*last)

    def energy_ops(self) -> NeuronOps:
        """Two leak multiplications, two additions, one comparison."""
        return NeuronOps(mul=2.0, add=2.0, cmp=1.0, state_words=2.0, **self._reset_ops())

    def extra_repr(self) -> str:
        """Every setting."""
        return self._settings(alpha=self._alpha, beta=self._beta)
