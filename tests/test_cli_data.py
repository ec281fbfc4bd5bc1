"""``snnkit data`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnkit.cli import main
from snnkit.data import Events, write_evt2, write_nmnist


@pytest.fixture
def recording() -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 300_000, 2000))
    return Events(
        t, rng.integers(0, 34, 2000), rng.integers(0, 30, 2000), rng.integers(0, 2, 2000), (34, 34, 2)
    )


@pytest.mark.parametrize("command", ["show", "check", "bench"])
def test_each_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["data", command, "--help"])
    assert done.value.code == 0
    assert f"snnkit data {command}" in capsys.readouterr().out


def test_show(tmp_path: Path, recording: Events, capsys: pytest.CaptureFixture[str]) -> None:
    write_evt2(tmp_path / "a.raw", recording)
    out = tmp_path / "pictures"
    assert main(["data", "show", str(tmp_path / "a.raw"), "--out", str(out), "--frames", "7"]) == 0
    told = capsys.readouterr().out
    assert "2,000" in told
    assert "34x34x2" in told
    assert sorted(p.name for p in out.iterdir()) == ["a.gif", "a.png"]
    with Image.open(out / "a.gif") as gif:
        assert gif.n_frames == 7
        assert gif.size == (34 * 7, 34 * 7)


def test_show_takes_the_sensor_of_a_format_without_one(tmp_path: Path, recording: Events) -> None:
    write_nmnist(tmp_path / "a.bin", recording)
    arguments = ["data", "show", str(tmp_path / "a.bin"), "--out", str(tmp_path)]
    assert main([*arguments, "--sensor", "34x34"]) == 0
    assert main([*arguments, "--sensor", "20x20"]) == 2
    assert main([*arguments, "--sensor", "34"]) == 2


def test_check_tells_by_its_status(
    tmp_path: Path, recording: Events, capsys: pytest.CaptureFixture[str]
) -> None:
    write_evt2(tmp_path / "data" / "a.raw", recording)
    assert main(["data", "check", str(tmp_path / "data")]) == 0
    assert "1 recordings checked: nothing wrong" in capsys.readouterr().out
    good = (tmp_path / "data" / "a.raw").read_bytes()
    (tmp_path / "data" / "b.raw").write_bytes(good[:-1])
    (tmp_path / "data" / "c.raw").write_bytes(good)
    report = tmp_path / "report.json"
    assert main(["data", "check", str(tmp_path / "data"), "--report", str(report)]) == 1
    told = capsys.readouterr().out
    assert "3 recordings checked: 1 twice, 1 unreadable" in told
    assert "b.raw" in told
    assert [f["kind"] for f in json.loads(report.read_text())["findings"]] == ["unreadable", "twice"]


def test_check_of_a_data_set(tmp_path: Path, recording: Events, capsys: pytest.CaptureFixture[str]) -> None:
    write_nmnist(tmp_path / "Train" / "3" / "00001.bin", recording)
    arguments = ["data", "check", str(tmp_path), "--dataset", "nmnist"]
    assert main(arguments) == 0
    write_nmnist(tmp_path / "Train" / "4" / "00002.bin", recording)
    assert main(arguments) == 1
    assert "00001.bin" in capsys.readouterr().out
    assert main([*arguments, "--split", "test"]) == 2


def test_bench_prints_a_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SNNKIT_CACHE", str(tmp_path))
    assert main(["data", "bench", "--samples", "64"]) == 0
    told = capsys.readouterr().out
    assert told.count("recordings/s") == 2
    assert "64 recordings" in told


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["show", "nowhere.raw"], "cannot be read"),
        (["check", "nowhere"], "no folder"),
        (["check", "."], "no recordings"),
        (["bench", "digts"], "did you mean 'digits'"),
        (["bench", "nmnist"], "Give its folder"),
        (["show", "shapes"], "no recordings of events"),
        (["check", ".", "--dataset", "shapes"], "Give its folder"),
        (["show", "digits", "--index", "1437"], "below 1437"),
    ],
)
def test_refusals_have_status_2(
    argv: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SNNKIT_CACHE", str(tmp_path / "cache"))
    assert main(["data", *argv]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
