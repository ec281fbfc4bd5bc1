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
from ..readout import READOUTS
from ..sequence import as_sequence
from .chains import Kernel, chain_kernel, chains
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
        for i, instruction in enumerate(program.instructions):
            for name, tensor in instruction.tensors.items():
                self.register_buffer(f"{name}_{i}", self._prepared(instruction, name, tensor))
        self.readout = READOUTS.get(program.readout)() if program.readout else None
        self._plan(self._chains())

    def _chains(self) -> list[tuple[int, ...]]:
        """Instructions that run together."""
        return [(i,) for i in range(len(self.program.instructions))]

    def _plan(self, order: list[tuple[int, ...]]) -> None:
        """For every chain, the values that nothing reads after it."""
        last = {self.program.output: len(order)}
        for k, chain in enumerate(order):
            for source in self.program.instructions[chain[0]].inputs:
                last[source] = max(last.get(source, 0), k)
        self._order = [(chain, [s for s, at in last.items() if at == k]) for k, chain in enumerate(order)]

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} must implement _prepared(...)")

    def _run(self, chain: tuple[int, ...], inputs: list[Tensor], sizes: tuple[int, int]) -> Tensor:
        """The result of a chain of instructions on ``[T, B]`` samples."""
        for i in chain:
            instruction = self.program.instructions[i]
            named: dict[str, Any] = {name: self.get_buffer(f"{name}_{i}") for name in instruction.tensors}
            if instruction.op == "unfold":
                named["sizes"] = sizes
            inputs = [getattr(self.ops, instruction.op)(*inputs, **named, **instruction.args)]
        return inputs[0]

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
        """The integer logits ``[T, B, K]``; ``keep`` is shown the results that are read later."""
        counts = self.encode(x)
        values: dict[int, Tensor] = {0: self.ops.start(counts, self.program.input_high)}
        sizes = (counts.shape[0], counts.shape[1])
        for chain, unread in self._order:
            inputs = [values[s] for s in self.program.instructions[chain[0]].inputs]
            out = self._run(chain, inputs, sizes)
            if keep is not None:
                keep(chain[-1], self.program.instructions[chain[-1]], out)
            values[chain[-1] + 1] = out
            for source in unread:
                del values[source]
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
    """Runs a program on integer tensors: bytes or int32 between instructions, int64 inside of them.

    On the CPU a layer runs with the neurons behind it in one kernel (:mod:`.chains`), on weights of 4 or 8
    bits. Elsewhere, and without the C library, products use floating-point units as carriers where all
    partial sums are exact there (below 2^24 in float32, 2^53 in float64), which the conversion has proved;
    nothing is ever rounded.

    Shape:
        ``[T, B, C, ...] -> [B, classes]``, or what the read-out of the network gives.

    Raises:
        ShapeError: another sample shape than that of the example. NumericsError: NaN or Inf in the input.
        QuantConfigError: under ``torch.export``; the file of ``save_integer`` is the form of exchange.
    """

    ops = IntegerOps

    def _chains(self) -> list[tuple[int, ...]]:
        found = chains(self.program)
        code = self.program.instructions
        self._kernels: dict[tuple[int, ...], Kernel | None] = {
            chain: chain_kernel([code[i] for i in chain]) for chain in found
        }
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_kernels"}  # they hold addresses

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._chains()

    def _run(self, chain: tuple[int, ...], inputs: list[Tensor], sizes: tuple[int, int]) -> Tensor:
        kernel = self._kernels[chain]
        out = kernel and kernel(inputs[0], sizes)
        return super()._run(chain, inputs, sizes) if out is None else out

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        if name == "codes":
            return tensor.to(carrier(instruction.args["bound"]))
        return tensor.to(torch.int64)


class SimulatedModel(_Interpreter):
    """Runs the same program on float64 tensors that hold integers, by other operations: the oracle."""

    ops = FloatOps

    def _prepared(self, instruction: Instruction, name: str, tensor: Tensor) -> Tensor:
        return tensor.double()


def simulate_integer(model: IntegerModel) -> SimulatedModel:
    """The program of an integer network in floating point; equal to it in every value."""
    device = next(model.buffers()).device
    return SimulatedModel(model.program).to(device)
