"""Integer LIF over a whole sequence, by the C library, Triton or the step loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from . import native
from ._family import Family
from ._triton_family import Described

__all__ = ["counts"]

_FAMILY, _DECAY, _THRESHOLD, _LEVELS = 1, 0, 4, 2  # of csrc/native.c and csrc/counts.inc


def counts(
    x: Tensor,
    state: Sequence[Tensor],
    decay: float,
    threshold: float,
    levels: int,
    detach: bool,
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
) -> tuple[Tensor, Sequence[Tensor]]:
    """Counts ``[T, *]`` and final state for ``x [T, *]``, as ``snnkit.neurons.ILIF``.

    Args:
        state: ``(v [*],)``.
        decay: factor of the membrane per step. threshold, levels, detach: as the neuron's.
        step: the pure step ``(x_t, state) -> (n_t, state)``, for the reference backend.

    Raises:
        BackendError: a backend was chosen explicitly and cannot run this.
    """
    return _counts.run(x, state, (), (decay, threshold, float(levels)), (int(detach),), step)


def _job(numbers: Sequence[float], kinds: Sequence[int]) -> native.Job:
    job = native.Job(family=_FAMILY, detach=kinds[0])
    job.param[_DECAY].value, job.param[_THRESHOLD].value, job.scalar[_LEVELS] = numbers
    return job


def _triton(numbers: Sequence[float], kinds: Sequence[int]) -> Described:
    return Described(_FAMILY, numbers, detach=bool(kinds[0]))


_counts = Family("counts", "integer LIF", states=1, learned=0, job=_job, triton=_triton)
