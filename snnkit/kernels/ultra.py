"""UltraLIF with a soft output over a whole sequence, by the C library, Triton or the step loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from . import native
from ._family import Family
from ._triton_family import Described

__all__ = ["ultra"]

_FAMILY = 3  # of csrc/native.c


def ultra(
    x: Tensor,
    state: Sequence[Tensor],
    log_tau: float | Tensor,
    eps: float | Tensor,
    slope: float | Tensor,
    theta: float,
    output: str,
    step: Callable[[Tensor, Any], tuple[Tensor, Any]],
) -> tuple[Tensor, Sequence[Tensor]]:
    """Outputs ``[T, *]`` and final state for ``x [T, *]``, as ``snnkit.neurons.UltraLIF``.

    exp and log of the C library are its own: outputs agree with the step loop within 2e-6 of the largest
    value, not in every bit. They do not depend on where a sequence is cut.

    Args:
        state: ``(v [*],)``.
        log_tau, eps, slope: numbers, or tensors that broadcast against ``[*]`` and then receive gradients;
            ``slope`` is that of the firing function.
        theta, output: as the neuron's; only "soft" outputs are computed by the library.
        step: the pure step ``(x_t, state) -> (s_t, state)``, for the reference backend.

    Raises:
        BackendError: a backend was chosen explicitly and cannot run this.
    """
    refused = None
    if output != "soft":
        refused = f'its rounding could change spikes, and output="{output}" is decided by that of torch'
    return _ultra.run(x, state, (log_tau, eps, slope), (theta,), (), step, refused)


def _job(numbers: Sequence[float], kinds: Sequence[int]) -> native.Job:
    job = native.Job(family=_FAMILY)
    job.scalar[0] = numbers[0]
    return job


def _triton(numbers: Sequence[float], kinds: Sequence[int]) -> Described:
    return Described(_FAMILY, numbers)


_ultra = Family("ultra", "UltraLIF", states=1, learned=3, job=_job, triton=_triton)
