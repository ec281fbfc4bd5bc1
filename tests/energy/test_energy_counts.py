"""Counts against the obvious oracle: a loop over outputs, taps and channels in plain Python."""

from __future__ import annotations

import contextlib
import itertools
import random

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from snnkit.energy import Counts, trace

GROUPS = 51  # seeds per kind; 11 kinds, in up to 4 modes: over 2100 traces


def spikes(rng: random.Random, *shape: int, kind: str) -> Tensor:
    g = torch.Generator().manual_seed(rng.randrange(2**31))
    mask = torch.rand(shape, generator=g) < rng.choice([0.05, 0.3, 0.8])
    if kind == "bool":
        return mask
    values = {
        "binary": torch.ones(shape),
        "integer": torch.randint(1, 5, shape, generator=g).float(),
        "ternary": torch.randint(0, 2, shape, generator=g).float() * 2 - 1,
        "real": torch.randn(shape, generator=g),
    }[kind]
    return mask * values


def conv_oracle(x, w, out_shape, stride, low, dilation, groups, transposed):
    """Slots and pairs, counted one by one. ``low`` is the padding before the first position."""
    counts = dict.fromkeys(["dense", "valid", "sop", "sop_w", "sum_abs"], 0)
    x, w = x.double().numpy(), w.detach().double().numpy()
    batch, size, dims = x.shape[0], x.shape[2:], w.ndim - 2
    per_group_out = w.shape[1] if transposed else w.shape[0] // groups
    per_group_in = x.shape[1] // groups
    taps = list(itertools.product(*(range(k) for k in w.shape[2:])))
    for b, g, ci, co in itertools.product(
        range(batch), range(groups), range(per_group_in), range(per_group_out)
    ):
        c_in, c_out = g * per_group_in + ci, g * per_group_out + co
        start = size if transposed else out_shape
        for position in itertools.product(*(range(n) for n in start)):
            for tap in taps:
                counts["dense"] += 1
                other = [position[d] * stride[d] - low[d] + tap[d] * dilation[d] for d in range(dims)]
                limit = out_shape if transposed else size
                if any(not 0 <= other[d] < limit[d] for d in range(dims)):
                    continue
                counts["valid"] += 1
                value = float(x[(b, c_in, *(position if transposed else other))])
                weight = w[(c_in, co, *tap)] if transposed else w[(c_out, ci, *tap)]
                counts["sop"] += value != 0
                counts["sop_w"] += value != 0 and float(weight) != 0
                counts["sum_abs"] += abs(value)
    return counts


MODES = {
    "grad": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


def check(model, inputs, expected, modes=tuple(MODES)):
    for mode in modes:
        with MODES[mode]():
            result = trace(model, inputs)
        alphabet = result.records[0].a  # of few values, several alphabets are possible
        for name, value in expected.items():
            if name == "sum_abs":
                value = round(value / alphabet.unit) if alphabet.is_event else 0
            if name != "nnz_out" or mode != "autocast":  # rounding may cancel an output
                assert getattr(result.total, name) == value, (name, mode)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("seed", range(GROUPS))
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolution_equals_brute_force(dims, seed):
    rng = random.Random(1000 * dims + seed)
    groups = rng.choice([1, 1, 2, 3])
    cin, cout = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    kernel = [rng.randint(1, 3) for _ in range(dims)]
    dilation = [rng.randint(1, 2) for _ in range(dims)]
    kind = rng.choice(["binary", "bool", "integer", "ternary", "real"])
    dtype = rng.choice([torch.float32, torch.float64, torch.bfloat16])
    mode = rng.choice(["zeros", "zeros", "same", "circular", "reflect", "replicate"])
    size = [rng.randint((k - 1) * e + 1, (k - 1) * e + 4) for k, e in zip(kernel, dilation, strict=True)]
    if mode == "same":
        stride, padding = [1] * dims, "same"
    else:
        stride = [rng.randint(1, 3) for _ in range(dims)]
        top = [n - 1 if mode == "reflect" else n for n in size]
        padding = [min(rng.randint(0, 2), t) for t in top]
    x = spikes(rng, rng.randint(1, 3), cin, *size, kind=kind).to(dtype)
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](
        cin, cout, kernel, stride, padding, dilation, groups, bias=rng.random() < 0.5, dtype=dtype,
        padding_mode="zeros" if mode in ("zeros", "same") else mode,
    )  # fmt: skip
    if rng.random() < 0.4:
        with torch.no_grad():
            conv.weight.mul_((torch.rand(conv.weight.shape) < 0.5).to(dtype))
    out = conv(x).shape[2:]
    if mode == "same":
        low = [e * (k - 1) // 2 for k, e in zip(kernel, dilation, strict=True)]
        source = x
    elif mode == "zeros":
        low, source = padding, x
    else:  # copies of events are events
        low = [0] * dims
        source = F.pad(x.double(), [p for n in reversed(padding) for p in (n, n)], mode=mode)
    expected = conv_oracle(source, conv.weight, out, stride, low, dilation, groups, False)
    expected |= {"bias_add": (conv.bias is not None) * conv(x).numel(), "numel_in": source.numel()}
    expected["nnz_in"] = int(source.count_nonzero())
    expected["nnz_out"] = int(conv(x).count_nonzero())
    check(conv, x, expected)


@pytest.mark.parametrize("seed", range(GROUPS))
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_convolution_equals_brute_force(dims, seed):
    rng = random.Random(7000 * dims + seed)
    groups = rng.choice([1, 2])
    cin, cout = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    kernel = [rng.randint(1, 3) for _ in range(dims)]
    stride = [rng.randint(1, 3) for _ in range(dims)]
    dilation = [rng.randint(1, 2) for _ in range(dims)]
    extra = [rng.randrange(max(s, e)) for s, e in zip(stride, dilation, strict=True)]
    size = [rng.randint(2, 4) for _ in range(dims)]
    full = [
        (n - 1) * s + e * (k - 1) + x + 1
        for n, s, e, k, x in zip(size, stride, dilation, kernel, extra, strict=True)
    ]
    padding = [rng.randint(0, min(2, (f - 1) // 2)) for f in full]
    kind = rng.choice(["binary", "integer", "real"])
    conv = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1](
        cin, cout, kernel, stride, padding, extra, groups, bias=rng.random() < 0.5, dilation=dilation
    )
    if rng.random() < 0.4:
        with torch.no_grad():
            conv.weight.mul_(torch.rand(conv.weight.shape) < 0.5)
    x = spikes(rng, rng.randint(1, 2), cin, *size, kind=kind)
    out = conv(x).shape[2:]
    expected = conv_oracle(x, conv.weight, out, stride, padding, dilation, groups, True)
    check(conv, x, expected)


@pytest.mark.parametrize("seed", range(GROUPS))
def test_linear_equals_brute_force(seed):
    rng = random.Random(seed)
    lead = [rng.randint(1, 3) for _ in range(rng.randint(0, 3))]
    k, n = rng.randint(1, 6), rng.randint(1, 5)
    kind = rng.choice(["binary", "integer", "ternary", "real"])
    dtype = rng.choice([torch.float32, torch.float64, torch.bfloat16, torch.float16])
    layer = nn.Linear(k, n, bias=rng.random() < 0.5, dtype=dtype)
    if rng.random() < 0.4:
        with torch.no_grad():
            layer.weight.mul_((torch.rand(n, k) < 0.5).to(dtype))
    x = spikes(rng, *lead, k, kind=kind).to(dtype)
    if len(lead) > 1 and rng.random() < 0.5:
        x = x.transpose(0, 1)  # not contiguous: another path inside of torch
    expected = dict.fromkeys(["dense", "sop", "sop_w", "sum_abs"], 0)
    weight = layer.weight.tolist()
    for row in x.reshape(-1, k).tolist():
        for j, value in enumerate(row):
            for i in range(n):
                expected["dense"] += 1
                expected["sop"] += value != 0
                expected["sop_w"] += value != 0 and weight[i][j] != 0
                expected["sum_abs"] += abs(value)
    expected["valid"] = expected["dense"]
    expected["bias_add"] = (layer.bias is not None) * layer(x).numel()
    check(layer, x, expected)


class Product(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, a, b):
        if self.how == "einsum":
            return torch.einsum("...mk,...kn->...mn", a, b)
        if self.how == "baddbmm":
            return torch.baddbmm(torch.zeros(1, 1, 1), a.flatten(0, -3), b.flatten(0, -3))
        return a @ b


@pytest.mark.parametrize("seed", range(GROUPS))
def test_product_of_activations_equals_brute_force(seed):
    rng = random.Random(seed)
    lead = [rng.randint(1, 3) for _ in range(rng.randint(1, 3))]
    m, k, n = (rng.randint(1, 5) for _ in range(3))
    a = spikes(rng, *lead, m, k, kind=rng.choice(["binary", "integer", "real"]))
    b = spikes(rng, *lead, k, n, kind=rng.choice(["binary", "integer", "real"]))
    expected = dict.fromkeys(["dense", "pairs_a", "pairs_b", "pairs_ab"], 0)
    for mats in zip(a.reshape(-1, m, k).tolist(), b.reshape(-1, k, n).tolist(), strict=True):
        for i, j, h in itertools.product(range(m), range(k), range(n)):
            x, y = mats[0][i][j], mats[1][j][h]
            expected["dense"] += 1
            expected["pairs_a"] += x != 0
            expected["pairs_b"] += y != 0
            expected["pairs_ab"] += x != 0 and y != 0
    check(Product(rng.choice(["matmul", "einsum", "baddbmm"])), (a, b), expected)


FORMS = {  # how a product with a weight can be written: x [B, N, K], w [O, K]
    "linear": lambda x, w: F.linear(x, w),
    "matmul": lambda x, w: x @ w.t(),
    "left": lambda x, w: w @ x.mT,
    "einsum": lambda x, w: torch.einsum("bnk,ok->bno", x, w),
    "swapped": lambda x, w: torch.einsum("ok,bnk->nob", w, x),
    "tensordot": lambda x, w: torch.tensordot(x, w, dims=([2], [1])),
    "inner": lambda x, w: torch.inner(x, w),
    "mm": lambda x, w: torch.mm(x.flatten(0, 1), w.t()),
    "addmm": lambda x, w: torch.addmm(torch.zeros(len(w), dtype=w.dtype), x.flatten(0, 1), w.t(), alpha=2),
    "bmm": lambda x, w: torch.bmm(x, w.t().expand(len(x), -1, -1)),
    "baddbmm": lambda x, w: torch.baddbmm(
        torch.zeros(1, 1, 1, dtype=w.dtype), x, w.t().expand(len(x), -1, -1)
    ),
    "addmm_": lambda x, w: x.new_zeros(x[..., 0].numel(), len(w)).addmm_(x.flatten(0, 1), w.t()),
    "baddbmm_": lambda x, w: x.new_zeros(*x.shape[:2], len(w)).baddbmm_(x, w.t().expand(len(x), -1, -1)),
    "addbmm_": lambda x, w: x.new_zeros(x.shape[1], len(w)).addbmm_(x, w.t().expand(len(x), -1, -1)),
    "mv": lambda x, w: [torch.mv(w, row) for row in x.flatten(0, 1)],
    "addmv": lambda x, w: [torch.addmv(torch.zeros(len(w), dtype=w.dtype), w, r) for r in x.flatten(0, 1)],
    "dot": lambda x, w: [torch.dot(row, column) for row in x.flatten(0, 1) for column in w],
    "convolution": lambda x, w: F.conv1d(x.mT, w.unsqueeze(2)),
    "transposed": lambda x, w: F.conv_transpose1d(x.mT, w.t().unsqueeze(2)),
    "vmap": lambda x, w: torch.vmap(lambda row: row @ w.t())(x),
}


class Weighted(nn.Module):
    def __init__(self, form, weight):
        super().__init__()
        self.form, self.weight = FORMS[form], nn.Parameter(weight)

    def forward(self, x):
        return self.form(x, self.weight)


@pytest.mark.parametrize("seed", range(GROUPS))
def test_every_form_of_a_weight_product_equals_brute_force(seed):
    rng = random.Random(seed)
    form = list(FORMS)[seed % len(FORMS)]
    b, n, k, o = (rng.randint(1, 4) for _ in range(4))
    dtype = rng.choice([torch.float32, torch.float64, torch.bfloat16])
    x = spikes(rng, b, n, k, kind=rng.choice(["binary", "integer", "ternary", "real"])).to(dtype)
    w = spikes(rng, o, k, kind="real").to(dtype)
    expected = dict.fromkeys(["dense", "sop", "sop_w", "sum_abs"], 0)
    for row, i, j in itertools.product(x.reshape(-1, k).tolist(), range(k), range(o)):
        expected["dense"] += 1
        expected["sop"] += row[i] != 0
        expected["sop_w"] += row[i] != 0 and float(w[j, i]) != 0
        expected["sum_abs"] += abs(row[i])
    expected["valid"] = expected["dense"]
    check(
        Weighted(form, w),
        x,
        expected,
        modes=[m for m in MODES if m != "autocast" or not (form == "vmap" or form.endswith("_"))],
    )


class Einsum(nn.Module):
    def __init__(self, equation):
        super().__init__()
        self.equation = equation

    def forward(self, a, b):
        return torch.einsum(self.equation, a, b)


@pytest.mark.parametrize("seed", range(GROUPS))
def test_einsum_of_activations_equals_brute_force(seed):
    """Any letters: of both operands and the result, summed, of one operand only."""
    rng = random.Random(seed)
    size = dict(zip("bcmnk", (rng.randint(1, 4) for _ in range(5)), strict=True))
    batch = "".join(rng.sample("bc", rng.randint(0, 2)))
    left, right = list(batch + "mk"), list(batch + "kn")
    out = list(batch + "mn")
    for letters in (left, right, out):
        rng.shuffle(letters)
    a = spikes(rng, *(size[c] for c in left), kind=rng.choice(["binary", "integer", "real"]))
    b = spikes(rng, *(size[c] for c in right), kind=rng.choice(["binary", "integer", "real"]))
    expected = dict.fromkeys(["dense", "both"], 0)
    letters = batch + "mnk"
    for index in itertools.product(*(range(size[c]) for c in letters)):
        at = dict(zip(letters, index, strict=True))
        x, y = float(a[tuple(at[c] for c in left)]), float(b[tuple(at[c] for c in right)])
        expected["dense"] += 1
        expected["both"] += x != 0 and y != 0
    expected["pairs_ab"] = expected.pop("both")
    equation = f"{''.join(left)},{''.join(right)}->{''.join(out)}"
    check(Einsum(equation), (a, b), expected)


@pytest.mark.parametrize("seed", range(GROUPS))
def test_bilinear_layers_equal_brute_force(seed):
    rng = random.Random(seed)
    b, i, j, o = (rng.randint(1, 4) for _ in range(4))
    layer = nn.Bilinear(i, j, o, bias=rng.random() < 0.5)
    if rng.random() < 0.4:
        with torch.no_grad():
            layer.weight.mul_(torch.rand(layer.weight.shape) < 0.5)
    x, y = (spikes(rng, b, n, kind=rng.choice(["binary", "real"])) for n in (i, j))
    expected, weight = dict.fromkeys(["dense", "sop", "sop_w"], 0), layer.weight.tolist()
    for n, p, q, r in itertools.product(range(b), range(i), range(j), range(o)):
        event = float(x[n, p]) != 0 and float(y[n, q]) != 0
        expected["dense"] += 1
        expected["sop"] += event
        expected["sop_w"] += event and weight[r][p][q] != 0
    expected["bias_add"] = (layer.bias is not None) * b * o
    check(layer, (x, y), expected, modes=["grad", "no_grad", "inference"])


def test_other_products_of_three_operands_are_listed():
    class Sum(nn.Module):
        def forward(self, x):
            return torch._trilinear(x, x, x, [], [], [], [1])

    result = trace(Sum(), torch.rand(2, 3))
    assert [(u.op, u.matmul) for u in result.uncounted] == [("_trilinear", True)]


def test_closed_form_of_a_full_map():
    total = trace(nn.Conv2d(1, 1, 3, padding=1), torch.ones(1, 1, 8, 8)).total
    assert (total.sop, total.valid, total.dense) == (22**2, 22**2, 576)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_input_without_a_batch_axis(dims):
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](2, 3, 3, padding=1)
    x = (torch.rand(2, *[5] * dims) < 0.4).float()
    single, batched = trace(conv, x), trace(conv, x.unsqueeze(0))
    assert single.total == batched.total
    assert single.samples == 1


@pytest.mark.parametrize("pad", [(1, 2, 0, 3), (-1, 2, 1, 0)])
def test_explicit_zero_padding_is_no_valid_input(pad):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3, stride=2)

        def forward(self, x):
            return self.conv(F.pad(x, pad))

    net, x = Padded(), torch.ones(2, 2, 6, 7)
    total = trace(net, x).total
    assert total.sop == total.valid == int(F.conv2d(F.pad(x, pad), torch.ones(3, 2, 3, 3), stride=2).sum())
    assert total.dense == net(x).numel() * 18


def test_unfolded_convolution_counts_like_the_convolution():
    conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)

    class Unfolded(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = conv.weight

        def forward(self, x):
            columns = F.unfold(x, 3, padding=1)
            return (self.weight.flatten(1) @ columns).unflatten(2, x.shape[2:])

    x = (torch.rand(3, 2, 5, 6) < 0.3).float()
    assert torch.allclose(Unfolded()(x), conv(x), atol=1e-5)
    assert trace(Unfolded(), x).total.sop == trace(conv, x).total.sop


def test_weight_on_the_left_counts_the_events_of_the_right():
    class Left(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(7, 5))

        def forward(self, x):
            return self.weight @ x

    x = (torch.rand(5, 4) < 0.5).float()
    total = trace(Left(), x).total
    assert (total.sop, total.dense, total.pairs_b) == (7 * int(x.sum()), 7 * 5 * 4, 0)


def test_a_binary_weight_is_no_spike():
    layer = nn.Linear(6, 5, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.randint(0, 2, (5, 6)))
    record = trace(layer, torch.randn(3, 6)).records[0]
    assert record.a.name == "real"


@pytest.mark.parametrize("bias", [True, False])
def test_functional_equals_module(bias):
    conv, x = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=bias), (torch.rand(2, 2, 9, 9) < 0.2).float()

    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = conv.weight, conv.bias

        def forward(self, x):
            return F.conv2d(x, self.weight, self.bias, 2, 1)

    assert trace(Functional(), x).total == trace(conv, x).total


def test_empty_batch():
    result = trace(nn.Conv2d(1, 2, 3), torch.zeros(0, 1, 5, 5))
    assert result.samples == 0
    assert result.total.sop == result.total.dense == 0


def test_counts_add():
    assert Counts(sop=2, dense=5) + Counts(sop=1, calls=1) == Counts(sop=3, dense=5, calls=1)
    assert sum([Counts(sop=1)] * 3) == Counts(sop=3)
    with pytest.raises(TypeError):
        Counts() + 1
