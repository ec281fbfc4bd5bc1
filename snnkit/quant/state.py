r"""Membrane potentials on a grid of few bits: what an integer neuron of that width would hold.

::

    v <- delta clip(floor(v / delta), -2^(b-1), 2^(b-1) - 1),   delta = 4 * 2^ceil(log2 threshold) / 2^b

The grid reaches from -2 to 2 thresholds (rounded up to a power of two), so that ``delta`` is a power of two
and the threshold an integer of it. The gradient passes straight through where nothing is clipped. After the
idea of MINT (arXiv 2305.09850), which gives weights and states one scale; here the state has its own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import is_integer
from ..errors import QuantConfigError, quote
from ..neurons import Neuron
from .base import straight_through

__all__ = ["StateQuantized", "quantize_states"]


class StateQuantized(Neuron):
    """A neuron whose state lies on a grid after every step; all else as the neuron inside.

    Args:
        neuron: any neuron with a threshold and a state of potentials.
        bits: 2..16.
    """

    def __init__(self, neuron: Neuron, bits: int) -> None:
        super().__init__()
        if not (is_integer(bits) and 2 <= bits <= 16):
            raise QuantConfigError(f"state_bits: got {quote(bits)}, expected an int in [2, 16].")
        self.inner, self.state_bits = neuron, int(bits)
        self.spike_levels, self.signed, self.channels = neuron.spike_levels, neuron.signed, neuron.channels
        self.batch_statistics, self.exact = neuron.batch_statistics, True
        self.State = neuron.State

    @property
    def spike_unit(self) -> float | Tensor:  # type: ignore[override]
        """Of the neuron inside."""
        return self.inner.spike_unit

    @property
    def threshold(self) -> float:
        """Of the neuron inside; the mean where it differs by channel."""
        value = getattr(self.inner, "threshold", 1.0)
        return float(value.detach().mean()) if isinstance(value, Tensor) else float(value)

    @property
    def fraction_bits(self) -> int:
        """Position of the binary point: ``delta = 2^-fraction_bits``."""
        return self.state_bits - 2 - math.ceil(math.log2(self.threshold))

    def initial_state(self, x: Tensor) -> Any:
        return self.inner.initial_state(x)

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step of the neuron inside, then its potentials on the grid."""
        out, state = self.inner.step(x, state)
        return out, type(state)(*(self._on_grid(v) for v in state))

    def _on_grid(self, v: Tensor) -> Tensor:
        delta, half = 2.0**-self.fraction_bits, 2 ** (self.state_bits - 1)
        inside = v.clamp(-half * delta, (half - 1) * delta)
        return straight_through(inside, torch.floor(inside.detach() / delta) * delta)

    def energy_ops(self) -> Any:
        return self.inner.energy_ops()

    def extra_repr(self) -> str:
        """The width."""
        return f"state_bits={self.state_bits}"


def quantize_states(model: nn.Module, bits: int) -> list[str]:
    """Wrap, in place, every neuron with a potential by :class:`StateQuantized`; returns their paths.

    Raises:
        QuantConfigError: bits not in 2..16, or the network is no container of neurons.
    """
    if isinstance(model, Neuron):
        raise QuantConfigError("quantize_states: got a single neuron. Use StateQuantized(neuron, bits).")
    done = []
    for path, module in list(model.named_modules()):
        if isinstance(module, StateQuantized):
            continue
        for name, child in list(module.named_children()):
            if isinstance(child, Neuron) and "v" in getattr(child.State, "_fields", ()):
                setattr(module, name, StateQuantized(child, bits))
                done.append(f"{path}.{name}".lstrip("."))
    return done
