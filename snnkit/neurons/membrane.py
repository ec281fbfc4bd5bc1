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

from ..errors import is_number, require, require_flags
from ..surrogate import Surrogate, as_surrogate, spike
from .base import Neuron, per_channel

__all__ = ["Membrane", "Reset"]

Reset = Literal["hard", "soft", "none"]


class Membrane(Neuron):
    """Base of neurons that fire at a threshold and are then reset.

    Args:
        threshold: firing level, > 0, same unit as the input.
        reset: "soft" by the threshold, "hard" to ``v_reset``, or "none".
        v_reset: value after a hard reset; below the threshold.
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
        v_reset: float,
        detach_reset: bool,
        fire_at_equal: bool,
        channels: int | None,
        surrogate: str | Surrogate,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        require(is_number(threshold) and threshold > 0, f"{name}.threshold", threshold, "a finite number > 0")
        require(reset in ("hard", "soft", "none"), f"{name}.reset", reset, '"hard", "soft" or "none"')
        ok = is_number(v_reset) and (reset != "hard" or v_reset < threshold)
        require(ok, f"{name}.v_reset", v_reset, f"a number < threshold = {threshold}")
        require_flags(name, detach_reset=detach_reset, fire_at_equal=fire_at_equal)
        self._shape = self._set_channels(channels)
        self.threshold, self._reset, self.v_reset = float(threshold), reset, float(v_reset)
        self.detach_reset, self.fire_at_equal = detach_reset, fire_at_equal
        self.surrogate = as_surrogate(surrogate)

    def _decay(self, name: str, value: float, learn: bool) -> None:
        """Make ``self.<name>`` a decay per step in [0, 1]; a learned one is the sigmoid of a parameter."""
        where = f"{type(self).__name__}.{name}"
        require(is_number(value) and 0 <= value <= 1, where, value, "a decay per step in [0, 1]")
        require_flags(type(self).__name__, **{f"learn_{name}": learn})
        setattr(self, f"_{name}", float(value))
        if learn:
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
