"""Current-based LIF over a whole sequence, by the C library, Triton or the step loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ..surrogate import Surrogate
from . import native
from ._family import Family
from ._lif_op import formula
from ._triton_family import Described

__all__ = ["synaptic"]

_FAMILY, _THRESHOLD = 2, 4  # of csrc/native.c and csrc/lif.inc
_RESET = {"none": 0, "soft": 1, "hard": 2}


def synaptic(
    x: Tensor,
    state: Sequence[Tensor],
    alpha: float | Tensor,
    beta: float | Tensor,
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
    *,
    threshold: float,
    reset: str,
    v_reset: float,
    detach: bool,
    fire_at_equal: bool,
    surrogate: Surrogate,
) -> tuple[Tensor, Sequence[Tensor]]:
    """Spikes ``[T, *]`` and final state for ``x [T, *]``, as ``snnkit.neurons.SynapticLIF``.

    Args:
        state: ``(i [*], v [*])``.
        alpha, beta: numbers, or tensors that broadcast against ``[*]`` and then receive gradients.
        step: the pure step ``(x_t, state) -> (s_t, state)``, for the reference backend.
        threshold, ..., surrogate: as the neuron's.

    Raises:
        BackendError: a backend was chosen explicitly and cannot run this.
    """
    known = formula(surrogate)
    refused = None if known else f"it has no formula for the surrogate {surrogate!r}"
    kind, a, b = known or (0, 0.0, 0.0)
    numbers, kinds = (threshold, v_reset, a, b), (_RESET[reset], int(detach), int(fire_at_equal), kind)
    return _synaptic.run(x, state, (alpha, beta), numbers, kinds, step, refused)


def _job(numbers: Sequence[float], kinds: Sequence[int]) -> native.Job:
    threshold, v_reset, a, b = numbers
    reset, detach, at_equal, surrogate = kinds
    job = native.Job(family=_FAMILY, reset=reset, detach=detach, surrogate=surrogate)
    job.param[_THRESHOLD].value = threshold
    fire = np.float32(threshold)
    if not at_equal:  # h > threshold is h >= the next float
        fire = np.nextafter(fire, np.float32(np.inf))
    job.scalar[1:6] = [v_reset, a, b, float(fire), threshold]
    return job


def _triton(numbers: Sequence[float], kinds: Sequence[int]) -> Described:
    reset, detach, at_equal, surrogate = kinds
    return Described(_FAMILY, numbers, reset, bool(at_equal), bool(detach), surrogate)


_synaptic = Family("synaptic", "SynapticLIF", states=2, learned=2, job=_job, triton=_triton)
