"""Data-flows, encodings and memories against numbers worked out by hand; the network is in conftest.py.

fc1: 4 -> 3, 15 synaptic operations of 24 slots, 5 events of 8 inputs; fire: 3 neurons, 2 steps, 6 spikes;
fc2: 3 -> 2 with bias, 12 operations, 6 events. A word of 32 bits costs 5 pJ.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from snnkit.energy import Profile, estimate, load_profile, price, trace
from snnkit.energy.axes import Axes
from snnkit.energy.dataflow import FLOWS
from snnkit.energy.profile import MemoryLevel
from snnkit.errors import ConfigError, ProfileError

WORD, BIT = 5.0, 10 / 64
STATES = 2 * 6 * WORD
ADDRESS = 2 * BIT


def memory(report):
    return {term: pj for term, pj in report.by_term.items() if term.startswith("mem")}


def test_no_reuse_is_the_event_flow_without_factors(tiny):
    assert memory(price(tiny, dataflow="no_reuse")) == memory(price(tiny))
    with pytest.raises(ConfigError, match="no factor for"):
        price(tiny, dataflow="no_reuse", reuse={"w": 2})


def test_weight_stationary_by_hand(tiny):
    terms = memory(price(tiny, dataflow="weight_stationary", reuse={"u": 2, "i": 3}))
    slots = 24 + 12
    assert terms == pytest.approx(
        {
            "mem_w": (12 + 6 + 2) * WORD,  # every weight and bias once per inference
            "mem_p": 2 * slots * WORD / 2,
            "mem_u": STATES / 2,
            "mem_i": slots * BIT / 3,
            "mem_s": 6 * ADDRESS,
        }
    )


def test_weights_that_fit_no_bounded_memory_are_read_at_every_step(tiny):
    dram = price(tiny, dataflow="weight_stationary", levels={"w": "dram"}).by_term["mem_w"]
    assert dram == pytest.approx(2 * 20 * 32 * 1300 / 64)  # 18 weights, 2 biases
    once = price(tiny, dataflow="compulsory", levels={"w": "dram"}).by_term["mem_w"]
    assert once == pytest.approx(20 * 32 * 1300 / 64)


def test_output_stationary_by_hand(tiny):
    terms = memory(price(tiny, dataflow="output_stationary", reuse={"w": 4}))
    assert terms == pytest.approx(
        {"mem_w": (36 / 4 + 4) * WORD, "mem_u": STATES, "mem_i": 36 * BIT, "mem_s": 6 * ADDRESS}
    )


def test_compulsory_is_a_lower_bound(tiny):
    terms = memory(price(tiny, dataflow="compulsory"))
    assert terms == pytest.approx(
        {"mem_w": 20 * WORD, "mem_u": STATES, "mem_i": 11 * ADDRESS, "mem_s": 6 * ADDRESS}
    )
    total = price(tiny, dataflow="compulsory").total_pj
    others = [name for name in FLOWS if name not in ("compulsory", "compute", "time_batched")]
    assert all(price(tiny, dataflow=name).total_pj > total for name in others)


def test_time_batched_reads_a_weight_once_per_group(tiny):
    terms = memory(price(tiny, dataflow="time_batched"))
    # both layers have more events in two steps than taps in one: 12 and 6 weights, 4 biases
    assert terms == pytest.approx(
        {"mem_w": (12 + 6 + 4) * WORD, "mem_u": STATES / 2, "mem_i": 11 * ADDRESS, "mem_s": 6 * ADDRESS}
    )
    single = memory(price(tiny, dataflow="time_batched", time_group=1))
    assert single["mem_w"] == pytest.approx((15 + 12 + 4) * WORD)
    assert single["mem_u"] == pytest.approx(STATES)


def test_time_batching_never_charges_less_than_the_union_of_events():
    g = torch.Generator().manual_seed(0)
    layer = nn.Linear(50, 7, bias=False)
    for rate in (0.02, 0.2, 0.7):
        x = (torch.rand(4, 1, 50, generator=g) < rate).float()
        report = estimate(layer, x, T=4, dataflow="time_batched")
        reads = sum(line.count for line in report.lines if line.term == "mem_w")
        union, events = x.amax(0).sum() * 7, x.sum() * 7
        assert union <= reads <= events


@pytest.mark.parametrize("flow", FLOWS)
def test_every_flow_prices_the_counterparts_alike(tiny, flow):
    report = price(tiny, dataflow=flow)
    ann, qann = report.counterpart("ann"), report.counterpart("qann")
    assert ann.ground == qann.ground == report.ground
    assert sum(report.by_step) == pytest.approx(report.total_pj)
    assert sum(report.by_layer.values()) == pytest.approx(report.total_pj)
    if FLOWS[flow].memory:
        assert ann.by_term["mem_w"] == pytest.approx(20 * WORD)  # 18 weights, 2 biases
        assert "mem_u" not in ann.by_term


def test_products_fetch_their_second_operand():
    class Multiply(nn.Module):
        def forward(self, a, b):
            return a @ b

    a, b = torch.tensor([[[1.0, 0], [1, 0]]]), torch.tensor([[[0.0, 1], [1, 1]]])  # 4 pairs by a, 8 slots
    counts = {}
    for flow in ("event", "output_stationary", "weight_stationary", "time_batched"):
        report = estimate(Multiply(), (a, b), dataflow=flow)
        counts[flow] = sum(line.count for line in report.lines if line.term == "mem_a")
    assert counts == {"event": 4, "output_stationary": 8, "weight_stationary": 4, "time_batched": 4}
    shared = estimate(Multiply(), (a, b), reuse={"a": 2})
    assert sum(line.count for line in shared.lines if line.term == "mem_a") == 2


def test_csr_is_addresses_and_a_pointer_per_step(tiny):
    aer, csr = (memory(price(tiny, encoding=name)) for name in ("aer", "csr"))
    # pointers count up to 4 and 3 events: 3 and 2 bits, two steps each
    assert csr["mem_i"] - aer["mem_i"] == pytest.approx(2 * (3 + 2) * BIT)
    assert csr["mem_s"] - aer["mem_s"] == pytest.approx(2 * 2 * BIT)


def test_addresses_beat_bitmaps_below_one_over_log2_n():
    layer = nn.Linear(256, 1, bias=False)
    for events, cheaper in ((31, "aer"), (33, "bitmap")):  # 8 bits: 1/8 of 256 is 32
        x = torch.zeros(1, 256)
        x[0, :events] = 1
        cost = {name: estimate(layer, x, encoding=name).by_term["mem_i"] for name in ("aer", "bitmap")}
        assert min(cost, key=cost.get) == cheaper


def test_hops_on_the_network(tiny):
    base = load_profile("45nm-int8")
    hop = {"name": "hop", "dtype": "int", "bits": 1, "pj": 0.5, "source": "test"}
    chip = Profile(**{**vars(base), "id": "mesh", "ops": (*base.ops, type(base.ops[0])(**hop))})
    report = price(tiny, chip, hops=3)
    assert report.by_term["noc"] == pytest.approx(6 * 2 * 0.5 * 3)
    assert report.counterpart("ann").by_term["noc"] == pytest.approx(3 * 8 * 0.5 * 3)
    assert any("no price" in w for w in price(tiny, hops=3).warnings)  # 45nm-fp32 has no price of a hop


def test_address_generation_by_hand(tiny):
    report = price(tiny, "lemaire-2022")
    assert report.by_term["address"] == pytest.approx((15 + 12) * 0.1)
    ann = report.counterpart("ann")
    assert ann.by_term["address"] == pytest.approx((4 + 3 + 3 + 2) * 0.1)
    conv = nn.Conv2d(2, 4, 3, padding=1, bias=False)
    x = torch.zeros(1, 2, 5, 5)
    x[0, 0, 2, 2] = 1
    events = estimate(conv, x, "lemaire-2022")
    assert events.by_term["address"] == pytest.approx(36 * 0.1 + 2 * 3.1)
    dense = events.counterpart("ann")
    assert dense.by_term["address"] == pytest.approx((50 + 100 + 4 * 9) * 0.1)


def test_static_power_needs_a_latency(tiny):
    report = price(tiny, static_mw=0.5, latency_ms=2)
    assert report.by_term["static"] == pytest.approx(1e6)  # 1 uJ
    assert sum(report.by_step) == pytest.approx(report.total_pj)
    for alone in ({"static_mw": 0.5}, {"latency_ms": 2}):
        with pytest.raises(ConfigError, match="both or none"):
            price(tiny, **alone)
    with pytest.raises(ConfigError, match="latency_ms"):
        report.counterpart("ann")
    assert report.counterpart("ann", latency_ms=1).by_term["static"] == pytest.approx(5e5)


def test_prices_between_memory_sizes():
    profile = load_profile("lemaire-2022")
    kb = 1024
    assert profile.pj_per_bit(8 * kb) * 32 == pytest.approx(10)
    assert profile.pj_per_bit(4 * kb) * 32 == pytest.approx(5)  # linear through zero
    assert profile.pj_per_bit(20 * kb) * 32 == pytest.approx(15)
    assert profile.pj_per_bit(1 << 30) * 32 == pytest.approx(100)  # clamped
    log = Profile(**{**vars(profile), "options": {"interpolation": "loglog"}})
    assert log.pj_per_bit(16 * kb) * 32 == pytest.approx(math.sqrt(200))
    assert log.pj_per_bit(kb) * 32 == pytest.approx(10)
    steps = Profile(**{**vars(profile), "options": {}})
    assert steps.pj_per_bit(9 * kb) * 32 == pytest.approx(20)
    with pytest.raises(ProfileError, match="fit no memory"):
        steps.pj_per_bit(1 << 30)


def test_levels_by_class(tiny):
    plain, moved = price(tiny).by_term, price(tiny, levels={"u": "dram", "s": "sram 32 kB"}).by_term
    assert moved["mem_u"] == pytest.approx(plain["mem_u"] * 130)
    assert moved["mem_s"] == pytest.approx(plain["mem_s"] * 2)
    assert moved["mem_w"] == plain["mem_w"]
    with pytest.raises(ConfigError, match="a memory of"):
        price(tiny, levels={"w": "tape"})


def test_price_band_follows_the_ranges():
    report = estimate(nn.Linear(600, 600, bias=False), torch.ones(1, 600))
    low, high = report.band_pj
    assert low == pytest.approx(report.total_pj)
    assert high == pytest.approx(report.total_pj + report.by_term["mem_w"])
    narrow = MemoryLevel(level="m", access_bits=1, pj=2.0, low=0.0, high=4.0, source="test")
    base = load_profile("45nm-int8")
    chip = Profile(**{**vars(base), "id": "wide", "memory": (narrow,)})
    wide = estimate(nn.Linear(4, 3, bias=False), torch.ones(1, 4), chip)
    compute = wide.by_term["ac"]
    assert wide.band_pj == pytest.approx((compute, compute + 2 * (wide.total_pj - compute)))


class Static(nn.Module):
    """The same image at every step: convolution, then a neuron."""

    def __init__(self, fire):
        super().__init__()
        self.conv, self.fire, self.out = nn.Conv2d(1, 2, 3, bias=False), fire, nn.Linear(2, 1, bias=False)

    def forward(self, x):
        y = self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.out(self.fire(y).flatten(2))


def test_what_does_not_change_is_computed_once(tiny_net):
    image = torch.rand(1, 1, 1, 3, 3).expand(4, 1, 1, 3, 3)
    net = Static(tiny_net.fire)
    trace_of_image = trace(net, image)
    assert trace_of_image.static_input
    every, once = (price(trace_of_image, dataflow="compute", encode_once=flag) for flag in (False, True))
    assert every.by_term["mac"] == pytest.approx(4 * 18 * 4.6)
    assert once.by_term["mac"] == pytest.approx(18 * 4.6)
    assert once.by_term["ac"] - every.by_term.get("ac", 0) == pytest.approx(
        4 * 2 * 0.9
    )  # current added per step
    assert sum(once.by_step) == pytest.approx(once.total_pj)
    assert once.by_step[0] > once.by_step[1] == pytest.approx(once.by_step[3])
    assert price(trace_of_image, encode_once=True).by_term["mem_w"] < price(trace_of_image).by_term["mem_w"]
    assert any("run once" in line for line in once.assumptions)
    with pytest.raises(ConfigError, match="changes over time"):
        price(trace(net, torch.rand(4, 1, 1, 3, 3)), encode_once=True)


def test_spread_of_what_is_computed_once():
    class Repeat(nn.Module):
        """Spikes of an image that stays, summed over time."""

        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2, bias=False)

        def forward(self, x):
            return self.fc(x)

    images = torch.tensor([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
    report = estimate(Repeat(), images.expand(5, 3, 4), T=5, dataflow="compute", encode_once=True)
    singles = [2 * 0.9 * n for n in (1, 2, 4)]
    assert report.total_pj == pytest.approx(sum(singles) / 3)
    assert report.std_pj == pytest.approx(torch.tensor(singles, dtype=torch.float64).std().item())


def test_static_input_is_recognised_in_every_layout(tiny_net):
    same, other = torch.ones(3, 2, 4), torch.rand(3, 2, 4)
    assert trace(tiny_net, same, T=3).static_input
    assert not trace(tiny_net, other, T=3).static_input
    assert trace(nn.Linear(4, 2), same.flatten(0, 1), T=3).static_input
    assert not trace(nn.Linear(4, 2), [same.flatten(0, 1), other.flatten(0, 1)], T=3).static_input


def test_what_cannot_be_compared_counts_as_changing():
    same = torch.ones(3, 2, 4)
    assert Axes(3, 2, "TB").static((same, {"x": same.bool()}))
    for x in (same.to_sparse(), torch.full((3, 2), math.nan), same.to("meta")):
        assert not Axes(3, 2, "TB").static((x,))
    assert Axes(3, 2, "TB").static((torch.rand(2, 5),))  # no time axis
    assert not Axes(3, 2, "TB").static((torch.rand(7, 5),))
    assert not Axes(3, 2, "TB").static(())


def test_rate_decides_in_published_scripts():
    layer = nn.Linear(4, 3, bias=False)
    full, half = torch.tensor([[1.0, 2, 3, 4.5]]), torch.tensor([[1.5, 0, 0, 4.7123]])
    assert estimate(layer, full, "spikingformer-script").by_term == pytest.approx({"mac": 12 * 4.6})
    assert estimate(layer, half, "spikingformer-script").by_term == pytest.approx({"ac": 6 * 0.9})
    assert estimate(layer, half, "sop-rule").by_term == pytest.approx({"mac": 12 * 4.6})  # they are real


def test_step_composite_by_hand(tiny):
    terms = price(tiny, "step-composite").by_term
    assert terms == pytest.approx({"ac": 27 * 0.9, "mem_w": (27 + 4) * 32 * 3.12, "mem_u": 2 * 6 * 32 * 3.12})


def test_options_of_a_profile_give_way_to_the_callers(tiny):
    assert price(tiny, "sop-rule").dataflow == "compute"
    assert "mem_w" in price(tiny, "sop-rule", dataflow="event", terms=["ac", "mem_w"]).by_term


@pytest.mark.parametrize(
    ("kwargs", "match"),
    [
        ({"time_group": 0}, "time_group"),
        ({"hops": -1}, "hops"),
        ({"hops": math.nan}, "hops"),
        ({"terms": []}, "terms"),
        ({"terms": ["magic"]}, "terms"),
        ({"terms": "ac"}, "terms"),
        ({"fifo_messages": 1.5}, "fifo_messages"),
        ({"address": 1}, "address"),
        ({"encode_once": "yes"}, "encode_once"),
        ({"classify": "colour"}, "classify"),
        ({"interpolation": "cubic"}, "interpolation"),
        ({"levels": {"z": "dram"}}, "levels"),
        ({"levels": "dram"}, "levels"),
        ({"static_mw": -1, "latency_ms": 1}, "static_mw"),
        ({"static_mw": 1, "latency_ms": math.inf}, "latency_ms"),
        ({"reuse": {"w": True}}, "reuse"),
    ],
)
def test_bad_policies(tiny, kwargs, match):
    with pytest.raises(ConfigError, match=match):
        price(tiny, **kwargs)


def test_offsets_of_a_folded_norm_are_biases():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.BatchNorm2d(3)).eval()
    words = price(trace(net, torch.ones(5, 2, 4, 4)), dataflow="compulsory").by_term["mem_w"]
    assert words == pytest.approx((2 * 3 * 9 + 3) * WORD)


def test_biases_pay_for_their_own_memory():
    """Between sizes, the price of a memory follows the size of what it holds: three words are not free."""
    x = torch.ones(1, 4)
    with_bias, without = (
        estimate(nn.Linear(4, 3, bias=bias), x, "lemaire-2022").by_term["mem_w"] for bias in (True, False)
    )
    assert with_bias - without == pytest.approx(3 * 10.0 * (3 * 4) / 8192)
