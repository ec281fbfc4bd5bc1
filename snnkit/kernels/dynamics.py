"""What a LIF step computes, in words that every backend reads."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..surrogate import Surrogate

__all__ = ["LIFDynamics"]


class LIFDynamics(NamedTuple):
    """What a LIF step computes, apart from its leak and threshold.

    Attributes:
        arithmetic: how ``leak`` enters, with ``w = v - v_rest`` (order of operations as written)

            =========  ==========  =============================  =============================
            name       leak        decay_input                    otherwise
            =========  ==========  =============================  =============================
            divide     tau         ``v + (x - w) / leak``         ``v - w / leak + x``
            multiply   1/tau       ``v + (x - w) * leak``         ``v - w * leak + x``
            euler      1/tau       ``v + leak*((x + v_rest)-v)``  ``v + leak * -w + x``
            decay      1 - 1/tau   ``leak*w + (1-leak)*x``        ``leak*w + x`` (both + v_rest)
            integrate  (unused)                                   ``v + x``
            =========  ==========  =============================  =============================
        reset: "hard" to ``v_reset``, "soft" by ``reset_amount`` (None: the threshold), "none".
        delayed: the reset takes place at the start of the next step, outside of autograd.
        detach_reset: no gradient through the spike in the reset.
        fire_at_equal: ``h == threshold`` is a spike.
    """

    surrogate: Surrogate
    arithmetic: Literal["divide", "multiply", "euler", "decay", "integrate"]
    decay_input: bool
    reset: Literal["hard", "soft", "none"]
    v_rest: float
    v_reset: float
    reset_amount: float | None
    delayed: bool
    detach_reset: bool
    fire_at_equal: bool
