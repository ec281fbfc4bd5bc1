"""Weight quantisers: published golden values, gradients against 40 digits, laws over the registry."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pytest
import torch
from torch import Tensor, nn

from snnkit.errors import NotCalibratedError, QuantConfigError
from snnkit.quant import LSQ, QUANTIZERS, Binary, Quantizer, StatsQ, Ternary, lsq_round

V = [-2.5, -1.3, -0.625, -0.1, 0, 0.125, 0.3, 0.8, 1.75, 3]
G = [1, -1, 0.5, 2, 1, -0.5, 1, 0.25, 1, -2]
W = torch.tensor([[0.5, -0.2, 0.05, -0.9, 0.3, 0.0]], dtype=torch.float64)


def gradients(v: Tensor, s: Tensor, g: Tensor, low: int, high: int, factor: float) -> tuple[Tensor, ...]:
    v, s = v.clone().requires_grad_(), s.clone().requires_grad_()
    out = lsq_round(v, s, low, high, factor)
    out.backward(g)
    assert v.grad is not None
    assert s.grad is not None
    return out.detach(), v.grad, s.grad


@pytest.mark.parametrize(
    ("bits", "s", "codes", "raw", "factor", "ds"),
    [
        (4, 0.25, [-8, -5, -2, 0, 0, 0, 1, 3, 7, 7], -14.15, 0.11952286093343936, -1.691248482208167),
        (2, 1.0, [-2, -1, -1, 0, 0, 0, 0, 1, 1, 1], -3.475, 0.31622776601683794, -1.0988914869085118),
    ],
)
def test_golden(bits: int, s: float, codes: list[int], raw: float, factor: float, ds: float) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    assert 1 / math.sqrt(len(V) * high) == pytest.approx(factor, rel=1e-15)
    v, g = torch.tensor(V, dtype=torch.float64), torch.tensor(G, dtype=torch.float64)
    out, dv, got = gradients(v, torch.tensor(s, dtype=torch.float64), g, low, high, factor)
    assert (out / s).tolist() == codes
    assert dv.tolist() == [0, -1, 0.5, 2, 1, -0.5, 1, 0.25, 0, 0]
    assert got.item() == pytest.approx(ds, abs=1e-12)
    assert gradients(v, torch.tensor(s).double(), g, low, high, 1.0)[2].item() == pytest.approx(
        raw, abs=1e-12
    )
    single = lsq_round(v.float(), torch.tensor(s), low, high)
    assert (single / s).tolist() == codes


def test_golden_start() -> None:
    layer = LSQ(torch.tensor([V], dtype=torch.float64), 4, per_channel=False)
    assert layer.step.item() == pytest.approx(0.7937253933193772, abs=1e-12)
    rows = torch.stack([torch.full((6,), 1.0), torch.full((6,), 3.0)])
    assert LSQ(rows, 4).step.tolist() == pytest.approx([2 / math.sqrt(7), 6 / math.sqrt(7)])


def test_golden_ternary_and_statsq() -> None:
    ternary = Ternary(W, per_channel=False)
    assert ternary.codes(W).codes.tolist() == [[1, -1, 0, -1, 1, 0]]
    assert ternary.codes(W).step.item() == pytest.approx(0.325, abs=1e-12)
    for bits, k, values in (
        (2, [1, -1, 0, -2, 0, 0], [0.4875, -0.1625, 0.1625, -0.4875, 0.1625, 0.1625]),
        (4, [6, -3, 0, -8, 3, 0], [0.528125, -0.203125, 0.040625, -0.609375, 0.284375, 0.040625]),
    ):
        statsq = StatsQ(W, bits)
        assert ((statsq.codes(W).codes - 1) // 2).tolist() == [k]
        assert statsq(W)[0].tolist() == pytest.approx(values, abs=1e-12)
    assert Binary(W).codes(W).codes.tolist() == [[1, -1, 1, -1, 1, 1]]


def test_gradients_against_forty_digits() -> None:
    """100,000 cases: random values, exact boundaries, ties, steps down to subnormal ones."""
    n = 100_000
    gen = torch.Generator().manual_seed(1)
    bits = torch.randint(2, 9, (n,), generator=gen)
    s = torch.exp(4 * torch.randn(n, generator=gen))
    s[::7] = torch.exp2(torch.randint(-140, 100, (len(s[::7]),), generator=gen).double()).float()
    r = torch.randn(n, generator=gen) * torch.exp2(bits - 1.0)
    r[::5] = (r[::5] * 2).round() / 2
    v, g = r * s, torch.randn(n, generator=gen)
    for b in range(2, 9):
        which = bits == b
        low, high = -(2 ** (b - 1)), 2 ** (b - 1) - 1
        factor = 1 / math.sqrt(high)
        out, dv, ds = gradients(v[which], s[which], g[which], low, high, factor)
        with localcontext() as context:
            context.prec = 40
            ratio = [
                Decimal(a) / Decimal(c) for a, c in zip(v[which].tolist(), s[which].tolist(), strict=True)
            ]
            clipped = [min(max(x, Decimal(low)), Decimal(high)) for x in ratio]
            codes = [x.quantize(Decimal(1), ROUND_HALF_EVEN) for x in clipped]
            inside = [low < x < high for x in ratio]
            d = [q - x if i else x for q, x, i in zip(codes, clipped, inside, strict=True)]
            scale = Decimal(1) / Decimal(high).sqrt()
            wanted = [float(Decimal(a) * x * scale) for a, x in zip(g[which].tolist(), d, strict=True)]
        assert torch.equal(out, torch.tensor([float(q) for q in codes]) * s[which])
        assert torch.equal(dv, g[which] * torch.tensor(inside))
        reference = torch.tensor(wanted, dtype=torch.float64)
        error = (ds.double() - reference).abs() / reference.abs().clamp(min=1e-37)
        assert error.max() <= 1e-6


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("scheme", QUANTIZERS.names())
def test_laws(scheme: str, per_channel: bool) -> None:
    weight = torch.randn(5, 3, 2, 2)
    bits = {"ternary": 2, "binary": 1}.get(scheme, 3)
    for pow2 in (False, True):
        q: Quantizer = QUANTIZERS.get(scheme)(weight, bits, per_channel=per_channel, pow2=pow2)
        codes, step = q.codes(weight)
        assert step.shape == ((5,) if per_channel else ())
        assert torch.equal(q(weight), codes * q.along(step, weight))
        assert int(codes.max()) < 2 ** (q.code_bits - 1)
        assert int(codes.min()) >= -(2 ** (q.code_bits - 1))
        assert len(codes.unique()) <= 2**bits
        if pow2:
            assert torch.equal(torch.log2(step), torch.log2(step).round())
        w = weight.clone().requires_grad_()
        q(w).sum().backward()
        assert w.grad is not None
        assert set(w.grad.unique().tolist()) <= {0.0, 1.0}


def test_binary_gradient_ends_at_one() -> None:
    w = torch.tensor([[0.5, 1.0, -1.0, 1.01, -3.0]], requires_grad=True)
    Binary(w)(w).sum().backward()
    assert w.grad is not None
    assert w.grad.tolist() == [[1, 1, 1, 0, 0]]


def test_the_gradient_scale_counts_the_channel() -> None:
    weight = torch.randn(4, 9)
    whole, rows = LSQ(weight, 4), [LSQ(w.unsqueeze(0), 4) for w in weight]
    whole(weight).square().sum().backward()
    for i, one in enumerate(rows):
        one(weight[i : i + 1]).square().sum().backward()
        assert one.step.grad is not None
        assert whole.step.grad is not None
        assert torch.allclose(whole.step.grad[i], one.step.grad[0], rtol=1e-6)


def test_steps_stay_positive() -> None:
    q = LSQ(torch.randn(2, 8), 4)
    with torch.no_grad():
        q.step[0] = -1.0
    with pytest.raises(NotCalibratedError, match="1 of 2 steps"):
        q(torch.randn(2, 8))
    q.project()
    assert bool((q.step > 0).all())
    with torch.no_grad():
        q.step[1] = math.nan
    q.project()
    with pytest.raises(NotCalibratedError):
        q(torch.randn(2, 8))


def test_fitted_steps_are_better() -> None:
    weight = torch.randn(6, 200)
    q = LSQ(weight, 4)
    before = (q(weight) - weight).square().sum(1)
    q.fit(weight)
    assert bool(((q(weight) - weight).square().sum(1) <= before).all())


def test_one_bit_has_no_step() -> None:
    with pytest.raises(QuantConfigError, match="binary"):
        LSQ(torch.randn(2, 2), 1)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of the compiler
@pytest.mark.parametrize("scheme", QUANTIZERS.names())
def test_compiles(scheme: str) -> None:
    q = QUANTIZERS.get(scheme)(torch.randn(3, 4), {"ternary": 2, "binary": 1}.get(scheme, 4))
    w = torch.randn(3, 4)
    assert torch.equal(torch.compile(q, fullgraph=True, backend="eager")(w), q(w))
    assert isinstance(q, nn.Module)
