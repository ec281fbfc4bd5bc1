r"""What neurons with a threshold and a reset share: settings, firing, reset.

::

    s[t] = 1 where h[t] >= threshold     (> with fire_at_equal=False)
    v[t] = h[t] - s[t] * threshold       soft reset
         = (1 - s[t]) h[t] + s[t] v_reset    hard reset

A derived neuron says how ``h`` is charged, and keeps whatever state that takes.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..checks import choice, flag, number
from ..errors import require
from ..surrogate import Surrogate, as_surrogate, spike
from .base import Neuron, per_channel

__all__ = ["Membrane", "Reset"]

Reset = Literal["hard", "soft", "none"]


class Membrane(Neuron):
    """Base of neurons that fire at a threshold and are then reset.

    Args:
        threshold: firing level, > 0, same unit as the input.
        reset: "soft" by the threshold, "hard" to ``v_reset``, or "none".
        v_reset: value after a hard reset, default 0; below the threshold.
        detach_reset: no gradient through the spike in the reset.
        fire_at_equal: ``h == threshold`` fires.
        channels: one learned value per channel (axis 2 of ``[T, B, C, ...]``) instead of one per layer.
        surrogate: name or :class:`snnkit.surrogate.Surrogate`.

    Raises:
        ConfigError: a value out of range, a flag that is not a bool.
        ShapeError: axis 2 of the input is not ``channels``.
    """

    def __init__(
        self,
        *,
        threshold: float,
        reset: Reset,
        v_reset: float | None,
        detach_reset: bool,
        fire_at_equal: bool,
        channels: int | None,
        surrogate: str | Surrogate,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.threshold = number(f"{name}.threshold", threshold, above=0)
        self._reset = choice(f"{name}.reset", reset, ("hard", "soft", "none"))
        require(v_reset is None or reset == "hard", f"{name}.v_reset", v_reset, 'None unless reset="hard"')
        self.v_reset = number(f"{name}.v_reset", 0.0 if v_reset is None else v_reset, below=self.threshold)
        self.detach_reset = flag(f"{name}.detach_reset", detach_reset)
        self.fire_at_equal = flag(f"{name}.fire_at_equal", fire_at_equal)
        self._shape = self._set_channels(channels)
        self.surrogate = as_surrogate(surrogate)

    def _decay(self, name: str, value: float, learn: bool) -> None:
        """Make ``self.<name>`` a decay per step in [0, 1]; a learned one is the sigmoid of a parameter."""
        where = f"{type(self).__name__}.{name}"
        setattr(self, f"_{name}", number(where, value, at_least=0, at_most=1))
        if flag(f"{type(self).__name__}.learn_{name}", learn):
            require(0 < value < 1, f"{where} with learn_{name}", value, "a decay in (0, 1)")
            logit = math.log(value / (1 - value))
            self.register_parameter(f"{name}_raw", nn.Parameter(torch.full(self._shape, logit)))

    def _value(self, name: str) -> float | Tensor:
        """The decay made by :meth:`_decay`."""
        raw = getattr(self, f"{name}_raw", None)
        return getattr(self, f"_{name}") if raw is None else torch.sigmoid(raw)

    def _operand(self, name: str, like: Tensor) -> float | Tensor:
        """The decay, ready to combine with a step."""
        return per_channel(self._value(name), like)

    def _fire(self, h: Tensor, threshold: float | Tensor | None = None) -> Tensor:
        """Spikes of the potential ``h``, at another threshold than ``self.threshold`` if one is given."""
        level = self.threshold if threshold is None else threshold
        return spike(h - level, self.surrogate, self.fire_at_equal)

    def _after(self, h: Tensor, s: Tensor, amount: float | Tensor | None = None) -> Tensor:
        """The potential ``h`` after the spikes ``s``; a soft reset takes ``amount``, else the threshold."""
        s = s.detach() if self.detach_reset else s
        if self._reset == "soft":
            return h - s * (self.threshold if amount is None else amount)
        if self._reset == "hard":
            return s * self.v_reset + (1 - s) * h
        return h

    def _reset_ops(self) -> dict[str, Any]:
        """Cost of the reset, for ``NeuronOps``."""
        return {"spike_add": float(self._reset == "soft"), "spike_write": float(self._reset == "hard")}

    def _settings(self, **first: object) -> str:
        """``first`` and the settings above, for ``extra_repr``."""
        shown = {**first, "threshold": self.threshold, "reset": self._reset}
        shown |= {"v_reset": self.v_reset} if self._reset == "hard" else {}
        shown |= {"detach_reset": self.detach_reset}
        shown |= {} if self.fire_at_equal else {"fire_at_equal": False}
        learned = [n.removesuffix("_raw") for n, _ in self.named_parameters() if n.endswith("_raw")]
        shown |= {f"learn_{name}": True for name in learned}
        shown |= {"channels": self.channels} if self.channels else {}
        shown |= {"surrogate": self.surrogate}
        return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in shown.items())
