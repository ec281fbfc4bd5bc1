"""The contract of every neuron: a pure ``step``, a thin module, declared levels and costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..checks import integer
from ..errors import ShapeError
from ..kernels import scan
from ..registry import Registry
from ..sequence import Stateful, as_sequence, check_finite, check_state, checks_numerics, state_dtype

__all__ = ["NEURONS", "Neuron", "NeuronOps", "per_channel"]

NEURONS: Registry = Registry("neuron")


@dataclass(frozen=True)
class NeuronOps:
    """Declared cost of a neuron at inference; the energy estimator reads only this.

    Attributes:
        mul, add, cmp: operations per neuron and time step, without the input accumulation.
        spike_add: additions per spike (soft reset). spike_write: state writes per spike (hard reset).
        state_words: words read and written per neuron and time step.
    """

    mul: float = 0.0
    add: float = 0.0
    cmp: float = 0.0
    spike_add: float = 0.0
    spike_write: float = 0.0
    state_words: float = 0.0


class Neuron(Stateful):
    """Base of all neurons.

    A subclass declares ``State`` (a NamedTuple of tensors), implements ``initial_state`` and the pure
    ``step`` as the paper's equation, and may override ``_scan`` or ``_run`` with a path that equals it.

    Attributes:
        spike_levels: 1 binary spikes, D integer counts 0..D, None a real-valued output.
        signed: outputs may be negative.
        spike_unit: size of one spike; outputs are integers times it, unless ``spike_levels`` is None.
        channels: size of axis 2 of ``[T, B, C, ...]`` where values differ by channel, else None.
        batch_statistics: in training the output depends on the whole batch, as behind a batch norm, and
            a call updates running values; in evaluation rows and steps are independent.
        exact: a call gives the bits of ``step``. If False, outputs may differ from it by rounding, 2e-6 at
            most; they are still the same bits for any split of a sequence.
        buffer_names: what the module holds besides parameters, saved with them: a schedule, running values.
        covers_products: ``energy_ops`` counts the products with weights of the neuron's own.

    Shape:
        ``x [T, B, *]`` -> output of the same shape and dtype; bool and integer input is cast to the
        default float type. States are at least float32, under autocast too.

    Raises:
        InputTypeError, DTypeError, ShapeError: see :func:`snnkit.sequence.as_sequence`.
        StateShapeError, DeviceError: the state does not fit the input.
    """

    State: type
    spike_levels: int | None = 1
    signed: bool = False
    spike_unit: float | Tensor = 1.0
    channels: int | None = None
    batch_statistics: bool = False
    exact: bool = True
    buffer_names: tuple[str, ...] = ()
    covers_products: bool = False
    _own_step: bool = False

    def initial_state(self, x: Tensor) -> Any:
        """The state before the first step, for one step of input ``x [B, *]``."""
        raise TypeError(f"{type(self).__name__} must implement initial_state(x)")

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One time step, pure: ``(x [B, *], state) -> (out [B, *], state)``. The oracle."""
        raise TypeError(f"{type(self).__name__} must implement step(x, state)")

    def energy_ops(self) -> NeuronOps:
        """Operations per neuron-step and per spike at inference."""
        raise TypeError(f"{type(self).__name__} must implement energy_ops()")

    def run(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Process ``x [T, B, *]`` from ``state`` (None: initial). Returns ``(out [T, B, *], state)``.

        T = 0 returns an empty output and the state unchanged.
        """
        where = type(self).__name__
        x = as_sequence(x, where)
        if checks_numerics():
            check_finite(x, where)
        dtype = state_dtype(x.dtype)
        like = self.initial_state(torch.empty(x.shape[1:], dtype=dtype, device=x.device))
        if state is None:
            state = like
        else:
            check_state(state, like, where)
        if self._own_step:
            out, state = scan(self.step, x.to(dtype), state)
            return out.to(x.dtype), state
        return self._run(x, state)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        home = {name: _definer(cls, name) for name in ("step", "_run", "_scan")}
        # a class derived from a neuron with a fast path may bring another step: then that path is not its own
        cls._own_step = home["step"] < min(home["_run"], home["_scan"])

    def _run(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """For kernels that take any dtype of ``x`` and give the output in it."""
        out, state = self._scan(x.to(state_dtype(x.dtype)), state)
        return out.to(x.dtype), state

    def _scan(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """For faster ways in the dtype of the state; ``x`` and the output have it too."""
        return scan(self.step, x, state)

    def _set_channels(self, channels: int | None) -> tuple[int, ...]:
        """Check and keep ``channels``; returns the shape of a value per channel, () for one per layer."""
        self.channels = None if channels is None else integer(f"{type(self).__name__}.channels", channels)
        return () if channels is None else (channels,)

    def _check_channels(self, x: Tensor) -> None:
        """Refuse a step ``x [B, C, ...]`` with another number of channels: broadcasting would hide it."""
        if self.channels is not None and (x.ndim < 2 or x.shape[1] != self.channels):
            raise ShapeError(
                f"{type(self).__name__}(channels={self.channels}): got a step of shape {tuple(x.shape)}, "
                f"expected [B, {self.channels}, ...]. The channel axis is axis 2 of [T, B, C, ...]."
            )


def _definer(cls: type, name: str) -> int:
    """How far up the base classes the method comes from."""
    return next(i for i, base in enumerate(cls.__mro__) if name in vars(base))


def per_channel(value: float | Tensor, like: Tensor) -> float | Tensor:
    """A number, a scalar or a value per channel ``[C]``, ready to combine with a step ``[B, C, ...]``."""
    if not isinstance(value, Tensor):
        return value
    value = value.to(like.dtype)
    return value if value.ndim == 0 else value.reshape(-1, *[1] * (like.ndim - 2))
