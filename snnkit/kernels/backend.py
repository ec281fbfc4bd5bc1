"""Which implementation of a neuron's dynamics runs: chosen by itself, or by the user.

=============  =======================================================================================
``reference``  the pure step in a loop, differentiated by autograd: the oracle, for every neuron and dtype
``eager``      torch operations with buffers reused in place and a hand-written backward
``native``     the C library, CPU tensors in float32 or bfloat16
``triton``     Triton kernels, CUDA tensors
``auto``       the fastest of them that can do what is asked (the default)
=============  =======================================================================================

All give the same spikes (the real-valued output of UltraLIF: within 2e-6). A backend that is chosen
explicitly and cannot run raises, with the reason.
Compiled graphs always take "auto".
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from ..checks import choice

__all__ = ["BACKENDS", "backend", "use_backend"]

BACKENDS = ("auto", "reference", "eager", "native", "triton")

_chosen: ContextVar[str | None] = ContextVar("snnkit_backend", default=None)
_DEFAULT = choice("SNNKIT_BACKEND", os.environ.get("SNNKIT_BACKEND", "auto"), BACKENDS)


def backend() -> str:
    """The name in force: of :func:`use_backend`, else of the variable SNNKIT_BACKEND, else auto."""
    if torch.compiler.is_compiling():
        return "auto"
    return _chosen.get() or _DEFAULT


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Run neurons with this backend inside the block.

    Raises:
        ConfigError: no such name. Calls inside raise BackendError where the backend cannot run.

    Example:
        >>> x = torch.randn(4, 2, 3)
        >>> with snnkit.use_backend("reference"):
        ...     spikes = snnkit.LIF()(x)
        >>> torch.equal(spikes, snnkit.LIF()(x))
        True
    """
    token = _chosen.set(choice("use_backend", name, BACKENDS))
    try:
        yield
    finally:
        _chosen.reset(token)
