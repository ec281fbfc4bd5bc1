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
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .provenance import Linear, tensors_in
from .reach import Geometry, spread
from .rules import FREE, Op, OpCount, rule, rule_of
from .synaptic import coincidences, outer

__all__ = ["LAYOUT", "count", "free", "keeps_alphabet", "normalisation"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Operations that move, copy or relabel values. Their result has the alphabet of their operands.
LAYOUT = _names("""
    alias as_strided atleast_1d atleast_2d atleast_3d broadcast_to cat channel_shuffle chunk clone
    concat concatenate constant_pad_nd contiguous copy copy_ detach detach_ diagonal expand expand_as
    flatten flip hsplit im2col lift lift_fresh lift_fresh_copy movedim moveaxis narrow
    native_channel_shuffle permute pin_memory pixel_shuffle pixel_unshuffle positive reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d reshape resize_ resolve_conj resolve_neg roll rot90 select select_copy
    select_scatter slice slice_copy slice_scatter split split_with_sizes split_with_sizes_copy squeeze
    squeeze_ stack swapaxes t t_ tensor_split tile to transpose transpose_ tril triu unbind unflatten
    unfold unfold_copy unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze unsqueeze_
    upsample_nearest1d upsample_nearest2d upsample_nearest3d view view_as view_as_complex view_as_real
    view_copy vsplit _conj _neg_view _pack_padded_sequence _pad_packed_sequence _reshape_alias
    _reshape_copy _to_copy _unsafe_view
""")
# Making constants, asking for sizes or values, writing some values into others, signs and bits.
_NO_ARITHMETIC = _names("""
    arange bitwise_not bitwise_not_ conj_physical device dim empty empty_like empty_strided equal eye fill
    fill_ full full_like index_put index_put_ is_nonzero is_pinned is_same_size isfinite isinf isnan item
    layout linspace logical_not logical_not_ masked_fill masked_fill_ masked_scatter neg neg_ new_empty
    new_empty_strided new_full new_ones new_zeros numel ones ones_like record_stream scalar_tensor scatter
    scatter_ set_ signbit size stride sym_numel sym_size sym_stride zero_ zeros zeros_like _assert_async
    _assert_scalar _efficientzerotensor _local_scalar_dense where
""")


def keeps_alphabet(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """The result of the operator takes only values of its operands, and zeros."""
    if name == "_to_copy":
        dtype = kwargs.get("dtype")
        return dtype is None or dtype.is_floating_point
    if name == "constant_pad_nd":
        return len(args) < 3 or args[2] == 0
    return name in LAYOUT or "max_pool" in name


@rule(*LAYOUT, *_NO_ARITHMETIC)
def free(op: Op) -> object:
    """Nothing to count. A module of its own decides what passes on, see :mod:`snnkit.energy.watch`."""
    return FREE


@rule("constant_pad_nd")
def _pad(op: Op) -> object:
    """Remember which part existed before: padding is no input position of a later convolution."""
    x, pad = op.tensor("self"), list(op.args["pad"])
    if op.args.get("value", 0) == 0:
        pairs = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
        pairs = [(0, 0)] * (x.ndim - len(pairs)) + pairs
        bounds = tuple((max(a, 0), n - max(b, 0)) for (a, b), n in zip(pairs, op.out.shape, strict=True))
        op.inner = (tuple(op.out.shape), bounds)
    return FREE


def count(op: Op, **values: int) -> OpCount | object:
    """``values`` operations in total, spread evenly over the indices of the largest operand."""
    values = {name: number for name, number in values.items() if number}
    if not values:
        return FREE
    data = [t for t in tensors_in(op.args.values()) if op.marks.is_data(t)]
    shape = tuple(max(data, key=Tensor.numel).shape) if data else ()
    return OpCount("pointwise", dict(values), math.prod(shape[:2]), shape, shape[2:])


def _folded_bias(op: Op, linear: Linear) -> OpCount | object:
    """One addition per element, paid by the weight layer."""
    answer = count(op, bias_add=next(tensors_in((op.out,))).numel())
    if isinstance(answer, OpCount):
        answer.path = linear.path
    return answer


def _per_row(op: Op, x: Tensor, adds: Tensor, dense: int, muls: int) -> OpCount:
    """Data dependent additions, one number for every pair of indices of the first two axes of ``x``.

    Or one for every first index, if there are no further axes.
    """
    rows = adds.numel()
    values: dict[str, Tensor | int] = {"adds": adds.reshape(rows), "dense_adds": dense, "muls": muls}
    return OpCount("pointwise", values, rows, tuple(x.shape), tuple(x.shape[2:]))


def _silent_or_spikes(op: Op, x: Tensor) -> bool:
    """Additions are driven by events; without any there is nothing to add."""
    alphabet = op.alphabet(x)
    return alphabet.is_spike or alphabet.kind == "empty"


def _number(constant: Any) -> float:
    """The value of a number or of a tensor of one element; 0 for anything else."""
    if isinstance(constant, Tensor):
        constant = constant.detach().item() if constant.numel() == 1 else 0.0
    return float(constant) if isinstance(constant, (int, float)) else 0.0


def _power_of_two(value: float) -> bool:
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
            return _folded_bias(op, linear)
    a, b = op.declared(x), op.declared(y)
    alpha = op.args.get("alpha", 1)
    if a is not None and b is not None and alpha == 1:
        op.result = a.plus(b)
    free = not isinstance(alpha, (int, float)) or _power_of_two(alpha)
    muls = 0 if free else op.out.numel()
    if a is not None and b is not None and x.shape == y.shape == op.out.shape and x.ndim > 1:
        lines = math.prod(x.shape[: 2 if x.ndim > 2 else 1])
        if op.name.endswith("_"):  # has run: x holds the sum
            x = x - alpha * y if op.name == "add_" else x + alpha * y
        return _per_row(op, x, coincidences(x, y, lines), op.out.numel(), muls)
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
        return FREE if _power_of_two(factor) else count(op, muls=size)
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
    return FREE if linear.bias else _folded_bias(op, linear)


def normalisation(size: int, groups: int, centred: bool, weight: bool, bias: bool) -> dict[str, int]:
    """Norm of ``size`` values in ``groups`` by their own mean, variance, root and scaling; affine part."""
    return {
        "adds": size * (1 + 2 * centred + bias),
        "muls": size * (2 + weight) + groups * (1 + centred),
        "sqrts": groups,
        "divs": groups,
    }


@rule("sum", "mean", "cumsum", "cumsum_")
def _sum(op: Op) -> OpCount | object:
    x, out = op.tensor("self"), op.out
    if op.name.startswith("cumsum"):
        return count(op, adds=x.numel())
    if x.numel() == out.numel():
        return FREE
    size = x.numel() // max(out.numel(), 1)
    known = op.declared(x)
    if known is not None:
        op.result = known.total(size, 1 / size if op.name == "mean" else 1.0)
    muls = out.numel() if op.name == "mean" and not _power_of_two(size) else 0
    if x.ndim > 2 and _silent_or_spikes(op, x):
        events = x.ne(0).flatten(2).sum(2, dtype=torch.float64)
        return _per_row(op, x, events, x.numel() - out.numel(), muls)
    return count(op, adds=x.numel() - out.numel(), muls=muls)


def _pool_geometry(op: Op, x: Tensor, dims: int) -> Geometry:
    kernel = spread(op.args["kernel_size"], dims)
    return Geometry(
        size=tuple(x.shape[-dims:]),
        out=tuple(op.out.shape[-dims:]),
        kernel=kernel,
        stride=spread(op.args["stride"] or kernel, dims),
        padding=spread(op.args["padding"], dims),
        dilation=(1,) * dims,
    )


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _average_pool(op: Op) -> OpCount | object:
    x = op.tensor("self")
    dims = int(op.name[-2])
    geometry = _pool_geometry(op, x, dims)
    divisor = op.args.get("divisor_override") or math.prod(geometry.kernel)
    uneven = any(geometry.padding) or op.args.get("ceil_mode")
    muls = op.out.numel() if uneven or not _power_of_two(divisor) else 0
    return _window_sums(op, x, geometry.reach(), muls)


@rule("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
def _adaptive_pool(op: Op) -> OpCount | object:
    x = op.tensor("self")
    dims = int(op.name[-2])
    reach = torch.ones(1, dtype=torch.int64)
    for n, o in zip(x.shape[-dims:], op.out.shape[-dims:], strict=True):
        first, last = torch.arange(o) * n // o, -(-(torch.arange(o) + 1) * n // o)
        i = torch.arange(n)
        covered = ((i >= first.unsqueeze(1)) & (i < last.unsqueeze(1))).sum(0)
        reach = torch.outer(reach, covered).flatten()
    window = x.numel() / max(op.out.numel(), 1)
    return _window_sums(op, x, reach, 0 if _power_of_two(window) else op.out.numel())


def _window_sums(op: Op, x: Tensor, reach: Tensor, muls: int) -> OpCount | object:
    """Additions over windows that cover position i ``reach[i]`` times."""
    maps = x.reshape(-1, reach.numel())
    dense = maps.shape[0] * int(reach.sum()) - op.out.numel()
    if _silent_or_spikes(op, x):
        events = maps.ne(0).double() @ reach.double().to(x.device)
        return _per_row(op, x, events.reshape(math.prod(x.shape[:2]), -1).sum(1), dense, muls)
    return count(op, adds=dense, muls=muls)


@rule(
    "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "mkldnn_max_pool2d",
    "mkldnn_max_pool3d", "max_pool2d", "max_pool3d", "max_pool1d",
)  # fmt: skip
def _max_pool(op: Op) -> OpCount | object:
    x, out = op.tensor("self"), next(tensors_in((op.out,)))
    dims = int(op.name[op.name.index("pool") + 4])
    return _maxima(op, x, out.numel() * (math.prod(spread(op.args["kernel_size"], dims)) - 1))


@rule(
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "amax",
    "amin",
    "max",
    "min",
    "any",
    "all",
    "argmax",
    "argmin",
)
def _extremum(op: Op) -> OpCount | object:
    x = op.tensor("self")
    if isinstance(op.args.get("other"), Tensor):
        return count(op, cmps=op.out.numel())
    out = next(tensors_in((op.out,)))
    return _maxima(op, x, max(x.numel() - out.numel(), 0))


def _maxima(op: Op, x: Tensor, number: int) -> OpCount | object:
    """The maximum of binary values is their OR."""
    if op.alphabet(x).is_spike:
        return count(op, and_ops=number)
    return count(op, cmps=number)


@rule(
    "relu", "relu_", "threshold", "threshold_", "maximum", "minimum", "gt", "ge", "lt", "le", "eq", "ne",
    "gt_", "ge_", "lt_", "le_", "eq_", "ne_", "sign", "sign_", "abs", "abs_", "heaviside", "clamp_min",
    "clamp_min_", "clamp_max", "clamp_max_", "leaky_relu", "leaky_relu_", "fmax", "fmin",
)  # fmt: skip
def _compare(op: Op) -> OpCount | object:
    size = op.out.numel()
    slope = op.args.get("negative_slope", 1)
    return count(op, cmps=size, muls=0 if _power_of_two(float(slope)) else size)


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


assert rule_of(torch.ops.aten.constant_pad_nd) is _pad  # the later, more specific rule wins
