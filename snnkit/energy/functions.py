r"""Functions beside additions and multiplications: counted by the elementary operations they consist of.

Three more classes: ``exps`` (exp, log, erf, sine: one evaluation of a transcendental function), ``divs``
(divisions) and ``sqrts``. A hardware profile without their prices lists them as not priced. Per element
of the result, n the length of the axis that is normalised:

=================== ==================================================================================
function            counted as
=================== ==================================================================================
sigmoid, tanh       1 / (1 + e^-x); 1 - 2 / (e^2x + 1)
GELU                x/2 (1 + erf(x / sqrt 2)); "tanh": with its cubic argument
softmax             maximum, differences, exponentials, sum, one division per element
norms over data     layer, group, instance and RMS norm: mean, variance, one root and one division per
                    group, scaling, affine part if it exists
var, std, 2-norm    squares and their sum, a root
distances (cdist)   differences, squares or magnitudes, sums, a root
bilinear sampling   2^d products per output
sort, topk          n log2 n, n log2(k+1) comparisons
=================== ==================================================================================

These are operations of the textbook formula, not of an approximation that hardware may use instead.
"""

from __future__ import annotations

import math

from torch import Tensor

from .pointwise import count, normalisation
from .provenance import tensors_in
from .rules import Op, OpCount, rule

__all__: list[str] = []

Costs = dict[str, int]


def _costs(**number: int) -> Costs:
    return number


_SIGMOID = _costs(adds=1, exps=1, divs=1)
_TANH = _costs(adds=2, exps=1, divs=1)
_SOFTPLUS = _costs(adds=1, exps=2, cmps=1)
# operations per element of the result
_ELEMENTWISE: dict[str, Costs] = {
    **dict.fromkeys(
        ("exp", "exp2", "log", "log2", "log10", "erf", "sin", "cos", "tan", "atan"), _costs(exps=1)
    ),
    **dict.fromkeys(("expm1", "log1p", "erfc"), _costs(exps=1, adds=1)),
    "sigmoid": _SIGMOID,
    "tanh": _TANH,
    "silu": {**_SIGMOID, "muls": 1},
    "softplus": _SOFTPLUS,
    "log_sigmoid_forward": _SOFTPLUS,
    "mish": _costs(adds=3, exps=3, divs=1, muls=1, cmps=1),
    "elu": _costs(cmps=1, exps=1, adds=1, muls=1),
    "celu": _costs(cmps=1, exps=1, adds=1, muls=2),
    "hardsigmoid": _costs(adds=1, cmps=2, muls=1),
    "hardswish": _costs(adds=1, cmps=2, muls=2),
    "_prelu_kernel": _costs(cmps=1, muls=1),
    "sqrt": _costs(sqrts=1),
    "rsqrt": _costs(sqrts=1, divs=1),
    "reciprocal": _costs(divs=1),
    "square": _costs(muls=1),
    "lerp": _costs(adds=2, muls=1),
    "addcmul": _costs(adds=1, muls=2),
    "addcdiv": _costs(adds=1, muls=1, divs=1),
    "round": _costs(cmps=1),
    "floor": _costs(cmps=1),
    "ceil": _costs(cmps=1),
    "trunc": _costs(cmps=1),
    "floor_divide": _costs(divs=1),
    **dict.fromkeys(("fmod", "remainder"), _costs(divs=1, muls=1, adds=1)),
    "linalg_cross": _costs(muls=2, adds=1),
}


@rule(*_ELEMENTWISE, *(f"{name}_" for name in _ELEMENTWISE))
def _elementwise(op: Op) -> OpCount | object:
    return _times(op, _first(op).numel(), _ELEMENTWISE[op.name.removesuffix("_")])


@rule("gelu", "gelu_")
def _gelu(op: Op) -> OpCount | object:
    if op.args.get("approximate") == "tanh":
        return _times(op, op.out.numel(), _costs(muls=5, adds=4, exps=1, divs=1))
    return _times(op, op.out.numel(), _costs(muls=2, adds=1, exps=1))


@rule("pow", "pow_")
def _power(op: Op) -> OpCount | object:
    exponent, size = op.args["exponent"], op.out.numel()
    if isinstance(exponent, (int, float)):
        inverse = size * (exponent < 0)
        if abs(exponent) == 0.5:
            return count(op, sqrts=size, divs=inverse)
        if exponent == int(exponent) and abs(exponent) < 64:
            whole = abs(int(exponent))
            products = whole.bit_length() + whole.bit_count() - 2 if whole else 0  # squarings and products
            return count(op, muls=products * size, divs=inverse)
    return count(op, exps=2 * size, muls=size)  # exp(y log x)


@rule("_softmax", "_log_softmax", "_safe_softmax", "softmax", "log_softmax", "logsumexp")
def _softmax(op: Op) -> OpCount | object:
    x = op.tensor("self")
    dims = op.args["dim"]
    n = math.prod(x.shape[d] for d in (dims if isinstance(dims, (list, tuple)) else [dims])) if x.ndim else 1
    size, groups = x.numel(), x.numel() // max(n, 1)
    cmps, adds = size - groups, 2 * size - groups
    if op.name == "logsumexp":
        return count(op, cmps=cmps, adds=adds + groups, exps=size + groups)
    if "log" in op.name:
        return count(op, cmps=cmps, adds=adds + size, exps=size + groups)
    return count(op, cmps=cmps, adds=adds, exps=size, divs=size)


@rule("native_layer_norm", "native_group_norm", "_fused_rms_norm")
def _norm(op: Op) -> OpCount | object:
    x = op.tensor("input")
    groups = next((t for t in reversed(list(tensors_in((op.out,))))), x).numel()  # a scale for each group
    weight, bias = (op.args.get(n) is not None for n in ("weight", "bias"))
    return count(op, **normalisation(x.numel(), groups, "rms" not in op.name, weight, bias))


@rule("var", "std", "var_mean", "std_mean")
def _variance(op: Op) -> OpCount | object:
    size, groups = op.tensor("self").numel(), _first(op).numel()
    return count(op, adds=3 * size, muls=size + 2 * groups, sqrts=groups * ("std" in op.name))


@rule("linalg_vector_norm", "norm")
def _vector_norm(op: Op) -> OpCount | object:
    size, groups = op.tensor("self", "x").numel(), op.out.numel()
    order = op.args.get("ord", op.args.get("p", 2))
    order = 2.0 if order is None else float(order)
    if math.isinf(order):
        return count(op, cmps=2 * size - groups)
    if order in (0, 1):
        return count(op, cmps=size, adds=size - groups)
    sums = _costs(adds=size - groups)
    return count(op, **sums, muls=size, sqrts=groups) if order == 2 else count(op, **sums, exps=2 * size)


@rule("_cdist_forward", "_euclidean_dist")
def _distances(op: Op) -> OpCount | object:
    order, pairs, k = float(op.args.get("p", 2)), op.out.numel(), op.tensor("x1").shape[-1]
    sums = _costs(adds=pairs * max(2 * k - 1, 0))
    if order == 2:
        return count(op, **sums, muls=pairs * k, sqrts=pairs)
    if order == 1:
        return count(op, **sums, cmps=pairs * k)
    if math.isinf(order):
        return count(op, adds=pairs * k, cmps=pairs * (2 * k - 1))
    return count(op, **sums, exps=2 * pairs * (k + 1))


@rule("prod", "cumprod", "cumprod_")
def _products(op: Op) -> OpCount | object:
    return count(op, muls=op.tensor("self").numel() - (0 if "cum" in op.name else op.out.numel()))


@rule("sort", "argsort", "msort", "topk", "kthvalue", "median", "mode")
def _order(op: Op) -> OpCount | object:
    x, dim = op.tensor("self"), op.args.get("dim", -1)
    n = x.shape[-1 if dim is None else int(dim)] if x.ndim else 1
    kept = int(op.args["k"]) + 1 if op.name == "topk" else n
    return count(op, cmps=x.numel() * math.ceil(math.log2(max(kept, 2))))


@rule("aminmax", "cummax", "cummin", "nonzero", "bucketize", "searchsorted")
def _search(op: Op) -> OpCount | object:
    edges = op.args.get("boundaries", op.args.get("sorted_sequence"))
    if isinstance(edges, Tensor):
        return count(op, cmps=op.out.numel() * math.ceil(math.log2(edges.shape[-1] + 1)))
    return count(op, cmps=op.tensor("self").numel() * (2 if op.name == "aminmax" else 1))


@rule("index_add", "index_add_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_", "col2im")
def _scatter(op: Op) -> OpCount | object:
    return count(op, adds=op.tensor("source", "src", "self").numel())


@rule("_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(op: Op) -> OpCount | object:
    words, out = op.tensor("indices").numel() * op.tensor("weight").shape[1], _first(op).numel()
    scaled = out * (op.args.get("mode", 0) == 1)
    return count(op, reads=words, adds=max(words - out, 0), muls=scaled)


_NEIGHBOURS = {
    "upsample_linear1d": 2,
    "upsample_bilinear2d": 4,
    "upsample_trilinear3d": 8,
    "upsample_bicubic2d": 16,
    "grid_sampler_2d": 4,
    "grid_sampler_3d": 8,
}


@rule(*_NEIGHBOURS)
def _interpolate(op: Op) -> OpCount | object:
    taps, size = _NEIGHBOURS[op.name], op.out.numel()
    mode = op.args.get("interpolation_mode", 0)  # of grid_sample: 1 nearest, 2 bicubic
    if mode == 1:
        return count(op, reads=size)
    taps = 16 if mode == 2 else taps
    return count(op, muls=taps * size, adds=(taps - 1) * size)


def _times(op: Op, size: int, costs: Costs) -> OpCount | object:
    return count(op, **{name: number * size for name, number in costs.items()})


def _first(op: Op) -> Tensor:
    return next(tensors_in((op.out,)))
