"""LIF as other libraries parametrise it, bit for bit."""

from __future__ import annotations

from typing import Any, Literal, Self

import torch

from ..checks import choice, flag, number
from ..errors import ConfigError
from ..surrogate import Surrogate

__all__ = ["LibraryPresets"]


class LibraryPresets:
    """Constructors of :class:`snnkit.LIF` that take the arguments of spikingjelly, snntorch and norse.

    Spikes and states equal those libraries (spikingjelly 2.0, snntorch 1.0, norse 1.1) in float32, step by
    step; the tests compare them.
    """

    @classmethod
    def spikingjelly(
        cls,
        tau: float = 2.0,
        decay_input: bool = True,
        v_threshold: float = 1.0,
        v_reset: float | None = 0.0,
        surrogate: str | Surrogate = "sigmoid",
        detach_reset: bool = False,
    ) -> Self:
        """spikingjelly ``activation_based.neuron.LIFNode``, same arguments; ``v_reset=None``: soft reset."""
        return cls(  # type: ignore[call-arg]
            tau,
            threshold=v_threshold,
            decay_input=decay_input,
            reset="soft" if v_reset is None else "hard",
            v_reset=v_reset,
            surrogate=surrogate,
            detach_reset=detach_reset,
        )

    @classmethod
    def snntorch(
        cls,
        beta: float,
        threshold: float = 1.0,
        reset_mechanism: Literal["subtract", "zero", "none"] = "subtract",
        reset_delay: bool = True,
        surrogate: str | Surrogate = "atan",
    ) -> Self:
        """``snntorch.Leaky`` with the same arguments; the state is its returned ``mem``.

        Raises:
            ConfigError: ``reset_mechanism="subtract"`` with ``reset_delay=False``. In snntorch 1.0 a
                neuron that is still above threshold after that reset can stay there without firing
                (beta=1, x=[3.5, 0, 0, 0, 0] gives spikes [1, 1, 0, 0, 0]); it is not reproduced.
        """
        resets: dict[str, Any] = {"subtract": "soft", "zero": "hard", "none": "none"}
        choice(f"{cls.__name__}.snntorch.reset_mechanism", reset_mechanism, resets)
        if reset_mechanism == "subtract" and not flag(f"{cls.__name__}.snntorch.reset_delay", reset_delay):
            raise ConfigError(
                f'{cls.__name__}.snntorch: reset_mechanism="subtract" with reset_delay=False is not '
                "reproduced: in snntorch 1.0 such a neuron can stay above threshold without firing. "
                'Use LIF(beta=..., reset="soft"), the immediate soft reset, or reset_delay=True.'
            )
        return cls(  # type: ignore[call-arg]
            beta=beta,
            threshold=threshold,
            reset=resets[reset_mechanism],
            reset_timing="delayed" if reset_delay else "immediate",
            fire_at_equal=False,
            surrogate=surrogate,
        )

    @classmethod
    def norse_box(
        cls,
        dt: float = 0.001,
        tau_mem_inv: float = 100.0,
        v_leak: float = 0.0,
        v_th: float = 1.0,
        v_reset: float = 0.0,
        reset_method: Literal["value", "subtract"] = "value",
        surrogate: str | Surrogate = "fast_sigmoid",
    ) -> Self:
        """``norse.torch.LIFBoxCell``: ``h = v + (dt*tau_mem_inv)*((x + v_leak) - v)``, fires at ``>``.

        norse's own surrogate "super" is ``FastSigmoid(alpha=1)``, whatever its alpha says.
        """
        for name, value in (("dt", dt), ("tau_mem_inv", tau_mem_inv)):
            number(f"{cls.__name__}.norse_box.{name}", value)
        choice(f"{cls.__name__}.norse_box.reset_method", reset_method, ("value", "subtract"))
        return cls(  # type: ignore[call-arg]
            # norse multiplies a float32 tensor: the product is rounded to float32
            rate=float(dt * torch.tensor(tau_mem_inv, dtype=torch.float32)),
            threshold=v_th,
            reset="hard" if reset_method == "value" else "soft",
            v_reset=v_reset if reset_method == "value" else None,
            v_rest=v_leak,
            fire_at_equal=False,
            surrogate=surrogate,
        )
