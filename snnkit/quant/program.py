"""An integer network: a short list of instructions with integer tensors, without the class it came from.

=============  ==============================================================================================
instruction    meaning, on integers
=============  ==============================================================================================
``layer``      ``sum_j w[c, j] x[j]``: Linear or convolution, codes times counts
``rescale``    ``(x M + R) >> shift``, M and R per channel or one for all: to the common scale ``2^-fraction``
``threshold``  ``#{j : sign x >= theta[j]}``, j = 1..D: a neuron without memory as a table
``clip``       ``min(max(x, 0), D)``, behind a rescaling the same without a table
``lif``        leaky integrate-and-fire, state in the common scale; saturates at int32
``counts``     the same with counts 0..D per step
``add`` ``mul`` ``matmul`` ``sum`` ``pool``  as they say, all exact
``fold`` ``unfold`` ``flatten`` ``unflatten`` ``permute``  shapes
=============  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import NumericsError, QuantConfigError, ShapeError
from ..kernels.int_layer import IntWeights, int_layer, int_weights
from ..kernels.int_values import int_counts, int_rescale
from ..readout import READOUTS
from ..sequence import as_sequence
from .ops_float import FloatOps
from .ops_integer import IntegerOps, carrier

__all__ = ["Instruction", "IntegerModel", "Program", "SimulatedModel", "simulate_integer"]


@dataclass(frozen=True)
class Instruction:
    """One step of a program.

    Attributes:
        op: see the module docstring. inputs: earlier values: 0 the input, i the result of instruction i - 1.
        args: plain numbers. tensors: integers by name. path: the module it comes from.
    """

    op: str
    inputs: tuple[int, ...]
    args: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True)
class Program:
    """Instructions and what surrounds them.

    Attributes:
        input_shape: ``[C, ...]`` of one sample at one step. input_scale: real value of one input count.
        input_high: the largest input count. output: which value are the logits; output_scale: of one of them.
        readout: name of a read-out that follows, on real numbers.
    """

    instructions: tuple[Instruction, ...]
    input_shape: tuple[int, ...]
    input_scale: float
    input_high: int
    output: int
    output_scale: float
    readout: str | None


class _Interpreter(nn.Module):
    ops: Any

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program
        uses: dict[int, int] = {program.output: len(program.instructions)}
        for i, instruction in enumerate(program.instructions):
            for source in instruction.inputs:
                uses[source] = max(uses.get(source, 0), i)
            for name, tensor in instruction.tensors.items():
                self.register_buffer(f"{name}_{i}", self._prepared(instruction, name, tensor))
        self._last_use = uses
        self.readout = READOUTS.get(program.readout)() if program.readout else None

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} must implement _prepared(...)")

    def _run(self, i: int, instruction: Instruction, inputs: list[Tensor], named: dict[str, Any]) -> Tensor:
        """The result of one instruction; ``named``: its tensors, and what depends on the input."""
        out: Tensor = getattr(self.ops, instruction.op)(*inputs, **named, **instruction.args)
        return out

    def encode(self, x: Tensor) -> Tensor:
        """``x [T, B, ...]`` as integer counts: ``clip(round(x / input_scale), 0, input_high)``."""
        p = self.program
        x = as_sequence(x, type(self).__name__, min_ndim=3)
        if tuple(x.shape[2:]) != p.input_shape:
            raise ShapeError(
                f"{type(self).__name__}: got shape {tuple(x.shape)}, expected [T, B, "
                f"{', '.join(map(str, p.input_shape))}], for which the program was made."
            )
        if not bool(x.isfinite().all()):
            raise NumericsError(f"{type(self).__name__}: NaN or Inf in the input, expected finite counts.")
        return (x.double() / p.input_scale).round().clamp(0, p.input_high)

    def values(self, x: Tensor, keep: Callable[[int, Instruction, Tensor], None] | None = None) -> Tensor:
        """The integer logits ``[T, B, K]``; ``keep`` is shown the result of every instruction."""
        counts = self.encode(x)
        values: dict[int, Tensor] = {0: self.ops.start(counts)}
        steps, batch = counts.shape[:2]
        for i, instruction in enumerate(self.program.instructions):
            inputs = [values[s] for s in instruction.inputs]
            tensors: dict[str, Any] = {name: self.get_buffer(f"{name}_{i}") for name in instruction.tensors}
            sizes: dict[str, Any] = {"sizes": (steps, batch)} if instruction.op == "unfold" else {}
            out = self._run(i, instruction, inputs, tensors | sizes)
            if keep is not None:
                keep(i, instruction, out)
            values[i + 1] = out
            for source in instruction.inputs:
                if self._last_use[source] == i:
                    values.pop(source, None)
        return values[self.program.output]

    def forward(self, x: Tensor) -> Tensor:
        """``[T, B, ...]`` -> real logits, behind the read-out of the network if it has one."""
        if torch.compiler.is_exporting():
            raise QuantConfigError(
                f"{type(self).__name__}: got torch.export, which knows no integer programs. Use "
                "quant.save_integer, whose file is their form of exchange."
            )
        with torch.no_grad():
            logits = (self.values(x).double() * self.program.output_scale).to(torch.get_default_dtype())
            return logits if self.readout is None else self.readout(logits)


class IntegerModel(_Interpreter):
    """Runs a program on integer tensors: int32 between instructions, int64 inside of them.

    On the CPU products with weights gather the rows that active inputs name, in 4 or 8 bits
    (:mod:`snnkit.kernels.int_layer`). Elsewhere, and without the C library, they use floating-point units as
    carriers where all partial sums are exact there (below 2^24 in float32, 2^53 in float64), which the
    conversion has proved; nothing is ever rounded.

    Shape:
        ``[T, B, C, ...] -> [B, classes]``, or what the read-out of the network gives.

    Raises:
        ShapeError: another sample shape than that of the example. NumericsError: NaN or Inf in the input.
        QuantConfigError: under ``torch.export``; the file of ``save_integer`` is the form of exchange.
    """

    ops = IntegerOps

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self._gathered: dict[int, IntWeights] = {}
        for i, instruction in enumerate(program.instructions):
            conv = instruction.args.get("conv") or {"groups": 1}
            if instruction.op == "layer" and conv["groups"] == 1:
                weights = int_weights(instruction.tensors["codes"])
                if weights is not None:
                    self._gathered[i] = weights

    def _run(self, i: int, instruction: Instruction, inputs: list[Tensor], named: dict[str, Any]) -> Tensor:
        if i in self._gathered:
            conv = instruction.args["conv"] or {}
            settings = {name: _list(value) for name, value in conv.items() if name != "groups"}
            out = int_layer(inputs[0], self._gathered[i], **settings)
        else:
            native = _NATIVE.get(instruction.op)
            out = native and native(*inputs, **named, **instruction.args)
        if out is not None:
            return out
        return super()._run(i, instruction, inputs, named)

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        if name == "codes":
            return tensor.to(carrier(instruction.args["bound"]))
        return tensor.to(torch.int64)


class SimulatedModel(_Interpreter):
    """Runs the same program on float64 tensors that hold integers, by other operations: the oracle."""

    ops = FloatOps

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        return tensor.double()


_NATIVE: dict[str, Callable[..., Tensor | None]] = {"rescale": int_rescale, "counts": int_counts}


def _list(value: int | list[int]) -> list[int]:
    return [value] if isinstance(value, int) else value


def simulate_integer(model: IntegerModel) -> SimulatedModel:
    """The program of an integer network in floating point; equal to it in every value."""
    device = next(model.buffers()).device
    return SimulatedModel(model.program).to(device)
