r"""From a quantised network to a program on integers.

Every value of the network is an integer tensor n with ``real = a n + b``, a and b known: one number, or one
per channel behind a layer or norm. Layers sum codes times counts; scale, bias and norm go into a and b and
never touch the codes. Where a value meets a neuron without memory, a and b go into a table of thresholds

    ``theta[c, j] = ceil(((j - 1/2) step - b_c) / a_c)``     (for a_c < 0 on the other side)

computed with exact fractions. Where it meets a membrane or a residual, it is brought to the common scale
``2^-fraction``: ``(n M_c + R_c) >> shift``, ``M_c = round(a_c 2^(fraction + shift))`` (:mod:`.affine`).

The largest possible sum of every instruction follows from its codes and the largest counts, and is checked.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..checks import choice, flag, integer, number
from ..errors import AccumulatorOverflowError, NumericsError, QuantConfigError
from ..readout import READOUTS
from ..sequence import as_sequence, check_finite
from .affine import EXACT, INT32, Value, multipliers, thresholds
from .fold import affine_of
from .graph import Graph, Node, record
from .integer_neurons import Table, integer_neuron
from .program import Instruction, IntegerModel, Program, simulate_integer
from .quantize import original_weight, quantizer_of

__all__ = ["convert_to_integer"]

_KEPT = ("layer", "rescale", "add", "mul")  # results that are stored as int32


def convert_to_integer(
    model: nn.Module,
    example_input: Tensor,
    *,
    form: Literal["threshold", "shift"] = "threshold",
    fraction: int = 16,
    input_scale: float | None = None,
    input_high: int = 255,
    verify: bool = True,
) -> IntegerModel:
    """An integer program that computes what a quantised network computes in evaluation.

    Args:
        model: made by :func:`quantize`, with every layer quantised.
        example_input: ``[T, B, C, ...]``; the program takes samples of that size, any T and B.
        form: of neurons without memory: "threshold" (exact, no product) or "shift"
            (``clip((n M + R) >> f, 0, D)``).
        fraction: bits behind the binary point of membranes and residuals, 4..24.
        input_scale: real value of one input count. Default 1 if the example is integers, else 1/255.
        input_high: the largest input count. Inputs of the program beyond 0..input_high are clipped.
        verify: compare with :func:`simulate_integer` on the example.

    Returns:
        :class:`IntegerModel`. Its counts equal those of the float64 network wherever neurons have no memory;
        membranes are rounded to ``2^-fraction`` and leaks to 2^-15, which is what an integer neuron is.

    Raises:
        QuantConfigError: a layer that is not quantised or reads a membrane; an operation, norm or neuron
            without an integer form; an example outside of the counts. AccumulatorOverflowError: a sum that
            may leave int32, naming the layer. NumericsError: NaN or Inf in the network or the example.
            ShapeError: no time axis.
    """
    choice("convert_to_integer.form", form, ("threshold", "shift"))
    integer("convert_to_integer.fraction", fraction, 4, 24)
    integer("convert_to_integer.input_high", input_high, 1, 65_535)
    flag("convert_to_integer.verify", verify)
    example_input = as_sequence(example_input, "convert_to_integer", min_ndim=3)
    if input_scale is None:
        input_scale = 1.0 if bool((example_input == example_input.round()).all()) else 1 / 255
    number("convert_to_integer.input_scale", input_scale, above=0)
    _check_range(example_input, input_scale, input_high)
    for name, t in (*model.named_parameters(), *model.named_buffers()):
        if not bool(t.isfinite().all()):
            raise NumericsError(
                f"convert_to_integer: {name} holds NaN or Inf, for which there are no codes. Start from a "
                "checkpoint before the training diverged."
            )
    builder = _Builder(record(model, example_input), form, fraction, input_scale, input_high)
    made = IntegerModel(builder.build()).to(example_input.device)
    if verify:
        wanted, got = simulate_integer(made).values(example_input), made.values(example_input)
        if not torch.equal(wanted, got.double()):
            raise NumericsError(
                "convert_to_integer: the program and its simulation differ. Please report it."
            )
    return made


def _check_range(example: Tensor, scale: float, high: int) -> None:
    """An input that counts cannot stand for would be clipped without a word."""
    check_finite(example, "convert_to_integer")
    low, top = (float(v) for v in example.aminmax()) if example.numel() else (0.0, 0.0)
    if round(low / scale) < 0 or round(top / scale) > high:
        raise QuantConfigError(
            f"convert_to_integer: example_input reaches from {low:g} to {top:g}, counts 0..{high} of "
            f"{scale:g} from 0 to {high * scale:g}. Give input_scale and input_high, or inputs in that range."
        )


class _Builder:
    def __init__(self, graph: Graph, form: str, fraction: int, input_scale: float, input_high: int) -> None:
        self.graph, self.form, self.fraction = graph, form, fraction
        self.input_scale, self.input_high = input_scale, input_high
        self.code: list[Instruction] = []
        self.common: dict[int, tuple[Value, Value]] = {}  # a value, and the same in the common scale
        self.readout: str | None = None

    def build(self) -> Program:
        """Lower every node in order."""
        zero = torch.zeros((), dtype=torch.float64)
        values = [Value(0, zero + self.input_scale, zero, 0, self.input_high)]
        for node in self.graph.nodes[1:]:
            values.append(getattr(self, f"_{node.op}")(node, *(values[i] for i in node.inputs)))
        out = self._to_common(values[self.graph.output], "the output")
        shape = self.graph.nodes[0].shape[2:]
        scale = float(out.a)
        return Program(
            tuple(self.code), shape, self.input_scale, self.input_high, out.at, scale, self.readout
        )

    def _emit(
        self, op: str, node: Node | str, inputs: tuple[Value, ...], args: Any, tensors: Any, **of: Any
    ) -> Value:
        """Append an instruction; its value."""
        path = node if isinstance(node, str) else node.path or node.op
        self.code.append(Instruction(op, tuple(v.at for v in inputs), args, tensors, path))
        value = replace(inputs[0], **({"at": len(self.code)} | of))
        limit = INT32 if op in _KEPT else EXACT
        worst = max(-value.low, value.high)
        if worst > limit:
            raise AccumulatorOverflowError(
                f"convert_to_integer: {path} ({op}): sums may reach {worst}, the accumulator holds {limit}. "
                "Use fewer bits, a smaller input_high or spike_levels, or a narrower layer."
            )
        return value

    # -- layers, norms, neurons ----------------------------------------------------------------------------

    def _layer(self, node: Node, x: Value) -> Value:
        layer = node.module
        assert layer is not None
        quantizer = quantizer_of(layer)
        if quantizer is None:
            raise QuantConfigError(
                f"convert_to_integer: {node.path} is not quantised. Call quantize, with skip_bits <= 8."
            )
        if not x.plain or x.low < 0:
            raise QuantConfigError(
                f"convert_to_integer: {node.path} reads a membrane, not spikes or counts. Put a neuron "
                "before it."
            )
        codes, step = (t.detach().cpu() for t in quantizer.codes(original_weight(layer)))
        flat = codes.long().flatten(1)
        high = int(flat.clamp(min=0).sum(1).max() * x.high)
        low = int(flat.clamp(max=0).sum(1).min() * x.high)
        conv = None
        if not isinstance(layer, nn.Linear):
            if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
                raise QuantConfigError(f"convert_to_integer: {node.path} needs padding by zeros, as numbers.")
            conv = {k: _plain(getattr(layer, k)) for k in ("stride", "padding", "dilation", "groups")}
        bias = getattr(layer, "bias", None)
        b = torch.zeros((), dtype=torch.float64) if bias is None else bias.detach().cpu().double()
        axis = len(node.shape) - 1 if conv is None else len(node.shape) - (codes.ndim - 1)
        bound = int(flat.abs().sum(1).max() * x.high)
        args = {"bound": bound, "conv": conv}
        tensors = {"codes": codes}
        a = step.double() * x.a
        return self._emit("layer", node, (x,), args, tensors, a=a, b=b, low=low, high=high, axis=axis)

    def _norm(self, node: Node, x: Value) -> Value:
        assert node.module is not None
        a, b = (t.cpu() for t in affine_of(node.module))
        return replace(x, a=x.a * a, b=x.b * a + b, axis=1)

    def _neuron(self, node: Node, x: Value) -> Value:
        neuron: Any = node.module
        found = integer_neuron(neuron, self.fraction)
        unit = torch.tensor(float(neuron.spike_unit), dtype=torch.float64)
        after = {"a": unit, "b": torch.zeros((), dtype=torch.float64), "low": 0, "axis": 0}
        if isinstance(found, Table):
            after["high"] = found.levels
            return self._table(node, x, found, after)
        x = self._to_common(x, node.path)
        after["high"] = found.args.get("levels", 1)
        return self._emit(found.op, node, (x,), found.args, found.tensors, **after)

    def _table(self, node: Node, x: Value, table: Table, after: dict[str, Any]) -> Value:
        if self.form == "shift" and table.half_up:
            return self._shifted(node, x, table, after)
        theta, sign = thresholds(x, table)
        return self._emit("threshold", node, (x,), {"axis": x.axis}, {"theta": theta, "sign": sign}, **after)

    def _shifted(self, node: Node, x: Value, table: Table, after: dict[str, Any]) -> Value:
        """``clip((n M + R) >> f, 0, D)``: a rescaling to counts, half of one added."""
        step = float(table.step)
        counts = self._rescale(replace(x, a=x.a / step, b=x.b / step + 0.5), node.path, 0)
        return self._emit("clip", node, (counts,), {"high": table.levels}, {}, **after)

    def _to_common(self, x: Value, path: str) -> Value:
        """``x`` in units of ``2^-fraction``."""
        if x.plain and float(x.a) == 2.0**-self.fraction:
            return x
        if x.at not in self.common or self.common[x.at][0] is not x:
            self.common[x.at] = (x, self._rescale(x, path, self.fraction))
        return self.common[x.at][1]

    def _rescale(self, x: Value, path: str, fraction: int) -> Value:
        """Integers of ``2^-fraction``, by one multiplier per channel."""
        found = multipliers(x, fraction, path)
        args, tensors = {"shift": found.shift, "axis": x.axis}, {"M": found.M, "R": found.R}
        zero = torch.zeros((), dtype=torch.float64)
        of = {"a": zero + 2.0**-fraction, "b": zero, "low": found.low, "high": found.high, "axis": 0}
        return self._emit("rescale", path, (x,), args, tensors, **of)

    def _readout(self, node: Node, x: Value) -> Value:
        if node is not self.graph.nodes[self.graph.output]:
            raise QuantConfigError(
                f"convert_to_integer: the read-out {node.path} is not the end of the network."
            )
        module: Any = node.module
        self.readout = next((name for name in READOUTS.names() if READOUTS.get(name) is type(module)), None)
        if self.readout is None or module.group != READOUTS.get(self.readout)().group:
            raise QuantConfigError(
                f"convert_to_integer: the read-out {node.path} ({module}) has no integer form. Use one of "
                f"{', '.join(READOUTS.names())}, as it is by default."
            )
        return x

    # -- sums and products ---------------------------------------------------------------------------------

    def _add(self, node: Node, x: Value, y: Value) -> Value:
        if not (x.plain and y.plain and float(x.a) == float(y.a)):
            x, y = self._to_common(x, node.path or "add"), self._to_common(y, node.path or "add")
        return self._emit("add", node, (x, y), {}, {}, low=x.low + y.low, high=x.high + y.high)

    def _mul(self, node: Node, x: Value, y: Value) -> Value:
        x, y = self._counts(node, x), self._counts(node, y)
        return self._emit("mul", node, (x, y), {}, {}, a=x.a * y.a, high=x.high * y.high)

    def _matmul(self, node: Node, x: Value, y: Value) -> Value:
        x, y = self._counts(node, x), self._counts(node, y)
        bound = x.high * y.high * self.graph.nodes[node.inputs[0]].shape[-1]
        return self._emit("matmul", node, (x, y), {"bound": bound}, {}, a=x.a * y.a, high=bound)

    def _counts(self, node: Node, x: Value) -> Value:
        if not x.plain or x.low < 0:
            raise QuantConfigError(
                f"convert_to_integer: a product ({node.op}) of membranes, expected spikes."
            )
        return x

    def _scale(self, node: Node, x: Value) -> Value:
        return replace(x, a=x.a * node.args["factor"], b=x.b * node.args["factor"])

    def _sum(self, node: Node, x: Value) -> Value:
        x = x if x.plain else self._to_common(x, node.op)
        many = math.prod(self.graph.nodes[node.inputs[0]].shape[d] for d in node.args["dims"])
        if 0 in node.args["dims"] or (1 in node.args["dims"] and len(node.shape) > 3):
            raise QuantConfigError("convert_to_integer: a sum over time or batch has no integer form here.")
        args = {"dims": node.args["dims"], "keep": node.args["keep"]}
        return self._emit("sum", node, (x,), args, {}, low=x.low * many, high=x.high * many)

    def _mean(self, node: Node, x: Value) -> Value:
        many = math.prod(self.graph.nodes[node.inputs[0]].shape[d] for d in node.args["dims"])
        total = self._sum(node, x)
        return replace(total, a=total.a / many)

    def _pool(self, node: Node, x: Value) -> Value:
        x = x if x.plain else self._to_common(x, node.path or "pool")
        return self._emit("pool", node, (x,), node.args, {})

    # -- shapes --------------------------------------------------------------------------------------------

    def _fold(self, node: Node, x: Value) -> Value:
        return self._emit("fold", node, (x,), {}, {}, axis=max(x.axis - 1, 0))

    def _unfold(self, node: Node, x: Value) -> Value:
        return self._emit("unfold", node, (x,), {}, {}, axis=x.axis + 1)

    def _flatten(self, node: Node, x: Value) -> Value:
        x = x if x.a.ndim == x.b.ndim == 0 or node.args["start"] > x.axis else self._to_common(x, "flatten")
        return self._emit("flatten", node, (x,), node.args, {})

    def _unflatten(self, node: Node, x: Value) -> Value:
        x = x if x.a.ndim == x.b.ndim == 0 or node.args["dim"] > x.axis else self._to_common(x, "unflatten")
        return self._emit("unflatten", node, (x,), node.args, {})

    def _permute(self, node: Node, x: Value) -> Value:
        x = x if x.a.ndim == x.b.ndim == 0 else self._to_common(x, "permute")
        return self._emit("permute", node, (x,), node.args, {})


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
