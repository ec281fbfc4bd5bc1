"""Operations beside matrix products: what they cost, what is free, what is folded into a weight layer.

=============================== ==================================================================
operation                       counted as (per element, unless said otherwise)
=============================== ==================================================================
add, sub                        ``adds``: pairs of two events if both are events (residuals of spikes),
                                else all; a constant added to the fresh output of a weight layer is
                                that layer's ``bias_add``
div by an activation            ``divs``
mul, div by a constant          free if a power of two (shift), or right after a weight layer (folded
                                into its weights); else ``muls``
mul of two activations          ``and_ops`` if one is binary (a mask), else ``muls``
batch norm                      after a weight layer: folded, ``bias_add`` if that had no bias;
                                else ``muls`` + ``adds``
sum, mean, cumsum               ``adds``: nonzeros if the input is spikes, else inputs - outputs;
                                mean also one scaling per output
average pooling                 ``adds`` likewise over windows (exact overlap counts), one scaling
maximum pooling, maxima         ``and_ops`` if the input is spikes, else ``cmps``: window - 1 per output
ReLU, clamp, comparisons        ``cmps`` (two for a clamp at both ends)
embedding, gather, indexing     ``reads`` per output element
views, copies, casts, padding,  free
selections (where, masked_fill)
=============================== ==================================================================

Functions (softmax, exp, GELU, layer norm, ...): see :mod:`snnkit.energy.functions`. Everything else
(random numbers, FFT, ...) is listed as not counted.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from .provenance import Linear, tensors_in
from .rules import FREE, Op, OpCount, rule
from .synaptic import coincidences, outer

__all__ = ["count", "normalisation", "per_row", "power_of_two"]


def count(op: Op, **values: int) -> OpCount | object:
    """``values`` operations in total, spread evenly over the indices of the largest operand."""
    values = {name: number for name, number in values.items() if number}
    if not values:
        return FREE
    data = [t for t in tensors_in(op.args.values()) if op.marks.is_data(t)]
    shape = tuple(max(data, key=Tensor.numel).shape) if data else ()
    return OpCount("pointwise", dict(values), math.prod(shape[:2]), shape, shape[2:])


def _folded_bias(op: Op, linear: Linear, offsets: int) -> OpCount | object:
    """One addition per element, paid by the weight layer; ``offsets`` stored numbers."""
    answer = count(op, bias_add=next(tensors_in((op.out,))).numel())
    if isinstance(answer, OpCount):
        answer.path, answer.biases = linear.path, offsets
    return answer


def per_row(op: Op, x: Tensor, adds: Tensor, dense: int, muls: int) -> OpCount:
    """Data dependent additions, one number for every pair of indices of the first two axes of ``x``.

    Or one for every first index, if there are no further axes.
    """
    rows = adds.numel()
    values: dict[str, Tensor | int] = {"adds": adds.reshape(rows), "dense_adds": dense, "muls": muls}
    return OpCount("pointwise", values, rows, tuple(x.shape), tuple(x.shape[2:]))


def _number(constant: Any) -> float:
    """The value of a number or of a tensor of one element; 0 for anything else."""
    if isinstance(constant, Tensor):
        constant = constant.detach().item() if constant.numel() == 1 else 0.0
    return float(constant) if isinstance(constant, (int, float)) else 0.0


def power_of_two(value: float) -> bool:
    """Scaling by ``value`` is a shift."""
    return value != 0 and math.isfinite(value) and math.frexp(abs(value))[0] == 0.5


def _linear_output(op: Op, x: Any) -> Linear | None:
    """The weight layer whose output ``x`` is, if nothing else has consumed it."""
    mark = op.mark(x) if isinstance(x, Tensor) else None
    linear = mark.linear if mark is not None else None
    return None if linear is None or linear.used else linear


@rule("add", "add_", "sub", "sub_", "rsub")
def _add(op: Op) -> OpCount | object:
    x, y = op.args["self"], op.args["other"]
    if not isinstance(y, Tensor) and y == 0:
        return FREE
    for one, other in ((x, y), (y, x)):
        linear = _linear_output(op, one)
        if linear is not None and not op.is_data(other) and op.out.numel() == one.numel():
            op.linear = Linear(linear.path, True)
            return _folded_bias(op, linear, other.numel() if isinstance(other, Tensor) else 1)
    a, b = op.declared(x), op.declared(y)
    alpha = op.args.get("alpha", 1)
    if a is not None and b is not None and alpha == 1:
        op.result = a.plus(b)
    free = not isinstance(alpha, (int, float)) or power_of_two(alpha)
    muls = 0 if free else op.out.numel()
    if a is not None and b is not None and x.shape == y.shape == op.out.shape and x.ndim > 1:
        lines = math.prod(x.shape[: 2 if x.ndim > 2 else 1])
        if op.name.endswith("_"):  # has run: x holds the sum
            x = x - alpha * y if op.name == "add_" else x + alpha * y
        return per_row(op, x, coincidences(x, y, lines), op.out.numel(), muls)
    return count(op, adds=op.out.numel(), muls=muls)


@rule("mul", "mul_", "div", "div_")
def _mul(op: Op) -> OpCount | object:
    x, y = op.args["self"], op.args["other"]
    size = op.out.numel()
    if op.call in ("einsum", "outer", "ger") and isinstance(y, Tensor):
        return outer(op, x, y)
    if not op.is_data(x) or not op.is_data(y):
        if op.name.startswith("div") and op.is_data(y):
            return count(op, divs=size)
        data, constant = (x, y) if op.is_data(x) else (y, x)
        linear = _linear_output(op, data)
        if linear is not None and size == data.numel():
            op.linear = Linear(linear.path, linear.bias)
            return FREE
        factor = _number(constant)
        known = op.declared(data)
        if factor and known is not None:
            op.result = known.total(1, 1 / factor if op.name.startswith("div") else factor)
        return FREE if power_of_two(factor) else count(op, muls=size)
    if op.name.startswith("div"):
        return count(op, divs=size)
    a, b = op.declared(x), op.declared(y)
    if a is not None and b is not None:
        op.result = a.times(b)
    if op.alphabet(x).is_spike or op.alphabet(y).is_spike:
        return count(op, and_ops=size)
    return count(op, muls=size)


@rule(
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit_functional", "_batch_norm_with_update", "_batch_norm_no_update",
    "cudnn_batch_norm", "miopen_batch_norm", "batch_norm",
)  # fmt: skip
def _batch_norm(op: Op) -> OpCount | object:
    x = op.tensor("input")
    if op.args.get("training"):  # as in instance norm: statistics of the data
        groups = op.out[1].numel() if isinstance(op.out, (tuple, list)) else x.shape[1]
        affine = [op.args.get(name) is not None for name in ("weight", "bias")]
        return count(op, **normalisation(x.numel(), groups, True, *affine))
    linear = _linear_output(op, x)
    if linear is None:
        op.notes.append("a batch norm cannot be folded into a weight layer before it: priced per element")
        return count(op, muls=x.numel(), adds=x.numel())
    op.linear = Linear(linear.path, True)
    return FREE if linear.bias else _folded_bias(op, linear, x.shape[1])


def normalisation(size: int, groups: int, centred: bool, weight: bool, bias: bool) -> dict[str, int]:
    """Norm of ``size`` values in ``groups`` by their own mean, variance, root and scaling; affine part."""
    return {
        "adds": size * (1 + 2 * centred + bias),
        "muls": size * (2 + weight) + groups * (1 + centred),
        "sqrts": groups,
        "divs": groups,
    }


@rule(
    "relu", "relu_", "threshold", "threshold_", "maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne",
    "gt_", "ge_", "lt_", "le_", "eq_", "ne_", "sign", "sign_", "abs", "abs_", "heaviside", "clamp_min",
    "clamp_min_", "clamp_max", "clamp_max_", "leaky_relu", "leaky_relu_", "fmax", "fmin",
)  # fmt: skip
def _compare(op: Op) -> OpCount | object:
    size = op.out.numel()
    slope = op.args.get("negative_slope", 1)
    return count(op, cmps=size, muls=0 if power_of_two(float(slope)) else size)


@rule("clamp", "clamp_", "hardtanh", "hardtanh_")
def _clamp(op: Op) -> OpCount | object:
    ends = sum(op.args.get(n) is not None for n in ("min", "max", "min_val", "max_val"))
    return count(op, cmps=ends * op.out.numel())


@rule(
    "logical_and",
    "logical_or",
    "logical_xor",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "__and__",
    "__or__",
)
def _logic(op: Op) -> OpCount | object:
    return count(op, and_ops=op.out.numel())


@rule("embedding", "gather", "index_select", "index", "take", "_unsafe_index")
def _lookup(op: Op) -> OpCount | object:
    return count(op, reads=op.out.numel())


@rule("_thnn_fused_lstm_cell", "_thnn_fused_gru_cell")
def _gates(op: Op) -> OpCount | object:
    """Sigmoids and tanhs of all gates, their sums and products; the products before them are counted."""
    n, lstm = next(tensors_in((op.out,))).numel(), "lstm" in op.name
    functions, sums = (5, 4 + 1) if lstm else (3, 3 + 2)
    biases = 2 * (4 if lstm else 3) * (op.args.get("input_bias") is not None)
    adds = functions + (2 if lstm else 1) + sums + biases  # 1 per sigmoid, 2 per tanh
    return count(op, adds=adds * n, muls=3 * n, exps=functions * n, divs=functions * n)


@rule("native_dropout", "dropout")
def _dropout(op: Op) -> object:
    return "dropout is active: the model is in training mode"
