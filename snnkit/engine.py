"""One step at a time at the speed of the machine: a chain of linear layers and LIF neurons in one C call.

For control loops and sensors, where steps arrive singly: between the layers of :func:`snnkit.stream` lies
Python, which costs more than the neurons. The engine copies the weights, keeps the states, gathers only the
weights of active inputs, and calls the C library once per step.
"""

from __future__ import annotations

import ctypes as c
from typing import Any

import torch
from torch import Tensor, nn

from .errors import BackendError, DTypeError, InputTypeError, ShapeError, quote
from .kernels import library
from .kernels._layout import PLAIN
from .kernels._lif_op import formula
from .kernels.lif_native import lif_job
from .kernels.native import Job
from .neurons import LIF

__all__ = ["StepEngine"]


class _Stage(c.Structure):
    """``snn_stage`` of csrc/native.c."""

    _fields_ = [
        ("inputs", c.c_int32),
        ("outputs", c.c_int32),
        *[(name, c.c_void_p) for name in ("columns", "bias", "current", "active", "values")],
        ("job", Job),
    ]


class StepEngine:
    """Runs ``Linear -> LIF -> Linear -> LIF -> ...`` one step and one sample at a time, on one thread.

    Args:
        net: ``nn.Sequential`` (nested ones are flattened) of pairs of ``nn.Linear`` and
            :class:`snnkit.LIF` or :class:`snnkit.IF`, in float32 on the CPU. Its weights are copied: make a
            new engine after they change.

    Raises:
        InputTypeError: the network holds something else. DTypeError: not float32.
        ShapeError: the layers do not fit together.
        BackendError: the C library is missing, or has no formula for a surrogate.

    Results equal those of ``snnkit.stream(net)`` up to the rounding of the linear layers' sums.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(8, 4), snnkit.LIF(tau=3.0))
        >>> engine = snnkit.StepEngine(net)
        >>> engine(torch.rand(8)).shape
        torch.Size([4])
    """

    def __init__(self, net: nn.Module) -> None:
        lib: Any = library()
        if isinstance(lib, str):
            raise BackendError(f"StepEngine: {lib}. Use snnkit.stream(net).")
        self._lib, self._alive = lib, []  # type: Any, list[Any]
        layers = _flat(net)
        if not layers or len(layers) % 2:
            raise InputTypeError(f"StepEngine: got {len(layers)} layers, expected pairs of Linear and LIF.")
        pairs = list(zip(layers[::2], layers[1::2], strict=True))
        self._rest: list[float] = []
        self._states: list[Tensor] = []
        self._stages = (_Stage * len(pairs))(*(self._stage(*pair) for pair in pairs))
        self.inputs = int(pairs[0][0].in_features)  # type: ignore[arg-type]
        self.reset()

    def _stage(self, linear: nn.Module, neuron: nn.Module) -> _Stage:
        known = type(linear) is nn.Linear and isinstance(neuron, LIF) and not neuron._own_step
        if not (known and isinstance(linear, nn.Linear) and isinstance(neuron, LIF)):
            found = f"{type(linear).__name__} and {type(neuron).__name__}"
            raise InputTypeError(
                f"StepEngine: got {found}, expected nn.Linear and snnkit.LIF or IF. Use snnkit.stream(net)."
            )
        if linear.weight.dtype != torch.float32 or linear.weight.device.type != "cpu":
            raise DTypeError(
                f"StepEngine: got weights in {linear.weight.dtype} on {linear.weight.device}, expected "
                "torch.float32 on cpu. Use net.float().cpu()."
            )
        if formula(neuron.dynamics.surrogate) is None:
            raise BackendError(f"StepEngine: no formula for {neuron.dynamics.surrogate}.")
        n, k = linear.weight.shape
        before = self._states[-1].shape[1] if self._states else k
        if not (n and k and k == before):
            raise ShapeError(
                f"StepEngine: got a linear layer {k} -> {n} behind {before} values, expected as many inputs, "
                "and at least one output."
            )
        columns = linear.weight.detach().t().contiguous()
        bias = None if linear.bias is None else linear.bias.detach().clone()
        current, spikes, values = (torch.empty(size, **PLAIN) for size in (n, n, k + 1))
        state = torch.empty(1, n, **PLAIN)
        active = torch.empty(k + 1, dtype=torch.int32, device="cpu")
        job, keep = lif_job(state.shape, *neuron._operands(state), neuron.dynamics)
        job.T, job.N, job.x_stride, job.threads, job.every = 1, n, n, 1, 1
        job.x, job.out = current.data_ptr(), spikes.data_ptr()
        job.v0[0] = job.v1[0] = state.data_ptr()
        job.stream_bytes = 2**40
        self._alive += [columns, bias, current, spikes, active, values, keep]
        self._states.append(state)
        self._rest.append(neuron.dynamics.v_rest)
        self._out = spikes
        pointers = (None if t is None else t.data_ptr() for t in (columns, bias, current, active, values))
        return _Stage(k, n, *pointers, job)

    def __call__(self, x: Tensor) -> Tensor:
        """Advance by one step: ``x [inputs]`` -> spikes of the last layer ``[outputs]``, a new tensor.

        Raises:
            InputTypeError, DTypeError, ShapeError: not a float32 vector of that length on the CPU.
        """
        if not isinstance(x, Tensor):
            raise InputTypeError(f"StepEngine: got {quote(x)}, expected a torch.Tensor [{self.inputs}].")
        if x.dtype != torch.float32 or x.device.type != "cpu":
            raise DTypeError(f"StepEngine: got {x.dtype} on {x.device}, expected torch.float32 on cpu.")
        if x.shape != (self.inputs,):
            raise ShapeError(f"StepEngine: got shape {tuple(x.shape)}, expected ({self.inputs},).")
        x = x.detach().contiguous()
        self._lib.snn_step(self._stages, len(self._stages), c.c_void_p(x.data_ptr()))
        return self._out.clone()

    def reset(self) -> None:
        """All states to their initial values: the next step begins a new sequence."""
        for state, rest in zip(self._states, self._rest, strict=True):
            state.fill_(rest)

    def states(self) -> list[Tensor]:
        """The potentials of all layers ``[N]``, copies."""
        return [state[0].clone() for state in self._states]

    def __reduce__(self) -> tuple[object, ...]:
        raise InputTypeError(
            "StepEngine: it points into memory and cannot be copied. Make another from the net."
        )


def _flat(net: nn.Module) -> list[nn.Module]:
    """The layers in the order of their calls; a module that occurs twice is called twice."""
    if type(net) is nn.Sequential:
        return [layer for module in net for layer in _flat(module)]
    if not isinstance(net, nn.Module):
        raise InputTypeError(f"StepEngine: got {type(net).__name__}, expected a torch.nn.Sequential.")
    return [net]
