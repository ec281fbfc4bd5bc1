"""Prices against numbers worked out by hand; the network is in conftest.py."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from snnkit.energy import estimate, list_profiles, price, trace
from snnkit.errors import ConfigError, InputTypeError, UnknownNameError


def test_compute_energy_by_hand(tiny):
    report = price(tiny, dataflow="compute")
    # pairs 5 * 3 and 6 * 2; two biases in two steps; 6 neuron-steps, 6 spikes
    assert report.by_term == pytest.approx({"ac": 27 * 0.9, "bias": 4 * 0.9, "neuron": 6 * 5.5 + 6 * 0.9})
    assert report.total_pj == pytest.approx(66.3)
    assert report.by_layer == pytest.approx({"fc1": 13.5, "fire": 38.4, "fc2": 10.8 + 3.6})
    # step 1: 6 + 6 pairs, step 2: 9 + 6
    other = 3.6 / 2 + 38.4 / 2
    assert report.by_step == pytest.approx([12 * 0.9 + other, 15 * 0.9 + other])
    assert (report.acs, report.macs, report.std_pj) == (27, 0, None)


def test_event_memory_by_hand(tiny):
    report = price(tiny)
    word, address = 32 * 10 / 64, 2 * 10 / 64  # 8 kB memory; addresses of 3 and 4 neurons take 2 bits
    assert report.by_term == pytest.approx(
        {
            "ac": 24.3,
            "bias": 3.6,
            "neuron": 38.4,
            "mem_w": (27 + 4) * word,
            "mem_p": 2 * 27 * word,
            "mem_i": (5 + 6) * address,
            "mem_u": 2 * 6 * word,
            "mem_s": 6 * address,
        }
    )
    assert report.total_pj == pytest.approx(556.6125)
    assert sum(report.by_layer.values()) == pytest.approx(report.total_pj)
    assert sum(report.by_step) == pytest.approx(report.total_pj)


def test_reuse_divides_accesses(tiny):
    plain = price(tiny).by_term
    shared = price(tiny, reuse={"w": 4, "u": 2, "i": 5}).by_term
    assert shared["mem_p"] == pytest.approx(plain["mem_p"] / 2)
    assert shared["mem_u"] == pytest.approx(plain["mem_u"] / 2)
    assert shared["mem_i"] == pytest.approx(plain["mem_i"] / 5)
    assert shared["mem_w"] == pytest.approx(27 * 5 / 4 + 4 * 5)


def test_bitmap_encoding_by_hand(tiny):
    terms = price(tiny, encoding="bitmap").by_term
    bit = 10 / 64
    assert terms["mem_i"] == pytest.approx((2 * 4 + 2 * 3) * bit)
    assert terms["mem_s"] == pytest.approx(6 * bit)


def test_ann_twin_by_hand(tiny):
    ann = price(tiny).counterpart("ann")
    assert ann.by_term == pytest.approx(
        {"mac": 18 * 4.6, "bias": 1.8, "neuron": 2.7, "mem_w": 100, "mem_p": 180, "mem_i": 35, "mem_s": 15}
    )
    assert (ann.kind, ann.T, ann.by_step) == ("ann", 1, pytest.approx([417.3]))
    assert ann.macs == 18
    assert ann.std_pj == 0


def test_quantised_twin_by_hand(tiny):
    qann = price(tiny).counterpart("qann")  # ceil(log2(2 + 1)) = 2 bits
    assert qann.by_term == pytest.approx(
        {
            "mac": 18 * 0.3, "bias": 0.2, "neuron": 0.3, "mem_w": 100, "mem_p": 180,
            "mem_i": 14 * 10 / 64, "mem_s": 6 * 10 / 64,
        },
        rel=1e-3,
    )  # fmt: skip
    assert any("priced in integers" in w for w in qann.warnings)
    eight = price(tiny, "45nm-int8").counterpart("qann", bits=8)
    assert eight.by_term["mac"] == pytest.approx(18 * 0.23)
    assert not any("priced in integers" in w for w in eight.warnings)


@pytest.mark.parametrize(("steps", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4)])
def test_bits_of_the_quantised_twin(tiny_net, steps, bits):
    report = estimate(tiny_net, torch.ones(steps, 1, 4))
    assert f"activations {bits}," in " ".join(report.counterpart("qann").assumptions)


def test_sparsity_of_the_twin(tiny):
    ann = price(tiny).counterpart("ann", sparsity=0.5)
    assert ann.by_term["mac"] == pytest.approx(9 * 4.6)


def test_published_macs_and_acs():
    for hardware, mac, ac in (("45nm-fp32", 4.6, 0.9), ("45nm-fp16", 1.5, 0.4), ("45nm-int8", 0.23, 0.03)):
        real = estimate(nn.Linear(4, 3, bias=False), torch.randn(1, 4), hardware, dataflow="compute")
        assert real.by_term == pytest.approx({"mac": 12 * mac})
        spikes = estimate(nn.Linear(4, 3, bias=False), torch.ones(1, 4), hardware, dataflow="compute")
        assert spikes.by_term == pytest.approx({"ac": 12 * ac})


def test_integers_unroll_or_multiply():
    x = torch.tensor([[0.0, 1, 2, 4]])
    layer = nn.Linear(4, 3, bias=False)
    assert estimate(layer, x, dataflow="compute").by_term == pytest.approx({"ac": 7 * 3 * 0.9})
    assert estimate(layer, x, dataflow="compute", multilevel="mac").by_term == pytest.approx({"mac": 9 * 4.6})
    image = torch.arange(256.0).view(1, 256)
    assert set(estimate(nn.Linear(256, 2, bias=False), image, dataflow="compute").by_term) == {"mac"}


def test_scaled_spikes_cost_a_scaling_unless_a_power_of_two():
    layer = nn.Linear(4, 3, bias=False)
    assert "scale" not in estimate(layer, torch.tensor([[0, 0.5, 0.5, 0]])).by_term
    assert estimate(layer, torch.tensor([[0, 0.3, 0.3, 0]])).by_term["scale"] == pytest.approx(3 * 3.7)


def test_zero_skip_and_padding_options():
    conv, x = nn.Conv2d(1, 1, 3, padding=1, bias=False), torch.randn(1, 1, 8, 8)
    x[..., :4] = 0
    kwargs = {"dataflow": "compute"}
    assert estimate(conv, x, **kwargs).macs == 484
    assert estimate(conv, x, padding="dense", **kwargs).macs == 576
    assert estimate(conv, x, zero_skip=True, **kwargs).macs == trace(conv, x).total.sop
    spikes = x.ne(0).float()
    assert estimate(conv, spikes, padding="dense", **kwargs).acs == pytest.approx(576 * 0.5)


class Multiply(nn.Module):
    def forward(self, a, b):
        return a @ b


@pytest.mark.parametrize(("policy", "pairs"), [("single", 4), ("left", 4), ("right", 6), ("intersect", 2)])
def test_product_of_spikes(policy, pairs):
    a, b = torch.tensor([[[1.0, 0], [1, 0]]]), torch.tensor([[[0.0, 1], [1, 1]]])  # nnz 2 and 3, each times 2
    assert estimate(Multiply(), (a, b), dataflow="compute", spike_matmul=policy).acs == pairs


def test_product_of_spikes_and_reals_streams_the_spikes():
    spikes, reals = torch.tensor([[[1.0, 0], [1, 1]]]), torch.randn(1, 2, 5)
    assert estimate(Multiply(), (spikes, reals), dataflow="compute").by_term == pytest.approx(
        {"ac": 3 * 5 * 0.9}
    )
    assert estimate(Multiply(), (reals.mT, spikes), dataflow="compute").acs == 3 * 5
    assert estimate(Multiply(), (reals.mT, reals), dataflow="compute").macs == 50


def test_memory_level_follows_the_size():
    small = estimate(nn.Linear(8, 8, bias=False), torch.ones(1, 8)).by_term["mem_w"] / 64
    large = estimate(nn.Linear(200, 200, bias=False), torch.ones(1, 200)).by_term["mem_w"] / 40000
    huge = estimate(nn.Linear(600, 600, bias=False), torch.ones(1, 600)).by_term["mem_w"] / 360000
    assert (small, large, huge) == pytest.approx((5, 50, 650))


def test_mean_and_spread_over_samples():
    events = torch.zeros(3, 4)
    for i in range(3):
        events[i, : i + 1] = 1
    report = estimate(nn.Linear(4, 3, bias=False), [events[:2], events[2:]], dataflow="compute")
    singles = [estimate(nn.Linear(4, 3, bias=False), e[None], dataflow="compute").total_pj for e in events]
    assert report.samples == 3
    assert report.total_pj == pytest.approx(sum(singles) / 3)
    assert report.std_pj == pytest.approx(torch.tensor(singles).std().item())


def test_spread_of_attention_includes_all_its_counts():
    g = torch.Generator().manual_seed(1)
    a, b = ((torch.rand(5, 6, 6, generator=g) < 0.4).float() for _ in range(2))
    report = estimate(Multiply(), (a, b), spike_matmul="left")
    singles = [
        estimate(Multiply(), (x[None], y[None]), spike_matmul="left").total_pj
        for x, y in zip(a, b, strict=True)
    ]
    assert report.total_pj == pytest.approx(sum(singles) / 5)
    assert report.std_pj == pytest.approx(torch.tensor(singles, dtype=torch.float64).std().item())


def test_one_trace_serves_many_profiles(tiny):
    totals = {name: price(tiny, name).total_pj for name in list_profiles()}
    assert all(total > 0 for total in totals.values())
    assert totals["45nm-int8"] < totals["45nm-fp16"] < totals["45nm-fp32"]


def test_operations_without_a_price_are_listed():
    class Mask(nn.Module):
        def forward(self, a, b):
            return a * b

    a = (torch.rand(2, 8) < 0.5).float()
    report = estimate(Mask(), (a, a))
    assert [(u.op, u.elements) for u in report.uncounted] == [("and_ops", 16)]
    assert any("no price" in w for w in report.warnings)


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"dataflow": "magic"}, "dataflow"),
        ({"weight_bits": 0}, "weight_bits"),
        ({"act_bits": 65}, "act_bits"),
        ({"state_bits": 8.0}, "state_bits"),
        ({"padding": "none"}, "padding"),
        ({"encoding": "morse"}, "encoding"),
        ({"spike_matmul": "both"}, "spike_matmul"),
        ({"multilevel": "magic"}, "multilevel"),
        ({"unroll_levels": 0}, "unroll_levels"),
        ({"zero_skip": "yes"}, "zero_skip"),
        ({"reuse": {"x": 2}}, "reuse"),
        ({"reuse": {"w": 0.5}}, "reuse"),
        ({"reuse": {"w": math.nan}}, "reuse"),
        ({"arithmetic": "fixed"}, "arithmetic"),
        ({"arithmetic": "float", "weight_bits": 8}, "has no float mul"),
    ],
)
def test_bad_options(tiny, kwargs, match):
    with pytest.raises(ConfigError, match=match):
        price(tiny, **kwargs)


def test_bad_calls(tiny, tiny_net):
    report = price(tiny)
    with pytest.raises(InputTypeError):
        price(tiny_net)
    with pytest.raises(ConfigError, match="kind"):
        report.counterpart("cnn")
    with pytest.raises(ConfigError, match="bits"):
        report.counterpart("qann", bits=0)
    with pytest.raises(ConfigError, match="bits"):
        report.counterpart("ann", bits=4)
    with pytest.raises(ConfigError, match="sparsity"):
        report.counterpart("ann", sparsity=1.0)
    with pytest.raises(ConfigError, match="no sample"):
        estimate(nn.Linear(4, 3), torch.zeros(0, 4))
    with pytest.raises(UnknownNameError, match="did you mean '45nm-fp32'"):
        price(tiny, "45nm-fp23")
    with pytest.raises(InputTypeError):
        price(tiny, 45)
