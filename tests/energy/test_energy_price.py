"""Prices against numbers worked out by hand, and the files and pictures of a report."""

from __future__ import annotations

import csv
import json
import math
import os
import stat
from pathlib import Path

import pytest
import torch
from torch import nn

from snnkit.energy import (
    NeuronCost,
    Report,
    estimate,
    from_rates,
    list_profiles,
    load_profile,
    price,
    trace,
)
from snnkit.errors import (
    ConfigError,
    FormatError,
    InputTypeError,
    ProfileError,
    SnnkitError,
    UnknownNameError,
)


class Fire(nn.Module):
    spike_levels = 1

    def energy_ops(self):
        return NeuronCost(mul=1, add=1, cmp=1, spike_add=1, state_words=1)

    def forward(self, x):
        return (x > 0).to(x.dtype)


class Tiny(nn.Module):
    """4 -> 3 spiking neurons -> 2. All weights positive: any input event makes all neurons fire."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fire, self.fc2 = nn.Linear(4, 3, bias=False), Fire(), nn.Linear(3, 2)
        for p in self.parameters():
            nn.init.constant_(p, 0.25)

    def forward(self, x):
        return self.fc2(self.fire(self.fc1(x)))


X = torch.tensor([[[1.0, 0, 1, 0]], [[1, 1, 1, 0]]])  # T = 2, B = 1: 2 and 3 events


@pytest.fixture
def tiny():
    return trace(Tiny(), X)


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
def test_bits_of_the_quantised_twin(steps, bits):
    report = estimate(Tiny(), X[:1].expand(steps, 1, 4).contiguous())
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
    assert len(totals) == 3
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
        ({"encoding": "csr"}, "encoding"),
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


def test_bad_calls(tiny):
    report = price(tiny)
    with pytest.raises(InputTypeError):
        price(Tiny())
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


# -- profiles -----------------------------------------------------------------------------------------

GOOD = """
id = "mine"
arithmetic = "int"
bits = 8
node_nm = 28
[options]
zero_skip = true
[[op]]
name = "add"
dtype = "int"
bits = 8
pj = 0.02
source = "a measurement"
[[op]]
name = "mul"
dtype = "int"
bits = 8
value = 0.1
low = 0.05
high = 0.2
unit = "nJ"
source = "a measurement"
[[mem]]
level = "sram"
capacity_bytes = 1024
access_bits = 32
value = 500
unit = "fJ"
source = "a measurement"
"""


def test_a_profile_of_ones_own(tmp_path, tiny):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    profile = load_profile(path)
    assert profile.price("mul", "int", 8, 8) == (100.0, False)
    assert profile.memory[0].pj_per_bit == pytest.approx(0.5 / 32)
    assert profile.options["zero_skip"] is True
    report = price(tiny, str(path))
    assert report.hardware == "mine"
    assert [u.op for u in report.uncounted] == ["neuron_steps"]  # it has no price for a comparison
    with pytest.raises(ProfileError, match="fit no memory level"):
        estimate(nn.Linear(100, 100), torch.ones(1, 100), path)


@pytest.mark.parametrize("name", list_profiles())
def test_every_shipped_number_has_a_source(name):
    profile = load_profile(name)
    assert profile.id == name
    for number in (*profile.ops, *profile.memory, *profile.scaling):
        assert number.source
        assert number.evidence in ("confirmed", "quoted", "inferred")


def test_the_power_laws_meet_the_published_points():
    profile = load_profile("45nm-int8")
    for law in profile.scaling:
        for op in profile.ops:
            if (op.name, op.dtype) == (law.name, law.dtype):
                assert law.pj * (op.bits / law.bits) ** law.exponent == pytest.approx(op.pj, rel=2e-3)
    assert profile.price("mul", "int", 4, 4)[1]  # extrapolated
    assert not profile.price("mul", "int", 16, 16)[1]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('source = "a measurement"\n[[op]]', "[[op]]", "without a source"),
        ('source = "a measurement"\n[[op]]', 'source = ""\n[[op]]', "source"),
        ("pj = 0.02", "pj = nan", "finite"),
        ("pj = 0.02", "pj = inf", "finite"),
        ("pj = 0.02", "pj = -1", "finite"),
        ("pj = 0.02", "pj = true", "finite"),
        ("pj = 0.02", 'pj = "0.02"', "finite"),
        ("pj = 0.02", f"pj = {10**400}", "finite"),
        ("pj = 0.02", "pj = 0.02\nvalue = 1", "once"),
        ("pj = 0.02\n", "", "once"),
        ('unit = "nJ"', 'unit = "kWh"', "one of fJ, pJ, nJ"),
        ('unit = "nJ"\n', "", "unit"),
        ("low = 0.05", "low = 0.5", "low..high"),
        ('name = "add"', 'name = "divide"', "one of"),
        ('dtype = "int"\nbits = 8\npj', 'dtype = "bf"\nbits = 8\npj', "one of"),
        ("bits = 8\npj", "bits = 0\npj", "positive integer"),
        ("bits = 8\npj", "bits = 8.5\npj", "positive integer"),
        ("access_bits = 32", "access_bits = -4", "positive integer"),
        ("capacity_bytes = 1024", "capacity_bytes = 1e3", "positive integer"),
        ("zero_skip = true", "zero_skip = 1", "true or false"),
        ("zero_skip = true", "magic = true", "unknown key"),
        ("node_nm = 28", "node_nm = 0", "> 0"),
        ("node_nm = 28", "colour = 28", "unknown key"),
        ('id = "mine"', "", "id"),
        ('id = "mine"', "id = 3", "id"),
        ("[options]", "options = 3\n[other]", "table"),
        ("[[mem]]", "[mem]", "tables"),
        ("[[op]]", "[[op", "not valid TOML"),
        ("bits = 8\nnode", "node", "bits"),
    ],
)
def test_malformed_profiles(tmp_path, old, new, match):
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ProfileError, match=match):
        load_profile(path)


def test_hostile_profile_files(tmp_path):
    for name, data in {
        "binary": bytes(range(256)), "empty": b"", "deep": b"a = " + b"[" * 100_000, "long": b"#" * (2 << 20),
        "keys": b"a" * 5000 + b" = 1",
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.toml"
        path.write_bytes(data)
        with pytest.raises(ProfileError) as info:
            load_profile(path)
        assert len(str(info.value)) < 1500
    for missing in (tmp_path / "none.toml", tmp_path, "nul\0.toml"):
        with pytest.raises(ProfileError):
            load_profile(missing)


def test_mutated_profiles_raise_nothing_else(tmp_path):
    generator = torch.Generator().manual_seed(0)
    data, path, errors = GOOD.encode(), tmp_path / "m.toml", 0
    for _ in range(400):
        at, value = (int(torch.randint(n, (), generator=generator)) for n in (len(data), 256))
        path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
        try:
            load_profile(path)
        except ProfileError:
            errors += 1
    assert errors > 100


# -- files and pictures -------------------------------------------------------------------------------


def test_json_round_trip(tmp_path, tiny):
    for report in (price(tiny), price(tiny).counterpart("qann")):
        path = report.to_json(tmp_path / "r.json")
        again = Report.from_json(path)
        assert again == report
        assert again.total_pj == report.total_pj
        assert again.by_step == report.by_step
        with pytest.raises(ConfigError, match="no counts"):
            again.counterpart("ann")
    assert json.loads(path.read_text())["schema"] == "snnkit-energy-1"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("schema"),
        lambda d: d.pop("lines"),
        lambda d: d["lines"][0].pop("pj"),
        lambda d: d["lines"][0].update(pj="x"),
        lambda d: d["lines"][0].update(pj=1e9),
        lambda d: d.update(step_pj=[1]),
        lambda d: d.update(surprise=1),
        lambda d: d.update(warnings=3),
    ],
)
def test_altered_json(tmp_path, tiny, change):
    path = price(tiny).to_json(tmp_path / "r.json")
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError):
        Report.from_json(path)


def test_unreadable_json(tmp_path):
    path = tmp_path / "r.json"
    for data in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(data)
        with pytest.raises(FormatError):
            Report.from_json(path)
    with pytest.raises(FormatError):
        Report.from_json(tmp_path / "missing.json")


def test_a_failed_write_leaves_the_old_file(tmp_path, tiny, monkeypatch):
    path = price(tiny).to_json(tmp_path / "r.json")
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *a: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        price(tiny, "45nm-int8").to_json(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_csv_has_one_row_per_layer_and_term(tmp_path, tiny):
    report = price(tiny)
    with open(report.to_csv(tmp_path / "r.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(report.lines)
    assert math.fsum(float(r["pj"]) for r in rows) == pytest.approx(report.total_pj)
    assert {r["layer"]: r["input"] for r in rows} == {"fc1": "binary", "fire": "", "fc2": "binary"}
    assert all(float(r["count"]) * float(r["unit_pj"]) == pytest.approx(float(r["pj"])) for r in rows)


def test_table(tiny):
    from rich.console import Console

    report = price(tiny)
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(report.to_table(report.counterpart("ann"), report.counterpart("qann")))
    console.file.close()
    text = console.export_text()
    for word in ("fc1", "binary", "SNN", "QANN", "100.0 %", "556.6 pJ", "T = 2"):
        assert word in text


@pytest.mark.parametrize("kind", ["layers", "terms", "steps"])
def test_plots(tmp_path, tiny, kind):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = price(tiny)
    ax = report.plot(kind)
    widths = [p.get_height() if kind == "steps" else p.get_width() for p in ax.patches]
    assert sum(widths) == pytest.approx(report.total_pj)
    ax.figure.savefig(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 5000
    _, mine = plt.subplots()
    assert report.plot(kind, ax=mine) is mine
    plt.close("all")
    with pytest.raises(ConfigError, match="kind"):
        report.plot("pie")
    plt.close("all")


# -- published tables ---------------------------------------------------------------------------------


@pytest.mark.data
def test_spikingformer_table():
    root = os.environ.get("SNNKIT_DATA")
    if not root:
        pytest.skip("SNNKIT_DATA is not set")
    table = Path(root) / "energy_spikingformer_8_512.csv"
    report = from_rates(table, preset="spikingformer", heads=8, head_dim=64, tokens=196, T=4)
    assert report.total_mj == pytest.approx(7.46350260, rel=1e-6)
    assert report.macs == 347329512
    assert report.acs == pytest.approx(6.51754094e9, rel=1e-8)
    assert len(report.by_layer) == 54 + 8


def write(tmp_path, text):
    path = tmp_path / "rates.csv"
    path.write_text(text)
    return path


def test_the_rate_is_applied_once(tmp_path):
    head = "row,name,dense_ops,firing_rate_percent\n"
    once = from_rates(write(tmp_path, head + "layer,conv,18390000,13.66\n"), "spikingformer")
    assert once.total_pj == pytest.approx(2.26e6, rel=1e-3)
    pairs = from_rates(write(tmp_path, "row,name,sop\nlayer,conv,2510000\n"), "spikingformer")
    assert pairs.total_pj == pytest.approx(2.26e6, rel=1e-3)
    with pytest.raises(FormatError, match="applied twice"):
        from_rates(write(tmp_path, head.replace("\n", ",sop\n") + "layer,conv,18390000,13.66,2510000\n"))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("# nothing\n", "empty"),
        ("row,name\n", "no rows"),
        ("a,b\n1,2\n", "columns"),
        ("row,name,row\nlayer,x,layer\n", "columns"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,1\n", "3 values"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,abc,5\n", "dense_ops"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,-1,5\n", "dense_ops"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,nan,5\n", "dense_ops"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,1,101\n", "0 to 100"),
        ("row,name,dense_ops,firing_rate_percent\nlayer,x,1,\n", "firing_rate_percent"),
        ("row,name,dense_ops,firing_rate_percent\npool,x,1,5\n", "expected"),
        ("row,name,q_rate,k_rate,v_rate\nssa,x,.1,.1,.1\n", "heads"),
        ('row,name\nlayer,"x\n', "CSV"),
    ],
)
def test_malformed_tables(tmp_path, text, match):
    with pytest.raises(FormatError, match=match):
        from_rates(write(tmp_path, text))


def test_bad_table_arguments(tmp_path):
    path = write(tmp_path, "row,name,sop\nlayer,x,5\n")
    with pytest.raises(ConfigError, match="preset"):
        from_rates(path, "magic")
    with pytest.raises(ConfigError, match="heads"):
        from_rates(path, heads=0)
    with pytest.raises(FormatError):
        from_rates(tmp_path / "missing.csv")
    assert issubclass(FormatError, SnnkitError)
