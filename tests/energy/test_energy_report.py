"""Files, tables and pictures of a report."""

from __future__ import annotations

import csv
import json
import math
import os
import stat

import pytest

from snnkit.energy import Report, price
from snnkit.energy.references import reference_pj
from snnkit.errors import ConfigError, FormatError, UnknownNameError


def test_json_round_trip(tmp_path, tiny):
    for report in (price(tiny), price(tiny).counterpart("qann")):
        path = report.to_json(tmp_path / "r.json")
        again = Report.from_json(path)
        assert again == report
        assert again.total_pj == report.total_pj
        assert again.by_step == report.by_step
        with pytest.raises(ConfigError, match="no counts"):
            again.counterpart("ann")
    assert json.loads(path.read_text())["schema"] == "snnkit-energy-2"
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


def test_every_term_has_a_column():
    from snnkit.energy.render import GROUPS
    from snnkit.energy.terms import TERMS

    assert sorted(term for group in GROUPS.values() for term in group) == sorted(TERMS)


def test_table(tiny):
    from rich.console import Console

    report = price(tiny)
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(report.to_table(report.counterpart("ann"), report.counterpart("qann")))
    console.file.close()
    text = console.export_text()
    for word in ("fc1", "27 AC", "18 MAC", "SNN", "QANN", "100.0", "556.6 pJ", "T = 2"):
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


def test_measured_chips_are_lines_beside_the_estimate(tiny):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    report = price(tiny)
    shown = report.plot("breakeven", references={"xylo-audio-2": None, "speck": 2}).lines
    assert {"Xylo Audio 2, one keyword", "Speck, running, 2 ms"} <= {line.get_label() for line in shown}
    for references, error, match in (
        ({"spek": 1}, UnknownNameError, "did you mean 'speck'"),
        ({"speck": None}, ConfigError, "0.7 mW.*latency in ms"),
        ({"speck": -1}, ConfigError, "references"),
    ):
        with pytest.raises(error, match=match):
            report.plot("breakeven", references=references)
    with pytest.raises(ConfigError, match="breakeven"):
        report.plot("terms", references={"speck": 2})
    plt.close("all")
    assert reference_pj("speck", 2) == ("Speck, running, 2 ms", pytest.approx(1.4e6))
