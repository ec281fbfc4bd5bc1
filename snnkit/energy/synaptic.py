r"""Exact counts of multiply-accumulate operations: convolutions, matrix products, linear layers.

For a weight layer, x its input and per leading index b of x:

    convolution   dense = prod(O) C_out C_in/g prod(k)      (transposed: prod(n) C_in C_out/g prod(k))
                  sop   = C_out/g sum_{c,i} 1[x(b,c,i) != 0] prod_d reach_d(i_d)
                  valid = sop of an x of ones, explicit zero padding excluded
    matrix        dense = valid = M K N          sop = nnz(x) N
    both          sop_w   = the same pairs with a nonzero weight
                  abs_a   = the same sum with abs(x) instead of 1[x != 0]

For a product ``A [M,K] @ B [K,N]`` of two activations: ``pairs_a = nnz(A) N``, ``pairs_b = nnz(B) M``
and ``pairs_ab = sum_k nnz(A[:,k]) nnz(B[k,:])``.

Sums of indicators run in float32 while they cannot exceed 2^24, else in float64: always exact.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from .alphabet import BINARY, Alphabet, indicator, indicators
from .provenance import Linear
from .reach import Geometry, spread
from .rules import FREE, Op, OpCount, rule

__all__ = ["coincidences", "levels", "nonzero_per_row", "of_products", "outer"]

_EXACT = 2**24


def _known_ones(op: Op, x: Tensor) -> bool:
    """x is its own indicator: known to be spikes of size 1."""
    mark = op.mark(x)
    return mark is not None and mark.alphabet == BINARY and x.dtype in (torch.float32, torch.float64)


def _ones(op: Op, x: Tensor) -> Tensor:
    """1 where x != 0, in float32 or float64."""
    return x if _known_ones(op, x) else indicator(x)


def _sum(lines: Tensor, largest: int = 1) -> Tensor:
    """Sums over lines of integers up to ``largest``, in float64."""
    wide = torch.float64 if lines.shape[1] * largest >= _EXACT else None
    return lines.sum(1, dtype=wide).double()


def _dot(lines: Tensor, weights: Tensor, largest: int) -> Tensor:
    """``lines @ weights`` of integers, ``largest`` times ``weights`` bounds a line; in float64."""
    if float(weights.sum()) * largest >= _EXACT:
        lines = lines.double()
    return (lines @ weights.to(lines.dtype)).double()


def nonzero_per_row(x: Tensor, rows: int) -> Tensor:
    """Number of nonzeros in each of ``rows`` parts of ``x``, in float64."""
    if not x.numel():
        return torch.zeros(rows, dtype=torch.float64, device=x.device)
    return torch.cat([_sum(ones) for ones in indicators(x.reshape(rows, -1))])


def coincidences(x: Tensor, y: Tensor, rows: int) -> Tensor:
    """Number of positions where both are nonzero, in each of ``rows`` parts, in float64."""
    if not x.numel():
        return torch.zeros(rows, dtype=torch.float64, device=x.device)
    pairs = zip(indicators(x.reshape(rows, -1)), indicators(y.reshape(rows, -1)), strict=True)
    return torch.cat([_sum(a.mul_(b)) for a, b in pairs])


def _nonzero_out(out: Tensor, rows: int, size: int) -> Tensor:
    if out.numel() == rows * size:
        return nonzero_per_row(out, rows)
    total = torch.zeros(rows, dtype=torch.float64, device=out.device)  # addbmm: summed over the rows
    total[:1] = out.count_nonzero()
    return total


def levels(x: Tensor, alphabet: Alphabet) -> Tensor:
    """abs(x) in units of its alphabet: exact integers, also where x is rounded to a narrow dtype."""
    if alphabet.unit == 1 and x.dtype in (torch.float32, torch.float64):
        return x.abs() if alphabet.signed else x
    return (x.double().abs() / alphabet.unit).round()


def _units(x: Tensor, alphabet: Alphabet, pairs: Tensor, fan: int) -> Tensor:
    """Sum over pairs of abs(x) for operands of which every value takes part in ``fan`` pairs."""
    if alphabet.is_spike:
        return pairs * alphabet.unit  # from the pairs alone: all values have one size
    if not alphabet.is_event:
        return torch.zeros_like(pairs)
    return _sum(levels(x.reshape(len(pairs), -1), alphabet), alphabet.levels) * (fan * alphabet.unit)


@rule(
    "convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "cudnn_convolution",
    "cudnn_convolution_transpose", "miopen_convolution", "miopen_convolution_transpose",
    "thnn_conv2d", "_slow_conv2d_forward", "slow_conv3d", "slow_conv3d_forward", "conv_depthwise3d",
    "_conv_depthwise2d", "slow_conv_transpose2d", "slow_conv_transpose3d", "slow_conv_dilated2d",
    "slow_conv_dilated3d", "mkldnn::_convolution_pointwise",
)  # fmt: skip
def _convolution(op: Op) -> OpCount | object:
    x, w, out = op.tensor("input", "self", "X"), op.tensor("weight", "W"), op.out
    if not op.is_data(x) and not op.is_data(w) and op.marks.any_data and op.marks.is_weight(x):
        return FREE  # a filter made of filters: constant
    dims, transposed = w.ndim - 2, bool(op.args.get("transposed")) or "transpose" in op.name
    groups = op.args.get("groups")
    if groups is None:
        groups = x.shape[1] // w.shape[1] if not transposed else 1
    inner: tuple[tuple[int, int], ...] = ()
    mark = op.mark(x)
    if mark is not None and mark.inner is not None and mark.inner[0][-dims:] == x.shape[-dims:]:
        inner = mark.inner[1][-dims:]
    geometry = Geometry(
        size=tuple(x.shape[2:]),
        out=tuple(out.shape[2:]),
        kernel=tuple(w.shape[2:]),
        stride=spread(op.args.get("stride") or 1, dims),
        padding=spread(op.args.get("padding") or 0, dims),
        dilation=spread(op.args.get("dilation") or 1, dims),
        transposed=transposed,
        inner=inner,
    )
    rows, channels, positions = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    fan = w.shape[1] if transposed else w.shape[0] // groups
    taps = math.prod(geometry.kernel)

    flat = x.reshape(rows * channels, positions)
    alphabet = op.alphabet(x, real=op.real[0])
    reach = geometry.reach().to(x.device)
    pointwise = positions > 0 and taps == 1 and int(reach.min()) == 1
    nonzeros, reaches = [], []
    for ones in (flat,) if _known_ones(op, x) else indicators(flat):
        nonzeros.append(_sum(ones))
        reaches.append(nonzeros[-1] if pointwise else _dot(ones, reach, 1))
    nnz, reached = torch.cat(nonzeros), torch.cat(reaches)
    sop = reached.reshape(rows, channels).sum(1) * fan
    bias = op.args.get("bias", op.args.get("B")) is not None
    op.linear = Linear(op.path, bias)
    places = positions if transposed else math.prod(geometry.out)
    values: dict[str, Tensor | int] = {
        "dense": rows * places * channels * fan * taps,
        "valid": rows * geometry.total() * channels * fan,
        "sop": sop,
        "nnz_in": nnz.reshape(rows, channels).sum(1),
        "numel_in": rows * channels * math.prod(b - a for a, b in inner) if inner else x.numel(),
        "nnz_out": nonzero_per_row(out, rows),
        "numel_out": out.numel(),
        "bias_add": out.numel() if bias else 0,
    }
    if alphabet.is_event and not alphabet.is_spike:
        steps = _dot(levels(flat, alphabet), reach, alphabet.levels)
        values["abs_a"] = steps.reshape(rows, channels).sum(1) * (fan * alphabet.unit)
    else:
        values["abs_a"] = sop * alphabet.unit  # the unit of reals is 0
    values["sop_w"] = sop
    if not op.nonzero_weights(w):
        if transposed:
            per_tap = w.ne(0).sum(1)
        else:
            per_tap = w.ne(0).reshape(groups, fan, *w.shape[1:]).sum(1).flatten(0, 1)
        weighted = geometry.weighted(per_tap.to(x.device)).flatten()
        values["sop_w"] = _ones(op, x).reshape(rows, -1).double() @ weighted.double()
    return OpCount(
        "weight",
        values,
        rows,
        tuple(x.shape),
        (tuple(x.shape[1:]), tuple(w.shape)),
        alphabet,
        weights=w.numel(),
        biases=out.shape[1] if bias else 0,
    )


@rule(
    "mm", "addmm", "addmm_", "_addmm_activation", "_int_mm", "bmm", "baddbmm", "baddbmm_", "addbmm",
    "addbmm_", "mv", "addmv", "addmv_", "dot", "vdot",
)  # fmt: skip
def _matmul(op: Op) -> OpCount | object:
    names = op.args
    a = op.tensor(*(n for n in ("mat1", "batch1", "mat", "self") if n in names))
    b = op.tensor(*(n for n in ("mat2", "batch2", "vec", "tensor", "other") if n in names))
    adds = op.name.lstrip("_").startswith(("add", "badd")) and names.get("beta", 1) != 0
    return _product(op, a, b, bias=adds)


@rule("linear", "mkldnn_linear", "_mkldnn_linear", "mkldnn::_linear_pointwise")
def _linear(op: Op) -> OpCount | object:
    x, w = op.tensor("input", "self", "X"), op.tensor("weight", "W")
    if op.shape is None:
        op.shape = tuple(x.shape)
    bias = op.args.get("bias", op.args.get("B")) is not None
    return _product(op, x.reshape(-1, x.shape[-1]), w.t(), bias=bias)


def _product(op: Op, a: Tensor, b: Tensor, *, bias: bool) -> OpCount | object:
    data_a, data_b = op.is_data(a), op.is_data(b)
    if not data_a and not data_b:
        # a state that starts as zeros times a weight still runs; weights times weights is constant
        weight_a, weight_b = op.marks.is_weight(a), op.marks.is_weight(b)
        if weight_a == weight_b and op.marks.any_data:
            return FREE
        data_b = weight_a and not weight_b
        data_a = not data_b
    if a.ndim == 1:
        a = a.unsqueeze(0)
    if b.ndim == 1:
        b = b.unsqueeze(1)
    if data_a and data_b:
        return _activations(op, a, b, bias)
    if data_a:
        return _weights(op, a, b, bias)
    # W @ X: the leading indices are the columns of X, or the matrices of a batch
    op.shape = op.shape if b.ndim == 3 else None
    return _weights(op, b.mT, a.mT, bias, flip=True)


def _weights(op: Op, x: Tensor, w: Tensor, bias: bool, flip: bool = False) -> OpCount:
    """``x [rows, K] @ w [K, N]`` or ``x [rows, M, K] @ w [rows, K, N]``, w a weight.

    ``flip``: the operation computed the transposed product.
    """
    rows, per_row, k, n = x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1], w.shape[-1]
    alphabet = op.alphabet(x, real=op.real[0])
    nnz = _sum(x.reshape(rows, -1)) if _known_ones(op, x) else nonzero_per_row(x, rows)
    sop = nnz * n
    size = per_row * n
    sop_w = sop
    if not op.nonzero_weights(w):
        ones, per_input = _ones(op, x), w.ne(0).sum(-1).double()  # [K] or [rows, K]
        if per_input.ndim == 2:
            sop_w = (ones.sum(1).double() * per_input).sum(1)
        else:
            sop_w = ones.double() @ per_input
    op.linear = Linear(op.path, bias)
    values: dict[str, Tensor | int] = {
        "dense": rows * per_row * k * n,
        "valid": rows * per_row * k * n,
        "sop": sop,
        "sop_w": sop_w,
        "abs_a": _units(x, alphabet, sop, n),
        "nnz_in": nnz,
        "numel_in": rows * per_row * k,
        "nnz_out": _nonzero_out(op.out.mT if flip and op.out.ndim > 1 else op.out, rows, size),
        "numel_out": rows * size,
        "bias_add": rows * size if bias else 0,
    }
    stored = w.numel() if w.ndim == 2 else k * n
    return OpCount(
        "weight", values, rows, op.shape, (per_row, k, n), alphabet, weights=stored, biases=n * bias
    )


def _activations(op: Op, a: Tensor, b: Tensor, bias: bool) -> OpCount:
    """``a [rows, M, K] @ b [rows, K, N]``, or one product of matrices (rows = 1)."""
    ones_a, ones_b = _ones(op, a), _ones(op, b)
    alphabet_a, alphabet_b = op.alphabet(a, real=op.real[0]), op.alphabet(b, real=op.real[1])
    if a.ndim == 2:
        a, b, ones_a, ones_b = (z.unsqueeze(0) for z in (a, b, ones_a, ones_b))
    rows, m, k, n = a.shape[0], a.shape[1], a.shape[2], b.shape[2]
    columns, lines = ones_a.sum(1).double(), ones_b.sum(2).double()  # sizes far below 2^24
    nnz_a, nnz_b = columns.sum(1), lines.sum(1)
    pairs_a, pairs_b = nnz_a * n, nnz_b * m
    values: dict[str, Tensor | int] = {
        "dense": rows * m * k * n,
        "valid": rows * m * k * n,
        "pairs_a": pairs_a,
        "pairs_b": pairs_b,
        "pairs_ab": (columns * lines).sum(1),
        "pairs_min": torch.minimum(pairs_a, pairs_b),
        "abs_a": _units(a, alphabet_a, pairs_a, n),
        "abs_b": _units(b, alphabet_b, pairs_b, m),
        "nnz_a": nnz_a,
        "nnz_b": nnz_b,
        "numel_a": rows * m * k,
        "numel_b": rows * k * n,
        "nnz_out": _nonzero_out(op.out, rows, m * n),
        "numel_out": rows * m * n,
        "bias_add": rows * m * n if bias else 0,
    }
    return OpCount("product", values, rows, op.shape, (m, k, n), alphabet_a, alphabet_b)


@rule("addr", "addr_")
def _add_outer(op: Op) -> OpCount | object:
    return outer(
        op, op.tensor("vec1").unsqueeze(1), op.tensor("vec2").unsqueeze(0), bias=op.args["beta"] != 0
    )


@rule("_trilinear")
def _bilinear(op: Op) -> tuple[OpCount, OpCount | object] | str:
    """``out[b, o] = sum_ij x[b, i] W[o, i, j] y[b, j]``: a linear layer on the products of its inputs."""
    x, y = op.args["i1"], op.args["i3"]
    if (x.ndim, op.args["i2"].ndim, y.ndim) != (2, 3, 2):
        return "a product of three operands of another form than a bilinear layer"
    masks = op.alphabet(x).is_spike or op.alphabet(y).is_spike
    linear = of_products(op)
    values: dict[str, Tensor | int] = {"and_ops" if masks else "muls": linear.args["input"].numel()}
    answer = _linear(linear)
    op.linear = linear.linear
    return OpCount("pointwise", values, len(x), tuple(x.shape)), answer


def of_products(op: Op) -> Op:
    """The linear layer that a bilinear one is, on the products of its inputs."""
    x, w, y = op.args["i1"], op.args["i2"], op.args["i3"]
    products = (x.unsqueeze(2) * y.unsqueeze(1)).flatten(1)
    op.marks.follow([op.marks.get(x), op.marks.get(y)], products)
    return replace(op, name="linear", args={"input": products, "weight": w.flatten(1)}, shape=None)


def outer(op: Op, a: Tensor, b: Tensor, *, bias: bool = False) -> OpCount | object:
    """An einsum without a summed index runs as one broadcast multiplication: a product with K = 1."""
    lead = op.out.shape[:2]
    rows = math.prod(lead)

    def pairs(z: Tensor) -> Tensor:
        return z.double().expand(op.out.shape).reshape(rows, -1).sum(1)

    if not op.is_data(a):
        a, b = b, a
    alphabet_a, alphabet_b = op.alphabet(a), op.alphabet(b)
    ones_a, ones_b = _ones(op, a), _ones(op, b)
    pairs_a, pairs_b, both = pairs(ones_a), pairs(ones_b), pairs(ones_a * ones_b)
    size, signature = op.out.numel(), tuple(op.out.shape[2:])
    values: dict[str, Tensor | int] = {"dense": size, "valid": size, "numel_out": size}
    values["bias_add"] = size if bias else 0
    values["nnz_out"] = pairs(indicator(op.out))
    values["abs_a"] = pairs(levels(a, alphabet_a)) * alphabet_a.unit if alphabet_a.is_event else 0
    nnz_a, nnz_b = int(ones_a.sum()), int(ones_b.sum())
    if not op.is_data(b):
        values |= {"sop": pairs_a, "sop_w": both, "nnz_in": nnz_a, "numel_in": a.numel()}
        return OpCount("weight", values, rows, op.shape, signature, alphabet_a, weights=b.numel())
    values["abs_b"] = pairs(levels(b, alphabet_b)) * alphabet_b.unit if alphabet_b.is_event else 0
    values |= {"pairs_a": pairs_a, "pairs_b": pairs_b, "pairs_ab": both}
    values |= {"pairs_min": torch.minimum(pairs_a, pairs_b), "nnz_a": nnz_a, "nnz_b": nnz_b}
    values |= {"numel_a": a.numel(), "numel_b": b.numel()}
    return OpCount("product", values, rows, op.shape, signature, alphabet_a, alphabet_b)
