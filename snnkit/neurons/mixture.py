r"""Mixture of neurons: several membranes on one input, weighed at every place by a gate.

With the members e = 1..E, of any neuron with a potential v and a threshold theta, and m the mean over time of
the input, place by place::

    u_e[t] = v_e[t] + theta_e s_e[t]              the potential; the threshold where the member fired
    g      = softmax_e(W m + b)                   W [E, C] acts on channels
    s[t]   = 1 where sum_e g_e u_e[t] >= threshold
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import integer, number
from ..errors import StreamError, require
from ..sequence import NoState
from ..surrogate import Surrogate, as_surrogate, spike
from .base import NEURONS, Neuron, NeuronOps, per_channel

__all__ = ["MixtureNeuron"]

_MEMBERS: tuple[str | Mapping[str, Any], ...] = ("lif", "klif", {"name": "lif", "learn_tau": True}, "if")


@NEURONS.register("mixture")
class MixtureNeuron(Neuron):
    """Members side by side; a gate on the mean over time decides how much each counts.

    Args:
        channels: C, axis 2 of ``[T, B, C, ...]``, on which the gate acts.
        neurons: members, at least two: registered names, or dicts of ``name`` and arguments. Binary spikes, a
            scalar threshold and a state ``v``.
        top: only so many members with the largest gates count, at least two; None: all.
        threshold: of the mixture. surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Attributes:
        weight: ``[E, C]``, uniform in +-1/sqrt(C) at first. bias: ``[E]``, zeros at first.

    Equation:
        ``u_e = v_e + theta_e s_e; s = sum_e g_e u_e >= threshold; g = softmax_e(W mean_t x + b)``
    Shape:
        ``x [T, B, C, *]`` float, any T -> spikes in {0, 1}, same shape and dtype.
    State:
        none, and no single ``step``: the gate sees all steps, so ``snnkit.stream`` refuses it.
    Raises:
        ConfigError: a value out of range, an unfit member. UnknownNameError: no such neuron.
        ShapeError: axis 2 of the input is not ``channels``. StreamError: ``step`` was called.
    Reference:
        HD-IF of Spiking Point Transformer, arXiv 2502.15811; there the gate reads the features of all steps,
        which ties T to the weights, one member is an exponential IF (here KLIF), and training mixes all four,
        evaluation the best two (here both the same).
    """

    State = NoState
    causal = False
    covers_products = True

    def __init__(
        self,
        channels: int,
        *,
        neurons: Sequence[str | Mapping[str, Any]] = _MEMBERS,
        top: int | None = None,
        threshold: float = 0.2,
        surrogate: str | Surrogate = "sigmoid",
    ) -> None:
        super().__init__()
        self._set_channels(channels)
        require(len(neurons) > 1, "MixtureNeuron.neurons", neurons, "at least two members")
        self.neurons = nn.ModuleList(_member(one) for one in neurons)
        self.top = len(neurons) if top is None else integer("MixtureNeuron.top", top, 2, len(neurons))
        self.threshold = number("MixtureNeuron.threshold", threshold, above=0)
        self.surrogate = as_surrogate(surrogate)
        bound = 1 / math.sqrt(channels)
        self.weight = nn.Parameter(torch.empty(len(neurons), channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(len(neurons)))

    def initial_state(self, x: Tensor) -> NoState:
        """Empty."""
        self._check_channels(x)
        return NoState()

    def step(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """There is none: raises StreamError."""
        raise StreamError("MixtureNeuron: the gate needs all steps at once. Call neuron(x [T, B, C, ...]).")

    def _scan(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        if not len(x):
            return x, state
        # states are at least float32 under autocast too; the meta device has no autocast to switch off
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            gates = self.gates(x)
            traces = (_trace(member, x) for member in self.neurons)
            mixed = sum(gate * trace for gate, trace in zip(gates, traces, strict=True))
        return spike(mixed - self.threshold, self.surrogate), state

    def gates(self, x: Tensor) -> Tensor:
        """Weights of the members ``[E, B, 1, *]`` for ``x [T, B, C, *]``; they sum to 1."""
        mean = x.mean(0).contiguous()
        scores = torch.stack(
            [
                (mean * per_channel(w, mean)).sum(1, keepdim=True) + b
                for w, b in zip(self.weight, self.bias.to(x.dtype), strict=True)
            ]
        )
        if self.top < len(scores):
            others = scores.topk(len(scores) - self.top, dim=0, largest=False).indices
            scores = scores.scatter(0, others, -math.inf)
        return scores.softmax(0)

    def energy_ops(self) -> NeuronOps:
        """Members; E products and sums each for gate and mixture; the mean; the input, held until then."""
        ops = [member.energy_ops() for member in self.neurons]  # type: ignore[operator]
        count = float(len(ops))
        return NeuronOps(
            mul=sum(o.mul for o in ops) + 2 * count,
            add=sum(o.add for o in ops) + 2 * count + 1.0,
            cmp=sum(o.cmp for o in ops) + 1.0,
            spike_add=sum(o.spike_add for o in ops),
            spike_write=sum(o.spike_write for o in ops),
            state_words=sum(o.state_words for o in ops) + 2.0,
        )

    def extra_repr(self) -> str:
        """Settings that the members do not show."""
        first = f"channels={self.channels}, top={self.top}, threshold={self.threshold:g}"
        return f"{first}, surrogate={self.surrogate}"


def _member(given: str | Mapping[str, Any]) -> Neuron:
    settings = {"name": given} if isinstance(given, str) else dict(given)
    name = settings.pop("name", "")
    neuron: Neuron = NEURONS.make(name, **settings)
    fields = getattr(neuron.State, "_fields", ())
    ok = neuron.causal and neuron.spike_levels == 1 and fields == ("v",)
    ok = ok and isinstance(getattr(neuron, "threshold", None), float)
    require(
        ok, "MixtureNeuron.neurons", name, "neurons with binary spikes, one threshold and a state v alone"
    )
    return neuron


def _trace(member: Any, x: Tensor) -> Tensor:
    """``v + theta s`` at every step."""
    state, found = member.initial_state(x[0]), []
    for now in x:
        s, state = member.step(now, state)
        found.append(state.v + member.threshold * s)
    return torch.stack(found)
