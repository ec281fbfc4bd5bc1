"""Pictures: what is drawn, not only that something is; headless."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

import snnkit
from snnkit import plot
from snnkit.data import Events
from snnkit.errors import ConfigError, InputTypeError, ShapeError
from snnkit.plot.style import ALERT, OFF, ON

ROWS = [
    {"epoch": "0", "train_loss": "2.0", "train_accuracy": "0.25", "val_loss": "", "lr": "0.1", "step": "9"},
    {"epoch": "0", "train_loss": "", "val_loss": "1.5", "val_accuracy": "0.5", "step": "9"},
    {"epoch": "1", "train_loss": "1.0", "train_accuracy": "0.75", "train_loss_step": "77", "step": "19"},
    {"epoch": "1", "val_loss": "0.5", "val_accuracy": "1.0"},
    {"epoch": "", "train_loss": "99"},
]
TERMS = {"SNN": {"synaptic": 1500.0, "neuron": 500.0}, "ANN": {"synaptic": 3000.0, "memory": 5000.0}}
WORDS = {"across": "step", "down": "layer", "label": "share"}
RECORDING = Events([0, 5000, 9999], [0, 1, 2], [1, 0, 1], [1, 0, 1], (3, 2, 2), (0, 10_000))
DRAW = {
    "raster": lambda **kw: plot.raster(torch.eye(4), **kw),
    "membrane": lambda **kw: plot.membrane(torch.rand(6), torch.zeros(6), 1.0, **kw),
    "firing_rates": lambda **kw: plot.firing_rates({"a": 0.5, "b": 0.0}, **kw),
    "frames": lambda **kw: plot.frames(torch.ones(2, 2, 3, 3), **kw),
    "cloud": lambda **kw: plot.cloud(RECORDING, **kw),
    "event_raster": lambda **kw: plot.event_raster(RECORDING, **kw),
    "energy_breakdown": lambda **kw: plot.energy_breakdown(TERMS, **kw),
    "energy_comparison": lambda **kw: plot.energy_comparison(TERMS, **kw),
    "energy_over_time": lambda **kw: plot.energy_over_time({"synaptic": [1.0, 2.0]}, **kw),
    "energy_over_rate": lambda **kw: plot.energy_over_rate([0.0, 1.0], [1.0, 3.0], {"ANN": 2.0}, **kw),
    "delay_histogram": lambda **kw: plot.delay_histogram({"a": [0, 2.4, 2], "b": [1]}, 3, **kw),
    "delay_kernels": lambda **kw: plot.delay_kernels(torch.randn(2, 3, 4), **kw),
    "heat_map": lambda **kw: plot.heat_map({"a": [0.1, 0.2]}, ["0", "1"], **WORDS, **kw),
    "training_curves": lambda **kw: plot.training_curves(ROWS, **kw),
}


@pytest.fixture(autouse=True)
def _close_figures():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before  # a picture leaves the user's settings alone


def texts(ax):
    return [t.get_text() for t in ax.texts]


def ticks(collection):
    """Spike ticks as {(time, neuron)}."""
    return {(int(s[0, 0]), round(s[:, 1].mean())) for s in collection.get_segments()}


def bars(ax):
    """Bars as {row: [(left, width, colour)]}."""
    rows: dict[int, list] = {}
    for patch in ax.patches:
        row = round(patch.get_y() + patch.get_height() / 2)
        rows.setdefault(row, []).append((patch.get_x(), patch.get_width(), to_hex(patch.get_facecolor())))
    return rows


# -- common contract -------------------------------------------------------------------------------


def test_energy_over_time_stacks_the_terms():
    ax = plot.energy_over_time({"a": [1e3, 2e3], "b": [3e3, 0.0]})
    assert [(p.get_x() + p.get_width() / 2, p.get_y(), p.get_height()) for p in ax.patches] == [
        (0, 0, 1), (1, 0, 2), (0, 1, 3), (1, 2, 0)
    ]  # fmt: skip
    assert ax.get_ylabel() == "energy per inference (nJ)"
    with pytest.raises(ConfigError, match="one number of steps"):
        plot.energy_over_time({"a": [1.0], "b": [1.0, 2.0]})


def test_energy_over_rate_marks_the_crossing():
    ax = plot.energy_over_rate(
        [0.0, 0.5, 1.0],
        [1e3, 2e3, 3e3],
        {"ANN": 2.5e3, "QANN": 9e3},
        marks={"traced": 0.2},
        measured={"chip": 4e3},
    )
    curve, dot, ann, qann, chip, traced = ax.lines
    assert (chip.get_ydata()[0], chip.get_label()) == (4, "chip")
    assert list(curve.get_ydata()) == [1, 2, 3]
    assert dot.get_xdata()[0] == pytest.approx(0.75)
    assert (ann.get_ydata()[0], qann.get_ydata()[0], traced.get_xdata()[0]) == (2.5, 9, 0.2)
    assert [line.get_label() for line in (ann, qann, traced)] == ["ANN, equal at 0.75", "QANN", "traced: 0.2"]
    with pytest.raises(ConfigError, match="points of a curve"):
        plot.energy_over_rate([0.0], [1.0], {"ANN": 1.0})


def test_heat_map_writes_the_numbers_into_the_cells():
    ax = plot.heat_map({"a": [0.5, 2.0], "b": [1.0, 1.0]}, ["x", "y"], **WORDS, even=1.0)
    assert texts(ax) == ["0.5", "2", "1", "1"]
    low, high = ax.images[0].get_clim()
    assert low * high == pytest.approx(1)  # colours diverge from 1
    with pytest.raises(ConfigError, match="numbers in each row"):
        plot.heat_map({"a": [1.0]}, ["x", "y"], **WORDS)


def test_a_suffix_that_is_no_picture_format_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"suffix.*png"):
        plot.save(plot.raster(torch.eye(4)), tmp_path / "x.xyz")
    assert not list(tmp_path.iterdir())


def test_every_picture_is_covered():
    helpers = {"PALETTE", "animate", "membrane_trace", "overview", "point_groups", "save", "turn"}
    assert set(DRAW) == set(plot.__all__) - helpers


@pytest.mark.parametrize("name", DRAW)
def test_draws_into_the_given_axes_or_a_new_figure(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert DRAW[name](ax=right) is right
    assert not left.has_data()
    assert len(plt.get_fignums()) == 1
    figure.canvas.draw()
    new = DRAW[name]()
    assert new.figure is not figure
    assert len(plt.get_fignums()) == 2
    new.figure.canvas.draw()


@pytest.mark.parametrize("name", DRAW)
def test_axes_are_labelled_and_nothing_is_cut_off(name):
    ax = DRAW[name]()
    figure = ax.figure
    assert any(part.get_xlabel() for part in figure.axes)
    figure.canvas.draw()
    inside = figure.get_tightbbox().padded(-0.02)
    assert inside.x0 >= 0
    assert inside.y0 >= 0
    assert inside.x1 <= figure.get_figwidth()
    assert inside.y1 <= figure.get_figheight()
    for panel in figure.axes:
        for text in [panel.xaxis.label, panel.yaxis.label, *panel.get_xticklabels(), *panel.texts]:
            assert text.get_fontsize() >= 9


def test_show_is_never_called(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda *a, **k: pytest.fail("show was called"))
    for draw in DRAW.values():
        draw()


def test_matplotlib_is_imported_late():
    code = "import sys, snnkit.plot; sys.exit('matplotlib' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_palette_is_distinct_in_grey():
    assert len({to_hex(c) for c in plot.PALETTE}) == 7
    luminance = [np.dot(to_rgb(c), [0.2126, 0.7152, 0.0722]) for c in plot.PALETTE[:3]]
    assert min(abs(a - b) for i, a in enumerate(luminance) for b in luminance[:i]) > 0.1


# -- raster ----------------------------------------------------------------------------------------


def test_raster_draws_one_tick_per_spike():
    spikes = torch.zeros(5, 3)
    spikes[0, 2] = spikes[4, 0] = 1
    spikes[2, 1] = 3
    ax = plot.raster(spikes)
    assert ticks(ax.collections[0]) == {(0, 2), (4, 0), (2, 1)}
    assert ax.get_xlim() == (-0.5, 4.5)
    assert ax.get_ylim() == (-0.5, 2.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (steps)", "neuron")
    assert ax.get_legend() is None


def test_raster_takes_one_sample_and_flattens():
    spikes = np.zeros((4, 2, 2, 3), dtype=bool)
    spikes[1, 1, 1, 2] = spikes[3, 0, 0, 0] = True
    assert ticks(plot.raster(spikes).collections[0]) == {(3, 0)}
    assert ticks(plot.raster(spikes, sample=1).collections[0]) == {(1, 5)}


def test_raster_marks_off_spikes():
    ax = plot.raster(torch.tensor([[1.0, -1.0], [0.0, -1.0]]))
    on, off = ax.collections
    assert ticks(on) == {(0, 0)}
    assert ticks(off) == {(0, 1), (1, 1)}
    assert to_hex(off.get_color()[0]).upper() == OFF
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["on", "off"]


def test_raster_of_silence_and_of_thousands():
    assert len(plot.raster(torch.zeros(3, 4)).collections[0].get_segments()) == 0
    ax = plot.raster(torch.ones(10, 1, 4000))
    assert len(ax.collections[0].get_segments()) == 40_000
    assert ax.collections[0].get_rasterized()
    ax.figure.canvas.draw()
    tick = ax.collections[0].get_segments()[0]
    assert np.ptp(ax.transData.transform(tick)[:, 1]) > 0.5  # pixels


@pytest.mark.parametrize("dtype", [torch.bool, torch.bfloat16, torch.int64])
def test_raster_takes_any_real_dtype_and_gradients(dtype):
    spikes = torch.eye(2).to(dtype)
    if dtype.is_floating_point:
        spikes.requires_grad_()
    assert ticks(plot.raster(spikes).collections[0]) == {(0, 0), (1, 1)}


def test_raster_bad_input():
    for bad in (torch.zeros(3), torch.zeros(0, 3), torch.zeros(3, 1, 0)):
        with pytest.raises(ShapeError, match=r"plot.raster: got shape .* expected \[T, N\] or \[T, B, ...\]"):
            plot.raster(bad)
    for bad in ("spikes", None, {"a": 1}):
        with pytest.raises((InputTypeError, ShapeError), match=r"plot.raster: got"):
            plot.raster(bad)
    with pytest.raises(ConfigError, match=r"plot.raster.sample: got 2, expected an int in \[0, 1\]"):
        plot.raster(torch.zeros(3, 2, 4), sample=2)


# -- membrane --------------------------------------------------------------------------------------


def test_membrane_lines_threshold_and_spikes():
    v = torch.tensor([[0.5, 0.2], [1.2, 0.4], [0.1, 0.6]])
    ax = plot.membrane(v, v > 0.5, threshold=1.0)
    first, second, level = ax.lines
    assert first.get_ydata() == pytest.approx([0.5, 1.2, 0.1])
    assert second.get_ydata() == pytest.approx([0.2, 0.4, 0.6])
    assert level.get_ydata() == pytest.approx([1.0, 1.0])
    assert [{s[0, 0] for s in c.get_segments()} for c in ax.collections] == [{1.0}, {2.0}]
    assert all(s[:, 1].min() > 1.2 for c in ax.collections for s in c.get_segments())  # above every line
    assert ax.get_ylim()[1] > max(s[:, 1].max() for c in ax.collections for s in c.get_segments())
    assert texts(ax) == ["threshold", "spikes"]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["neuron 0", "neuron 1"]


def test_membrane_alone():
    for flat in ([0.5, 0.5], [float("nan")] * 2):  # no span at all
        ax = plot.membrane(flat)
        assert len(ax.lines) == 1
        assert texts(ax) == []
        assert ax.get_legend() is None
        low, high = ax.get_ylim()
        assert low < high


def test_membrane_bad_input():
    with pytest.raises(ShapeError, match=r"got 8 neurons, expected at most 7.*Select some"):
        plot.membrane(torch.zeros(4, 8))
    with pytest.raises(ShapeError, match=r"spikes have shape \(3,\), the potential \(4,\)"):
        plot.membrane(torch.zeros(4), torch.zeros(3))
    with pytest.raises(ShapeError, match=r"plot.membrane: got shape \(4, 1, 1\)"):
        plot.membrane(torch.zeros(4, 1, 1))


X = torch.tensor([0.625, 0.75, 0.5, 1.5, 0.125, 2.5, 0, -0.375]).view(-1, 1)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_membrane_trace_golden(reset):
    potential, spikes = plot.membrane_trace(snnkit.LIF(tau=2.0, reset=reset), X)
    wanted = {
        "hard": [0.3125, 0.53125, 0.515625, 1.0078125, 0.0625, 1.28125, 0, -0.1875],
        "soft": [0.3125, 0.53125, 0.515625, 1.0078125, 0.06640625, 1.283203125, 0.1416015625, -0.11669921875],
    }
    assert potential.flatten().tolist() == wanted[reset]
    assert spikes.flatten().tolist() == [0, 0, 0, 1, 0, 1, 0, 0]
    assert not potential.requires_grad


@pytest.mark.parametrize(
    "neuron",
    [
        snnkit.LIF.spikingjelly(tau=3.0, v_reset=None),
        snnkit.LIF.snntorch(beta=0.7),
        snnkit.LIF(tau=2.0, learn_tau=True, learn_threshold=True, channels=3),
        snnkit.IF(),
    ],
    ids=["spikingjelly", "snntorch", "learned", "if"],
)
def test_membrane_trace_agrees_with_the_neuron(neuron):
    x = 2 * torch.rand(12, 2, 3, generator=torch.Generator().manual_seed(0))
    potential, spikes = plot.membrane_trace(neuron, x)
    assert torch.equal(spikes, neuron(x))
    threshold = torch.as_tensor(neuron.threshold)
    assert torch.equal((potential - threshold >= 0).float(), spikes)


def test_membrane_trace_of_other_neurons():
    neuron = snnkit.LeakyIntegrator(tau=2.0)
    potential, out = plot.membrane_trace(neuron, X)
    assert torch.equal(potential, out)
    assert torch.equal(out, neuron(X))
    with pytest.raises(InputTypeError, match="got Linear, expected a Neuron with a potential v"):
        plot.membrane_trace(torch.nn.Linear(1, 1), X)
    with pytest.raises(ShapeError, match=r"got shape \(0, 1\), expected at least one step"):
        plot.membrane_trace(neuron, X[:0])


# -- firing rates ----------------------------------------------------------------------------------


def test_firing_rates_bars_in_order_and_silent_layers_marked():
    ax = plot.firing_rates({"first": 0.25, "dead": 0.0, "last": torch.tensor(0.125)})
    assert {row: parts[0][:2] for row, parts in bars(ax).items()} == {0: (0, 0.25), 1: (0, 0), 2: (0, 0.125)}
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # first layer on top
    assert [t.get_text() for t in ax.get_yticklabels()] == ["first", "dead", "last"]
    assert texts(ax) == ["0.25", "silent", "0.125"]
    marked = [t.get_text() for t in (*ax.texts, *ax.get_yticklabels()) if t.get_color() == ALERT]
    assert marked == ["silent", "dead"]


def test_firing_rates_all_silent():
    ax = plot.firing_rates({"a": 0.0})
    assert texts(ax) == ["silent"]
    assert ax.get_xlim()[1] > 0


def test_firing_rates_bad_input():
    with pytest.raises(InputTypeError, match=r"plot\.firing_rates: got list, expected a dict layer -> rate"):
        plot.firing_rates([0.1])
    with pytest.raises(ConfigError, match="empty dict"):
        plot.firing_rates({})
    for bad in (float("nan"), -0.1, float("inf")):
        with pytest.raises(ConfigError, match=r"plot.firing_rates\['a'\]: got .*finite number >= 0"):
            plot.firing_rates({"a": bad})
    with pytest.raises(InputTypeError, match=r"plot.firing_rates\['a'\]: got .*expected a number"):
        plot.firing_rates({"a": torch.zeros(3)})


# -- frames ----------------------------------------------------------------------------------------


def test_frames_colours_and_places():
    x = torch.zeros(2, 2, 4, 5)
    x[0, 1, 1, 2] = 1  # ON
    x[1, 0, 3, 4] = 1  # OFF
    ax = plot.frames(x)
    strip = ax.images[0].get_array()
    assert strip.shape == (4, 5 + 1 + 5, 3)
    coloured = {(int(r), int(c)): to_hex(strip[r, c]).upper() for r, c in np.argwhere(strip.min(2) < 1)}
    assert coloured == {(1, 2): ON, (3, 6 + 4): OFF}
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "1"]
    assert ax.get_xticks().tolist() == [2, 8]
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["ON", "OFF"]
    assert len(ax.patches) == 2


def test_frames_intensity_grows_with_the_count():
    x = torch.tensor([0.0, 1, 2, 4]).view(1, 1, 2, 2)
    ax = plot.frames(x)
    ink = 1 - ax.images[0].get_array().mean(2).flatten()
    assert ink[0] == 0
    assert (np.diff(ink) > 0.1).all()
    assert ax.get_legend() is None


def test_frames_selects_evenly():
    x = torch.zeros(21, 1, 2, 2)
    ax = plot.frames(x, max_frames=5)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0", "5", "10", "15", "20"]


def test_frames_bad_input():
    with pytest.raises(ShapeError, match=r"plot.frames: got shape \(2, 3, 3\), expected \[T, P, H, W\]"):
        plot.frames(torch.zeros(2, 3, 3))
    with pytest.raises(ShapeError, match="got 3 polarities"):
        plot.frames(torch.zeros(2, 3, 4, 4))
    for bad in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="negative or non-finite"):
            plot.frames(torch.full((1, 1, 2, 2), bad))
    with pytest.raises(ConfigError, match="max_frames: got 0"):
        plot.frames(torch.zeros(1, 1, 2, 2), max_frames=0)


# -- energy ----------------------------------------------------------------------------------------


def test_energy_breakdown_stacks_and_scales():
    ax = plot.energy_breakdown(TERMS)
    blue, orange, green = (c.lower() for c in plot.PALETTE[:3])
    drawn = bars(ax)
    assert drawn[0] == [(0, 1.5, blue), (1.5, 0.5, orange), (2.0, 0, green)]
    assert drawn[1] == [(0, 3.0, blue), (3.0, 0, orange), (3.0, 5.0, green)]
    assert texts(ax) == ["2", "8"]
    assert ax.get_xlabel() == "energy per inference (nJ)"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["synaptic", "neuron", "memory"]


def test_energy_comparison_is_relative_to_the_first():
    ax = plot.energy_comparison(TERMS)
    assert texts(ax) == ["2", "8  (4×)"]
    assert ax.get_xlabel() == "energy per inference (nJ), × relative to SNN"
    assert texts(plot.energy_comparison({"SNN": {"a": 0.0}, "ANN": {"a": 1.0}})) == ["0", "1"]


@pytest.mark.parametrize(
    ("picojoules", "unit"),
    [
        (0.0, "pJ"),
        (0.5, "pJ"),
        (999.0, "pJ"),
        (1e3, "nJ"),
        (999e3, "nJ"),
        (1e6, "µJ"),
        (2e9, "mJ"),
        (1e12, "J"),
    ],
)
def test_energy_unit(picojoules, unit):
    ax = plot.energy_breakdown({"layer": {"synaptic": picojoules}})
    assert ax.get_xlabel() == f"energy per inference ({unit})"
    assert ax.get_xlim()[1] > 0


def test_energy_bad_input():
    with pytest.raises(InputTypeError, match=r"plot\.energy_breakdown: got list"):
        plot.energy_breakdown([1])
    with pytest.raises(InputTypeError, match=r"plot.energy_comparison\['SNN'\]: got float, expected a dict"):
        plot.energy_comparison({"SNN": 1.0})
    with pytest.raises(ConfigError, match="empty dict"):
        plot.energy_comparison({})
    with pytest.raises(ConfigError, match=r"plot.energy_breakdown\['a'\]\['mac'\]: got -1.0"):
        plot.energy_breakdown({"a": {"mac": -1}})


# -- training curves -------------------------------------------------------------------------------


def test_training_curves_merge_rows_of_one_epoch():
    loss = plot.training_curves(ROWS)
    accuracy = loss.figure.axes[-1]
    lines = {
        (ax.get_ylabel(), line.get_label()): (list(line.get_xdata()), list(line.get_ydata()))
        for ax in (loss, accuracy)
        for line in ax.lines
    }
    assert lines == {
        ("loss", "training"): ([0, 1], [2.0, 1.0]),
        ("loss", "validation"): ([0, 1], [1.5, 0.5]),
        ("accuracy (%)", "training"): ([0, 1], [25.0, 75.0]),
        ("accuracy (%)", "validation"): ([0, 1], [50.0, 100.0]),
    }
    assert accuracy.get_xlabel() == "epoch"
    assert [t.get_text() for t in loss.get_legend().get_texts()] == ["training", "validation"]
    assert loss.get_position().y0 > accuracy.get_position().y1  # above, not over


def test_training_curves_single_panel_and_free_axes():
    ax = plot.training_curves([{"epoch": 3, "val/acc": 0.5}])
    assert (ax.get_ylabel(), ax.get_xlabel(), len(ax.figure.axes)) == ("accuracy (%)", "epoch", 1)
    figure = plt.figure()
    free = figure.add_axes((0.1, 0.1, 0.8, 0.8))  # in no grid
    assert plot.training_curves(ROWS, ax=free) is free
    upper, lower = (a.get_position() for a in figure.axes)
    assert upper.y0 > lower.y1
    assert (lower.y0, upper.y1) == pytest.approx((0.1, 0.9))


def test_training_curves_bad_input():
    for bad in ([], [{"epoch": 1}], [{"train_loss": 1.0}]):
        with pytest.raises(ConfigError, match="found nothing to draw"):
            plot.training_curves(bad)
    with pytest.raises(InputTypeError, match="train_loss = 'high', expected a number"):
        plot.training_curves([{"epoch": 0, "train_loss": "high"}])
    with pytest.raises(InputTypeError, match="got a row 3"):
        plot.training_curves([3])


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_save_writes_a_whole_file_and_closes(tmp_path, suffix, start):
    path = plot.save(DRAW["raster"](), tmp_path / "new" / f"raster.{suffix}")
    assert path.read_bytes().startswith(start)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert plt.get_fignums() == []


def test_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "raster.png"
    path.write_bytes(b"old")
    ax = DRAW["raster"]()

    def torn(target, **_):
        target.write_bytes(b"half")
        raise OSError("disk full")

    ax.figure.savefig = torn
    with pytest.raises(OSError, match="disk full"):
        plot.save(ax, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# -- recordings ------------------------------------------------------------------------------------


def test_raster_has_a_dot_per_event_at_its_time_and_row():
    ax = plot.event_raster(RECORDING)
    on, off = (c.get_offsets().tolist() for c in ax.collections)
    assert on == [[0, 1], [9.999, 1]]
    assert off == [[5, 0]]
    assert ax.get_ylim() == (1.5, -0.5)
    units = plot.event_raster(Events([3], [6], [0], [0], (7, 1, 1)))
    assert units.get_ylabel() == "unit"
    assert units.collections[0].get_offsets().tolist() == [[0.003, 6]]


def test_cloud_draws_at_most_so_many_within_its_box():
    n = 1000
    t = np.arange(n)
    many = Events(t, t % 8, t // 8 % 8, t % 2, (8, 8, 2))
    ax = plot.cloud(many, max_events=100)
    assert sum(len(c.get_offsets()) for c in ax.collections) == 100
    box = np.concatenate([line.get_xydata() for line in ax.lines])
    dots = np.concatenate([c.get_offsets() for c in ax.collections])
    assert (dots.min(0) >= box.min(0)).all()
    assert (dots.max(0) <= box.max(0)).all()
    with pytest.raises(InputTypeError, match=r"plot\.cloud.*expected snnkit"):
        plot.cloud(np.zeros((3, 3)))
    with pytest.raises(ConfigError, match="max_events"):
        plot.event_raster(many, max_events=0)


def test_overview_of_both_kinds_of_sensor():
    figure = plot.overview(RECORDING, title="three events").figure
    assert len(figure.axes) == 3
    assert figure.get_suptitle() == "three events"
    figure.canvas.draw()
    assert len(plot.overview(Events([3], [6], [0], [0], (7, 1, 1))).figure.axes) == 1
    plot.overview(Events([], [], [], [], (4, 4, 2))).figure.canvas.draw()


def test_animation_frame_by_frame(tmp_path):
    from PIL import Image

    path = plot.animate(RECORDING, tmp_path / "a.gif", T=2, milliseconds=100)
    with Image.open(path) as gif:
        assert gif.n_frames == 2
        assert gif.size == (255, 170)
        assert gif.info["duration"] == 100
        first = np.asarray(gif.convert("RGB"))
        gif.seek(1)
        second = np.asarray(gif.convert("RGB"))
    side = 85
    dark = [[tuple(map(int, np.argwhere((f < 200).any(-1)).min(0) // side))] for f in (first, second)]
    assert dark == [[(1, 0)], [(0, 1)]]  # (row, column) of the first coloured pixel
    for bad in ({"T": 0}, {"T": 301}, {"milliseconds": 1}):
        with pytest.raises(ConfigError, match=r"plot\.animate"):
            plot.animate(RECORDING, tmp_path / "b.gif", **bad)
    with pytest.raises(ConfigError, match=r"rows.*event_raster"):
        plot.animate(Events([3], [6], [0], [0], (7, 1, 1)), tmp_path / "b.gif")
    assert not (tmp_path / "b.gif").exists()


def test_delay_histogram_counts_rounded_delays():
    ax = plot.delay_histogram({"before": [0, 2.4, 2, 3], "after": torch.ones(2, 2)}, 3, dt_ms=10.0)
    shares = [patch.get_data().values.tolist() for patch in ax.patches]
    assert shares == [[25.0, 0.0, 50.0, 25.0], [0.0, 100.0, 0.0, 0.0]]
    assert ax.get_xlim() == (-5.0, 35.0)
    assert ax.get_xlabel() == "delay (ms)"
    with pytest.raises(ConfigError, match=r"delays in \[0, 3\]"):
        plot.delay_histogram({"a": [4.0]}, 3)


def test_delay_kernels_show_one_output_with_equal_ends():
    kernel = torch.zeros(2, 3, 4)
    kernel[1, 2, 3] = -2.0
    image = plot.delay_kernels(kernel, output=1).images[0]
    assert image.get_array()[2, 3] == -2.0
    assert image.get_clim() == (-2.0, 2.0)
    with pytest.raises(ConfigError, match="output: got 2"):
        plot.delay_kernels(kernel, output=2)


def test_groups_keep_their_colours_while_a_cloud_turns(tmp_path):
    clouds = torch.rand(1, 300, 3, generator=torch.Generator().manual_seed(0))
    path = plot.turn(clouds, tmp_path / "a.gif", groups=20, k=12, frames=3, titles=["first"])
    with Image.open(path) as gif:
        for frame in range(3):
            gif.seek(frame)
            pixels = np.asarray(gif.convert("RGB")).reshape(-1, 3).astype(int)
            for ink in plot.PALETTE[:4]:
                wanted = np.array([int(ink[i : i + 2], 16) for i in (1, 3, 5)])
                assert (np.abs(pixels - wanted).max(1) < 40).sum() > 30, (frame, ink)


def test_titles_of_clouds():
    ax = plot.point_groups(torch.rand(2, 40, 3), groups=5, k=3, titles=["one", "two"])
    assert [axes.get_title() for axes in ax.figure.axes] == ["one", "two"]
    with pytest.raises(ConfigError, match="one for each of 2 clouds"):
        plot.point_groups(torch.rand(2, 40, 3), groups=5, k=3, titles=["one"])
