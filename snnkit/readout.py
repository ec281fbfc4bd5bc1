"""Read-outs: from values over time ``[T, B, K]`` to one score per class ``[B, K]``.

Every read-out is causal and remembers what it needs, so that inside ``snnkit.stream(net)`` each chunk
returns the decision over everything seen so far; after the last chunk it equals one call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .checks import integer
from .errors import require
from .registry import Registry
from .sequence import NoState, Stateful, as_sequence, check_state

__all__ = ["READOUTS", "First", "Last", "Max", "Mean", "Readout", "Steps", "Sum", "Votes"]

READOUTS: Registry = Registry("read-out")


class Readout(Stateful):
    """Base: ``x [T, B, K] -> [B, K]``. What T = 0 without a state answers is said by each read-out."""

    State: type
    group: int = 1  # output neurons per class

    def initial_state(self, x: Tensor) -> Any:
        """State before the first step, for one step ``x [B, K]``."""
        raise TypeError(f"{type(self).__name__} must implement initial_state(x)")

    def update(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Take in ``x [T, B, K]``, T >= 0; return the present answer and the new state."""
        raise TypeError(f"{type(self).__name__} must implement update(x, state)")

    def run(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Process ``x [T, B, K]`` from ``state`` (None: initial)."""
        x = as_sequence(x, type(self).__name__, min_ndim=3)
        like = self.initial_state(x.new_empty(x.shape[1:]))
        if state is None:
            state = like
        else:
            check_state(state, like, type(self).__name__)
        out, state = self.update(x, state)
        return out.to(x.dtype), state


class SumState(NamedTuple):
    """Running sum ``[B, K]`` in float64 and number of steps ``[]``."""

    total: Tensor
    steps: Tensor


@READOUTS.register("sum")
class Sum(Readout):
    """Sum over time: spike counts if x are spikes.

    Accumulated in float64 from left to right (``cumsum`` on CPU is sequential), so that chunks and
    one call agree bit for bit.
    """

    State = SumState

    def initial_state(self, x: Tensor) -> SumState:
        wide = torch.float32 if x.device.type == "mps" else torch.float64  # mps has no float64
        return SumState(x.new_zeros(x.shape, dtype=wide), x.new_zeros((), dtype=torch.int64))

    def update(self, x: Tensor, state: SumState) -> tuple[Tensor, SumState]:
        total = torch.cat([state.total.unsqueeze(0), x.to(state.total.dtype)]).cumsum(0)[-1]
        return total, SumState(total, state.steps + x.shape[0])


@READOUTS.register("mean")
class Mean(Sum):
    """Mean over time; NaN before the first step."""

    def update(self, x: Tensor, state: SumState) -> tuple[Tensor, SumState]:
        total, state = super().update(x, state)
        return total / state.steps, state


class ValueState(NamedTuple):
    """``value [B, K]``."""

    value: Tensor


@READOUTS.register("max")
class Max(Readout):
    """Largest value over time; -inf before the first step."""

    State = ValueState

    def initial_state(self, x: Tensor) -> ValueState:
        return ValueState(torch.full_like(x, -torch.inf))

    def update(self, x: Tensor, state: ValueState) -> tuple[Tensor, ValueState]:
        value = torch.cat([state.value.unsqueeze(0), x]).amax(0)
        return value, ValueState(value)


@READOUTS.register("last")
class Last(Readout):
    """Value of the last step; 0 before the first."""

    State = ValueState

    def initial_state(self, x: Tensor) -> ValueState:
        return ValueState(torch.zeros_like(x))

    def update(self, x: Tensor, state: ValueState) -> tuple[Tensor, ValueState]:
        value = x[-1] if x.shape[0] else state.value
        return value, ValueState(value)


class FirstState(NamedTuple):
    """``time [B, K]`` of the first spike (inf: none yet) and ``steps []`` seen."""

    time: Tensor
    steps: Tensor


@READOUTS.register("first_spike")
class First(Readout):
    """Time to first spike: the score is ``-t`` of the first step with x > 0, or ``-T`` without a spike.

    Not differentiable in t; for training use the mean.
    """

    State = FirstState

    def initial_state(self, x: Tensor) -> FirstState:
        return FirstState(torch.full_like(x, torch.inf), x.new_zeros((), dtype=torch.int64))

    def update(self, x: Tensor, state: FirstState) -> tuple[Tensor, FirstState]:
        t = torch.arange(x.shape[0], device=x.device) + state.steps
        times = torch.where(x > 0, t.view(-1, *[1] * (x.ndim - 1)).to(x.dtype), torch.inf)
        time = torch.cat([state.time.unsqueeze(0), times]).amin(0)
        steps = state.steps + x.shape[0]
        return -torch.minimum(time, steps.to(x.dtype)), FirstState(time, steps)


@READOUTS.register("per_step")
class Steps(Readout):
    """No reduction: ``[T, B, K]`` stays, for losses on every step."""

    State = NoState

    def initial_state(self, x: Tensor) -> NoState:
        return NoState()

    def update(self, x: Tensor, state: NoState) -> tuple[Tensor, NoState]:
        return x, state


@READOUTS.register("votes")
class Votes(Mean):
    """Mean over time and over groups of ``group`` output neurons: ``[T, B, K*group] -> [B, K]``."""

    def __init__(self, group: int = 10) -> None:
        super().__init__()
        self.group = integer("Votes.group", group)

    def update(self, x: Tensor, state: SumState) -> tuple[Tensor, SumState]:
        require(
            x.shape[-1] % self.group == 0, "Votes", tuple(x.shape), f"a last axis divisible by {self.group}"
        )
        mean, state = super().update(x, state)
        return mean.unflatten(-1, (-1, self.group)).mean(-1), state
