r"""Hoyer spike: a threshold that follows the distribution of the potentials.

With the learned v > 0, H the step function, and sums over the whole tensor or over each channel::

    z = x / v
    c = clip(z, 0, 1)                      no gradient
    E = sum c^2 / sum c                    Hoyer extremum, <= 1; E = 1 where sum c = 0
    s = H(z - E)                           >= fires
    E_run <- 0.1 E + 0.9 E_run             at every batch in training; the first batch: E_run = E

Evaluation takes E_run for E. Backward: ``ds/dz = 1/2`` where ``0 < z <= 2``, else 0.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, integer, number
from ..errors import ShapeError, require
from ..sequence import NoState
from .base import NEURONS, Neuron, NeuronOps

__all__ = ["HoyerSpike"]


class _HoyerFire(torch.autograd.Function):
    """``H(z - E)``; the window of the gradient lies around 1 whatever E is."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, extremum: Tensor) -> Tensor:
        return (z >= extremum).to(z.dtype)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        z, _ = inputs
        ctx.save_for_backward((z > 0) & (z <= 2))

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        (inside,) = ctx.saved_tensors
        return 0.5 * grad * inside, None


@NEURONS.register("hoyer")
class HoyerSpike(Neuron):
    """Neuron without memory that fires above the Hoyer extremum of its batch.

    Args:
        threshold: v at first, > 0. Learned, as ``threshold = softplus(threshold_raw)``.
        scope: one extremum for the "tensor", or one for each "channel".
        channels: size of axis 2 of ``[T, B, C, ...]``; needed by, and only for, scope "channel".
        momentum: weight of a batch in E_run, in (0, 1].

    Attributes:
        extremum: buffer E_run, scalar or ``[C]``; 1 before the first batch, an ordinary threshold neuron.
        initialised: buffer, whether a batch in training has set ``extremum``. Both are in the state_dict.

    Equation:
        ``z = x/v; c = clip(z, 0, 1); s = z >= sum c^2 / sum c``
    Shape:
        ``x [T, B, *]`` float -> spikes in {0, 1}, same shape and dtype. E is taken over T, B and the
        remaining axes together; the paper has T = 1.
    State:
        none. As behind a batch norm, in training the output depends on the whole batch: it is causal (and
        its rows are independent) in evaluation only, and only there it streams.
    Raises:
        ConfigError: a value out of range, channels without scope "channel" or the reverse.
        ShapeError: axis 2 of the input is not ``channels``.
        and those of :class:`snnkit.neurons.Neuron`.
    Reference:
        Datta et al. 2022, arXiv 2212.10170; its public code has |v| for a positive v, lets
        E_run start at 0 (biased low for about 20 batches, and everything fires if evaluated before) and
        gives NaN for a silent tensor. :func:`snnkit.losses.hoyer_regularizer` is the other half of the
        method; NaN in a batch passes into E_run.
    """

    State = NoState
    batch_statistics = True
    buffer_names = ("extremum", "initialised")
    extremum: Tensor
    initialised: Tensor

    def __init__(
        self,
        threshold: float = 1.0,
        *,
        scope: Literal["tensor", "channel"] = "tensor",
        channels: int | None = None,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        threshold = number("HoyerSpike.threshold", threshold, above=0)
        self.momentum = number("HoyerSpike.momentum", momentum, above=0, at_most=1)
        self.scope = choice("HoyerSpike.scope", scope, ("tensor", "channel"))
        if scope == "channel":
            integer("HoyerSpike.channels", channels, hint='In a model write channels="auto".')
        else:
            require(channels is None, "HoyerSpike.channels", channels, 'None with scope="tensor"')
        self.channels = channels
        self.threshold_raw = nn.Parameter(torch.tensor(threshold + math.log(-math.expm1(-threshold))))
        self.register_buffer("extremum", torch.ones(() if channels is None else (channels,)))
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))

    @property
    def threshold(self) -> Tensor:
        """v."""
        return F.softplus(self.threshold_raw)

    @property
    def causal(self) -> bool:  # type: ignore[override]
        """Whether later steps and other rows are without influence: in evaluation."""
        return not self.training

    def initial_state(self, x: Tensor) -> NoState:
        """Empty."""
        if self.channels is not None and (x.ndim < 2 or x.shape[1] != self.channels):
            raise ShapeError(
                f"HoyerSpike(channels={self.channels}): got a step of shape {tuple(x.shape)}, expected "
                f"[B, {self.channels}, ...]. The channel axis is axis 2 of [T, B, C, ...]."
            )
        return NoState()

    def clipped(self, x: Tensor) -> Tensor:
        """``clip(x / v, 0, 1)`` with its gradient, for :func:`snnkit.losses.hoyer_regularizer`."""
        return (x / self.threshold.to(x.dtype)).clamp(0, 1)

    def step(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        """One step; in training with the extremum of this step, and without an update of E_run."""
        out, _ = self._fire(x.unsqueeze(0))
        return out.squeeze(0), state

    def _scan(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        out, extremum = self._fire(x)
        if self.training and x.numel():
            with torch.no_grad():
                first = torch.where(self.initialised, self.extremum, extremum.to(self.extremum.dtype))
                self.extremum.copy_(first.lerp(extremum.to(first.dtype), self.momentum))
                self.initialised.fill_(True)
        return out, state

    def _fire(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = x / self.threshold.to(x.dtype)
        per_channel = (-1, *[1] * (x.ndim - 3))
        if self.training:
            c = z.detach().clamp(0, 1)
            axes = [a for a in range(x.ndim) if self.scope == "tensor" or a != 2]
            total = c.sum(axes)
            silent = total == 0
            extremum = torch.where(silent, 1.0, c.square().sum(axes) / total.masked_fill(silent, 1.0))
        else:
            extremum = self.extremum.to(x.dtype)
        level = extremum if self.scope == "tensor" else extremum.view(per_channel)
        return _HoyerFire.apply(z, level), extremum

    def energy_ops(self) -> NeuronOps:
        """A comparison with ``v E_run``, known before the inference; no state."""
        return NeuronOps(cmp=1.0)

    def extra_repr(self) -> str:
        """Every setting."""
        now = "?" if self.threshold_raw.is_meta else f"{float(self.threshold.detach()):g}"
        channels = "" if self.channels is None else f", channels={self.channels}"
        return f"threshold={now}, scope={self.scope}{channels}, momentum={self.momentum:g}"
