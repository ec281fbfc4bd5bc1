"""Break-even rates, sweeps, intervals and metrics against closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from snnkit.energy import Report, estimate, footprint_bytes, metrics, price, trace
from snnkit.energy.interval import half_width_95
from snnkit.errors import ConfigError, InputTypeError


def test_break_even_by_hand(tiny):
    report, ann = price(tiny), price(tiny).counterpart("ann")
    edge = report.break_even("ann")
    # without spikes: 4 biases with their reads, updates and states of 6 neuron-steps
    fixed = 4 * (0.9 + 5) + 6 * 5.5 + 2 * 6 * 5
    assert (edge.fixed_pj, edge.traced_rate, edge.verdict) == (pytest.approx(fixed), 1, "below")
    assert edge.rate == pytest.approx((ann.total_pj - fixed) / (report.total_pj - fixed))
    assert edge.energy_pj(edge.rate) == pytest.approx(ann.total_pj)
    assert edge.energy_pj(edge.traced_rate) == pytest.approx(report.total_pj)
    assert report.break_even(ann) == edge
    assert f"below a firing rate of {edge.rate:.3g}" in str(edge)


@pytest.mark.parametrize(
    ("hardware", "expected"), [("45nm-fp32", 1.278), ("45nm-fp16", 0.9375), ("45nm-int8", 1.917)]
)
def test_compute_only_break_even_is_mac_over_t_ac(tiny_net, hardware, expected):
    """f* = E_MAC / (T E_AC) for T = 4: the artefact that memory must remove."""
    report = estimate(tiny_net, torch.ones(4, 1, 4), hardware, dataflow="compute", terms=["ac", "mac"])
    edge = report.break_even("ann")
    assert edge.rate == pytest.approx(expected, rel=1e-3)
    assert edge.verdict == ("always" if expected > 1 else "below")


def test_never_and_undefined(tiny, tiny_net):
    cheap = price(tiny, dataflow="compulsory").counterpart("qann", bits=1)
    assert price(tiny, dataflow="compulsory").break_even(cheap).verdict == "never"
    silent = estimate(tiny_net, torch.zeros(2, 1, 4))
    with pytest.raises(ConfigError, match="firing rate"):
        silent.break_even("ann")
    with pytest.raises(ConfigError, match="kind"):
        price(tiny).break_even("cnn")


def test_energy_follows_the_rate_as_predicted():
    """Halving the events of one layer halves its event part: the line through both points is the model."""

    class Pass(nn.Module):
        spike_levels = 1

        def energy_ops(self):
            from snnkit.energy import NeuronCost

            return NeuronCost(add=1, cmp=1, state_words=1)

        def forward(self, x):
            return (x > 0).to(x.dtype)

    net = nn.Sequential(Pass(), nn.Linear(8, 5, bias=False))
    dense, half = torch.ones(2, 1, 8), torch.ones(2, 1, 8)
    half[..., ::2] = 0
    reports = [estimate(net, x, encoding="bitmap") for x in (dense, half)]
    edge = reports[0].break_even("ann")
    assert reports[1].firing_rate == 0.5
    assert edge.energy_pj(0.5) == pytest.approx(reports[1].total_pj)


def test_reports_on_different_ground_are_refused(tiny):
    report = price(tiny)
    for other in (
        price(tiny, "45nm-int8"),
        price(tiny, dataflow="weight_stationary"),
        price(tiny, reuse={"w": 8}),
        price(tiny, levels={"w": "dram"}),
    ):
        for compare in (report.to_table, report.to_markdown, report.break_even):
            with pytest.raises(ConfigError, match="no common ground"):
                compare(other.counterpart("ann"))


def test_an_ann_of_the_users(tiny, tiny_net):
    report = price(tiny)
    wide = trace(nn.Linear(40, 30, bias=False), torch.randn(2, 40))
    ann, qann = report.ann(wide), report.ann(wide, bits=4)
    assert ann.by_term["mac"] == pytest.approx(1200 * 4.6)
    assert qann.by_term["mac"] < ann.by_term["mac"]
    assert report.ann(wide, sparsity=0.25).by_term["mac"] == pytest.approx(900 * 4.6)
    assert ann.ground == report.ground
    assert report.break_even(ann).verdict == "always"
    with pytest.raises(InputTypeError):
        report.ann(tiny_net)


def test_sweep(tiny):
    report = price(tiny)
    grid = report.sweep(steps=[2, 4], rates=[0.5, 1.0], against="qann")
    assert grid.snn_pj[0][1] == pytest.approx(report.total_pj)
    assert grid.snn_pj[1][1] == pytest.approx(2 * report.total_pj)  # nothing here happens once
    assert grid.snn_pj[0][0] == pytest.approx(report.break_even("ann").energy_pj(0.5))
    bits = [report.counterpart("qann", bits=b).total_pj for b in (2, 3)]
    assert grid.other_pj == pytest.approx(bits)
    assert grid.ratios[0][1] == pytest.approx(report.total_pj / bits[0])
    once = price(tiny, dataflow="compulsory").sweep(steps=[2, 4], rates=[1.0]).snn_pj
    assert once[1][0] < 2 * once[0][0]  # weights are read once for all steps
    for bad in ({"steps": [0]}, {"rates": [1.5]}, {"rates": []}, {"against": "cnn"}):
        with pytest.raises(ConfigError):
            report.sweep(**bad)


def test_student_t():
    for n, t in ((2, 12.7062), (3, 4.30265), (6, 2.57058), (11, 2.22814), (30, 2.04523), (1001, 1.96234)):
        assert half_width_95(1.0, n) * math.sqrt(n) == pytest.approx(t, rel=1e-5)


def test_interval_of_the_mean():
    x = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 1, 1]])
    report = estimate(nn.Linear(3, 1, bias=False), x, dataflow="compute")
    low, high = report.ci95_pj
    assert (high - low) / 2 == pytest.approx(4.30265 * 0.9 / math.sqrt(3), rel=1e-5)
    assert any("weak below 30" in w for w in report.warnings)
    assert estimate(nn.Linear(3, 1), x[:1]).ci95_pj is None


def test_metrics_by_hand(tiny, tiny_net):
    m = metrics(tiny, tiny_net, weight_bits=8, act_bits=4)
    assert (m.synaptic_operations, m.acs, m.macs) == (27, 27, 0)
    assert (m.firing_rate, m.activation_sparsity, m.membrane_updates) == (1, 0, 6)
    assert m.firing_rates == {"fire": 1}
    assert m.bit_budget == 2 * 8 * 1
    assert m.ace == (12 + 6) * 8 * 4
    assert m.s_ace == 2 * (12 + 6) * 8  # one bit per spike
    assert m.ns_ace == 27 * 8
    assert m.footprint_bytes == 4 * (12 + 6 + 2)
    assert m.connection_sparsity == 0
    assert metrics(tiny).footprint_bytes is None


def test_metrics_of_real_pruned_and_silent_layers():
    layer = nn.Linear(4, 2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)[0] = 0
    m = metrics(trace(layer, torch.tensor([[1.0, 0, math.pi, math.e]])), layer)
    assert (m.macs, m.effective_macs, m.acs, m.firing_rate) == (8, 3, 0, None)
    assert m.connection_sparsity == 0.5
    assert m.ns_ace == 6 * 32 * 32
    tied = nn.Sequential(layer, layer)
    assert footprint_bytes(tied) == 32


@pytest.mark.parametrize("bits", [0, 65, 2.0, True])
def test_bad_metrics(tiny, bits):
    with pytest.raises(ConfigError):
        metrics(tiny, weight_bits=bits)
    with pytest.raises(InputTypeError):
        metrics(nn.Linear(2, 2))
    with pytest.raises(InputTypeError):
        metrics(tiny, "model")


def test_metrics_table_prints_every_formula(tiny):
    from rich.console import Console

    console = Console(width=100, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(metrics(tiny).to_table())
    console.file.close()
    text = console.export_text()
    assert "sum_l sop_l b_w b_s (quoted)" in text
    assert "(product form inferred)" in text


def test_a_report_from_a_file_still_compares(tmp_path, tiny):
    report = price(tiny)
    again = Report.from_json(report.to_json(tmp_path / "r.json"))
    ann = report.counterpart("ann")
    assert again.break_even(ann) == report.break_even(ann)
    assert again.band_pj == report.band_pj
    with pytest.raises(ConfigError, match="no counts"):
        again.sweep()
    assert replace(again, origin=None) == again
