"""Published tables, priced as their authors did."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snnkit.energy import from_rates
from snnkit.errors import ConfigError, FormatError, InputTypeError


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


def test_rows_may_be_handed_over_as_dicts():
    rows = [
        {"row": "layer", "name": "conv", "dense_ops": 18_390_000, "firing_rate_percent": 13.66},
        {"row": "total", "name": "rest", "macs": 0.14e9, "acs": 0.10e9, "sop": None},
    ]
    report = from_rates(rows)
    assert report.by_layer == pytest.approx({"conv": 2.26088e6, "rest": 0.734e9}, rel=1e-4)
    for bad in (3, b"rows", {"row": "layer"}, ["row"]):
        with pytest.raises(InputTypeError):
            from_rates(bad)
    with pytest.raises(FormatError, match="expected row, name"):
        from_rates([{"row": "layer", "name": "x", "colour": 1}])


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
        ("row,name,macs,acs\ntotal,x,1,many\n", "acs"),
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
