r"""Leaky integrate-and-fire with recurrent connections inside the layer.

::

    h[t] = beta v[t-1] + x[t] + W s[t-1] + bias
    s[t] = 1 where h[t] >= threshold
    v[t] = h[t] - s[t] threshold         soft reset; hard and none as in LIF

``W`` connects the channels of one position ("full"), every channel with itself ("diag"), or all
channels of a spatial neighbourhood ("conv"). The spikes arrive one step later.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, flag, integer
from ..errors import ShapeError, require
from ..surrogate import Surrogate
from .base import NEURONS, NeuronOps, per_channel
from .membrane import Membrane, Reset

__all__ = ["RecurrentLIF", "RecurrentState"]

GAIN = 0.5  # of the initial recurrence


class RecurrentState(NamedTuple):
    """``v [B, C, ...]``: potential after the reset; ``s [B, C, ...]``: spikes of the last step."""

    v: Tensor
    s: Tensor


@NEURONS.register("recurrent_lif")
class RecurrentLIF(Membrane):
    """LIF neuron that also receives the spikes which its own layer fired one step before.

    Args:
        channels: size of axis 2 of ``[T, B, C, ...]``; models fill it in.
        recurrence: "full" a matrix ``[C, C]`` applied at each position, "diag" one weight per channel,
            "conv" a kernel ``[C, C, k, k]`` over the image of ``[T, B, C, H, W]``, zero padded to the
            same size.
        beta: decay of the potential per step, in [0, 1].
        kernel_size: k of "conv", odd.
        self_connections: False removes the diagonal of "full": no neuron excites itself, and the
            diagonal has no gradient.
        bias: a learned constant current per channel.
        threshold: firing level, > 0, same unit as x.
        reset: "soft" by the threshold, "hard" to ``v_reset``, or "none".
        v_reset: value after a hard reset; below the threshold.
        detach_reset: no gradient through the spike in the reset; the one through ``W s`` remains.
        fire_at_equal: ``h == threshold`` fires.
        learn_beta: ``beta = sigmoid(w)`` with a learned w per channel.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Equation:
        ``h = beta v + x + W s + bias; s = h >= threshold; v = h - s threshold``
    Shape:
        ``x [T, B, C, *]`` float -> spikes in {0, 1}, same shape and dtype. As behind any linear layer, the
        last bit of the current ``W s`` may depend on the batch size (measured for ``[T, B, C]``, C >= 8).
    State:
        ``v`` and ``s`` ``[B, C, *]``, start at 0, at least float32.
    Raises:
        ConfigError: a value out of range, a flag that is not a bool.
        ShapeError: axis 2 of the input is not ``channels``; "conv" without an image.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        snntorch ``RLeaky`` and norse ``LIFRecurrent``; without their synaptic current. norse always removes
        the self-connections. The initial weights are our choice: orthogonal with gain 0.5 (of "diag": +0.5
        or -0.5 by chance), so that the recurrence neither silences nor saturates the layer.
    """

    State = RecurrentState

    def __init__(
        self,
        channels: int,
        *,
        recurrence: Literal["full", "diag", "conv"] = "full",
        beta: float = 0.5,
        kernel_size: int = 3,
        self_connections: bool = True,
        bias: bool = False,
        threshold: float = 1.0,
        reset: Reset = "soft",
        v_reset: float | None = None,
        detach_reset: bool = False,
        fire_at_equal: bool = True,
        learn_beta: bool = False,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        integer("RecurrentLIF.channels", channels)
        super().__init__(
            threshold=threshold,
            reset=reset,
            v_reset=v_reset,
            detach_reset=detach_reset,
            fire_at_equal=fire_at_equal,
            channels=channels,
            surrogate=surrogate,
        )
        kinds = {"full": (channels, channels), "diag": (channels,)}
        choice("RecurrentLIF.recurrence", recurrence, ("full", "diag", "conv"))
        odd = integer("RecurrentLIF.kernel_size", kernel_size) % 2 == 1
        require(odd, "RecurrentLIF.kernel_size", kernel_size, "an odd int")
        flag("RecurrentLIF.self_connections", self_connections)
        flag("RecurrentLIF.bias", bias)
        ok = self_connections or recurrence == "full"
        require(ok, "RecurrentLIF.self_connections", self_connections, 'True unless recurrence is "full"')
        self.recurrence, self.kernel_size = recurrence, kernel_size
        self.self_connections = self_connections
        self._decay("beta", beta, learn_beta)
        self.weight = nn.Parameter(
            torch.empty(kinds.get(recurrence, (channels, channels, kernel_size, kernel_size)))
        )
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial recurrence."""
        with torch.no_grad():
            if self.recurrence == "diag":
                self.weight.copy_(GAIN * (2 * torch.randint_like(self.weight, 2) - 1))
            else:
                nn.init.orthogonal_(self.weight, GAIN)
            if self.bias is not None:
                self.bias.zero_()

    @property
    def beta(self) -> float | Tensor:
        """Decay of the potential per step."""
        return self._value("beta")

    def initial_state(self, x: Tensor) -> RecurrentState:
        """``v = s = 0``."""
        self._check_channels(x)
        if self.recurrence == "conv" and x.ndim != 4:
            raise ShapeError(
                f'RecurrentLIF(recurrence="conv"): got a step of shape {tuple(x.shape)}, expected '
                f'[B, {self.channels}, H, W]. Without an image use recurrence="full".'
            )
        return RecurrentState(torch.zeros_like(x), torch.zeros_like(x))

    def _recurrent(self, s: Tensor) -> Tensor:
        """The current ``W s``, in the dtype of the state."""
        weight = self.weight.to(s.dtype)
        if self.recurrence == "diag":
            return per_channel(weight, s) * s
        # autocast would round the weights to bf16; the meta device has none to switch off
        with nullcontext() if s.device.type == "meta" else torch.autocast(s.device.type, enabled=False):
            if self.recurrence == "conv":
                return F.conv2d(s, weight, padding=self.kernel_size // 2)
            if not self.self_connections:
                weight = weight - weight.diagonal().diag()
            # contiguous: the order of summation must not depend on the memory layout of the input
            return F.linear(s.movedim(1, -1).contiguous(), weight).movedim(-1, 1)

    def step(self, x: Tensor, state: RecurrentState) -> tuple[Tensor, RecurrentState]:
        """One step of the equations above."""
        h = self._operand("beta", x) * state.v + x + self._recurrent(state.s)
        if self.bias is not None:
            h = h + per_channel(self.bias, x)
        s = self._fire(h)
        return s, RecurrentState(self._after(h, s), s)

    def energy_ops(self) -> NeuronOps:
        """A leak, the input, a comparison; "diag": an addition per spike.

        The spikes that "full" and "conv" send through their weights are synaptic operations, counted by the
        trace as those of any layer.
        """
        reset = self._reset_ops()
        reset["spike_add"] += float(self.recurrence == "diag")
        return NeuronOps(mul=1.0, add=1.0 + (self.bias is not None), cmp=1.0, state_words=2.0, **reset)

    def extra_repr(self) -> str:
        """Every setting."""
        kernel = {"kernel_size": self.kernel_size} if self.recurrence == "conv" else {}
        own = {} if self.self_connections else {"self_connections": False}
        bias = {"bias": True} if self.bias is not None else {}
        return self._settings(recurrence=self.recurrence, **kernel, **own, **bias, beta=self._beta)
