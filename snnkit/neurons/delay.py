r"""Linear layer whose connections have learnable delays.

With weights W, delays d in steps, S synapses between a pair, and x = 0 before the start::

    z[t, o] = bias[o] + sum_i sum_s W[o, i, s] sum_k h(k; d[o, i, s], sigma) x[t-k, i]

At inference the profile h is one tap: ``z[t, o] = bias[o] + sum_i sum_s W[o, i, s] x[t - round(d), i]``.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import choice, flag, integer
from ..errors import StreamError, require
from ..kernels import (
    DELAY_BACKENDS,
    DelayBackend,
    Interpolation,
    delay_dense,
    delayed_linear,
)
from ..sequence import (
    check_state,
    in_session,
    in_transform,
    per_step,
    state_dtype,
)
from .delayed import Delayed

__all__ = ["DelayKind", "DelayLinear", "DelayState"]

DelayKind = Literal["axonal", "dendritic", "synaptic", "separable"]
KINDS: tuple[DelayKind, ...] = ("axonal", "dendritic", "synaptic", "separable")


class DelayState(NamedTuple):
    """What is under way: ``inputs [B, Da, in]`` of the last steps, oldest first, waiting in axons;
    ``pending [B, Dd, out]``: with delays per synapse the sums that are due in 1, 2, ... steps, with delays
    of dendrites the last results, oldest first.
    """

    inputs: Tensor
    pending: Tensor


class WholeDelays(NamedTuple):
    """A layer as the energy estimator reads it: ``delays`` add up, each broadcastable to the weight."""

    weight: Tensor
    delays: tuple[Tensor, ...]
    max_delay: int
    bias: bool


class DelayLinear(Delayed):
    """Linear layer with a delay on every axon, dendrite or synapse.

    Args:
        in_features, out_features: numbers of inputs and outputs.
        max_delay: largest delay D in steps, >= 0.
        kind: "axonal" one delay per input (start here: less than 2x the cost of no delays, and published
            accuracy is no lower); "dendritic" one per output; "synaptic" one per connection; "separable" the
            sum of one per input, up to ceil(D/2), and one per output, up to floor(D/2).
        synapses: S, connections between a pair, each with a weight and a delay; more than 1 only if synaptic.
        interp: "ste" whole delays forward, Gaussian gradient; "gauss" Gaussian in training, as DCLS;
            "triangle" linear interpolation in training; "fixed" random delays that are not learned.
            Evaluation always rounds, see :func:`fractional_delays`.
        sigma: width of the profile at the start, in steps; default D/2 (triangle: 1). A wide profile sees
            far: :class:`SigmaSchedule` narrows it during training.
        bias: add a learned constant.
        pad: "causal" keeps T; "extend" goes on for floor(D/2) steps on zero input, as the published code.
        backend: of synaptic delays in training: "conv", "fft", "loop", "events" (equal up to rounding) or
            "auto"; see :mod:`snnkit.kernels.delay_dense`.

    Attributes:
        weight: ``[out, in, S]`` if synaptic, else ``[out, in]``.
        delay: in steps; ``[out, in, S]``, ``[in]`` or ``[out]``. separable: ``delay [in]`` and
            ``delay_out [out]``.

    Shape:
        ``x [T, B, in]`` -> ``[T, B, out]`` in its dtype; T + floor(D/2) steps with ``pad="extend"``.
    State:
        see :class:`DelayState`; at least float32. Chunks give the bits of one call in evaluation.
    Raises:
        ConfigError: a value out of range, several synapses unless synaptic.
        ShapeError: another number of inputs. NumericsError: NaN or Inf among the delays (checked on the CPU).
        StreamError: a state together with delays between two steps, or with ``pad="extend"``.
    Reference:
        Hassani et al. 2023, arXiv 2306.17670 (learned delays by DCLS: "gauss", its initial weights
        U(+-sqrt(6/(in S))) and delays U(0, D)); axonal and dendritic: arXiv 2602.09746. "ste" and
        "separable" are our own.

    Example:
        >>> layer = snnkit.neurons.DelayLinear(8, 4, max_delay=10)
        >>> layer(torch.rand(20, 2, 8)).shape
        torch.Size([20, 2, 4])
    """

    State = DelayState
    delay: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        max_delay: int,
        *,
        kind: DelayKind = "axonal",
        synapses: int = 1,
        interp: Interpolation = "ste",
        sigma: float | None = None,
        bias: bool = False,
        pad: Literal["causal", "extend"] = "causal",
        backend: DelayBackend = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(max_delay, interp, sigma)
        self.in_features = integer("DelayLinear.in_features", in_features)
        self.out_features = integer("DelayLinear.out_features", out_features)
        self.kind = choice("DelayLinear.kind", kind, KINDS)
        self.synapses = integer("DelayLinear.synapses", synapses)
        one = '1 unless kind="synaptic"'
        require(synapses == 1 or kind == "synaptic", "DelayLinear.synapses", synapses, one)
        self.pad = choice("DelayLinear.pad", pad, ("causal", "extend"))
        self.backend: DelayBackend = backend
        choice("DelayLinear.backend", backend, DELAY_BACKENDS)
        self.causal = pad == "causal"
        if kind == "synaptic":
            shape: tuple[int, ...] = (out_features, in_features, synapses)
            self._add_delay("delay", shape, max_delay)
        else:
            shape = (out_features, in_features)
            on_axon = {"axonal": max_delay, "dendritic": 0, "separable": max_delay - max_delay // 2}[kind]
            if kind != "dendritic":
                self._add_delay("delay", (in_features,), on_axon)
            if kind != "axonal":
                name = "delay" if kind == "dendritic" else "delay_out"
                self._add_delay(name, (out_features,), max_delay - on_axon)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(out_features)) if flag("DelayLinear.bias", bias) else None
        self.reset_parameters()
        self.to(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw weights and delays."""
        bound = math.sqrt(6 / (self.in_features * self.synapses))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound)
            if self.bias is not None:
                self.bias.zero_()
        self.reset_delays()

    @property
    def _axon(self) -> tuple[str, int] | None:
        """Name and limit of the delays of inputs."""
        return None if self.kind in ("dendritic", "synaptic") else ("delay", self._limits["delay"])

    @property
    def _dendrite(self) -> tuple[str, int] | None:
        """Name and limit of the delays of outputs."""
        name = "delay" if self.kind == "dendritic" else "delay_out"
        return (name, self._limits[name]) if self.kind in ("dendritic", "separable") else None

    def initial_state(self, x: Tensor) -> DelayState:
        """Nothing is under way; for one step of input ``x [B, in]``."""
        on_axon = self._axon[1] if self._axon else 0
        return DelayState(
            x.new_zeros(x.shape[0], on_axon, self.in_features),
            x.new_zeros(x.shape[0], self.max_delay - on_axon, self.out_features),
        )

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self._call(self.run if in_session() else self._from_rest, x)

    def run(self, x: Tensor, state: DelayState | None = None) -> tuple[Tensor, DelayState]:
        """``x [T, B, in]`` from ``state`` (None: nothing under way); the output, and what is under way then.

        T = 0 returns an empty output and the state unchanged.
        """
        return self._run(x, state, tail=True)

    def _from_rest(self, x: Tensor, state: DelayState | None = None) -> tuple[Tensor, DelayState]:
        """As ``run`` without a state, but nobody needs what is under way at the end."""
        return self._run(x, state, tail=False)

    def _run(self, x: Tensor, state: DelayState | None, *, tail: bool) -> tuple[Tensor, DelayState]:
        x = self._checked(x, self.in_features, "[T, B, in]")
        dtype = x.dtype
        x = x.to(state_dtype(dtype))
        if state is not None:
            self._check_streams()
            check_state(state, self.initial_state(x[:1].sum(0)), type(self).__name__)
        elif self.pad == "extend":
            x = F.pad(x, (0, 0, 0, 0, 0, self.max_delay // 2))
        state = self.initial_state(x.new_empty(x.shape[1:])) if state is None else state
        out, state = self._synaptic(x, state, tail) if self.kind == "synaptic" else self._cheap(x, state)
        if self.bias is not None:
            out = out + self.bias.to(out.dtype)
        return out.to(dtype), state

    def _check_streams(self) -> None:
        if not self.causal:
            raise StreamError('DelayLinear(pad="extend") takes whole sequences. Use pad="causal" to stream.')
        self._check_rounded()

    def _cheap(self, x: Tensor, state: DelayState) -> tuple[Tensor, DelayState]:
        """Delays of axons, a plain linear layer, delays of dendrites."""
        x, inputs = self._through(self._axon, x, state.inputs)
        weight = self.weight.to(x.dtype)
        z = per_step(lambda rows: F.linear(rows, weight), x, training=self.training)
        z, pending = self._through(self._dendrite, z, state.pending)
        return z, DelayState(inputs, pending)

    def _through(self, path: tuple[str, int] | None, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """A delay per channel, after ``past [B, D, C]``; returns the output and the new past."""
        if path is None:
            return x, past
        name, limit = path
        seen = torch.cat([past.transpose(0, 1).to(x.dtype), x])
        out = self._delay_channels(seen, name, limit)
        return out, seen[x.shape[0] :].transpose(0, 1).to(past.dtype)

    def _synaptic(self, x: Tensor, state: DelayState, tail: bool) -> tuple[Tensor, DelayState]:
        weight, steps = self.weight.to(x.dtype), x.shape[0]
        if self.max_delay == 0:
            now = self._profile("delay", weight)[..., 0]
            return per_step(lambda rows: F.linear(rows, now), x, training=self.training), state
        if self.rounded and not (self.training or torch.compiler.is_compiling() or in_transform()):
            out, pending = delayed_linear(x, weight, self.lags(), state.pending.transpose(0, 1))
            return out, DelayState(state.inputs, pending.transpose(0, 1))
        kernel = self._profile("delay", weight)
        out = delay_dense(x, kernel, self.backend, tail=tail)
        if not tail:
            return out, state
        earlier = F.pad(state.pending.transpose(0, 1), (0, 0, 0, 0, 0, steps))
        out = out + earlier
        return out[:steps], DelayState(state.inputs, out[steps:].transpose(0, 1).to(state.pending.dtype))

    def kernel(self, rounded: bool | None = None) -> Tensor:
        """The layer as a kernel over lags ``[out, in, D + 1]``, lag 0 first.

        Args:
            rounded: with whole delays, or with the profile of training; None: as a call now.
        """
        learns = None if rounded is None else not flag("DelayLinear.kernel.rounded", rounded)
        if self.kind == "synaptic":
            return self._profile("delay", self.weight, learns=learns)
        kernel = self.weight.unsqueeze(-1)
        if self._axon is not None:
            kernel = kernel * self._channel_profile(self._axon[0], self.weight, learns=learns)
        if self._dendrite is None:
            return kernel
        late = self._channel_profile(self._dendrite[0], self.weight, learns=learns).unsqueeze(1)
        rest = self.max_delay + 1 - kernel.shape[-1]
        shifted = (F.pad(kernel, (k, rest - k)) * late[..., k : k + 1] for k in range(rest + 1))
        return reduce(torch.add, shifted)  # the two kernels convolved along the lags

    def energy_delays(self) -> WholeDelays:
        """Weights and whole delays, from which :mod:`snnkit.energy` counts operations and memory."""
        parts: list[Tensor] = [self.lags()] if self.kind == "synaptic" else []
        if self._axon is not None:
            parts.append(self.lags(self._axon[0]).unsqueeze(0))
        if self._dendrite is not None:
            parts.append(self.lags(self._dendrite[0]).unsqueeze(1))
        return WholeDelays(self.weight, tuple(parts), self.max_delay, self.bias is not None)

    def extra_repr(self) -> str:
        """Every setting."""
        more = f", synapses={self.synapses}" if self.synapses > 1 else ""
        more += ", bias=True" if self.bias is not None else ""
        more += f', pad="{self.pad}"' if self.pad != "causal" else ""
        more += f', backend="{self.backend}"' if self.backend != "auto" else ""
        return f'{self.in_features}, {self.out_features}, {self._delay_repr()}, kind="{self.kind}"{more}'
