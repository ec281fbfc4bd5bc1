"""``snnkit data`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snnkit.cli import main
from snnkit.data import Events, write_evt2, write_nmnist, write_nmnist_1d


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


def test_show_cloud(tmp_path: Path, recording: Events, capsys: pytest.CaptureFixture[str]) -> None:
    write_evt2(tmp_path / "a.raw", recording)
    cloud = ["data", "show", str(tmp_path / "a.raw"), "--out", str(tmp_path / "out"), "--cloud"]
    small = ["--frames", "3", "--points", "64", "--groups", "8", "--k", "4"]
    assert main([*cloud, *small, "--window-us", "100000"]) == 0
    told = capsys.readouterr().out
    assert "windows: 4 with events, shown 3, of [" in told
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_cloud.gif", "a_cloud.png"]
    with Image.open(tmp_path / "out" / "a_cloud.gif") as gif:
        assert gif.n_frames == 3
        first = np.asarray(gif.convert("RGB"))
        gif.seek(1)
        assert (np.asarray(gif.convert("RGB")) != first).any()
    capsys.readouterr()
    for options, told in (
        (["--points", "64", "--groups", "65"], "--groups: got 65, expected at most 64"),
        (["--points", "10"], "--groups: got 64, expected at most 10"),
        (["--points", "64", "--k", "65"], "--k: got 65"),
        (["--window-us", "0"], "--window-us: got 0"),
    ):
        assert main([*cloud, *options]) == 2
        assert told in capsys.readouterr().err


def test_show_takes_the_sensor_of_a_format_without_one(tmp_path: Path, recording: Events) -> None:
    write_nmnist(tmp_path / "a.bin", recording)
    arguments = ["data", "show", str(tmp_path / "a.bin"), "--out", str(tmp_path)]
    assert main([*arguments, "--sensor", "34x34"]) == 0
    assert main([*arguments, "--sensor", "20x20"]) == 2
    assert main([*arguments, "--sensor", "34"]) == 2


@pytest.mark.parametrize(
    ("side", "told"), [(30, "34x34 guessed"), (35, "128x128 guessed"), (129, "240x180 guessed")]
)
def test_show_guesses_a_sensor_and_says_so(
    tmp_path: Path, side: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nmnist(tmp_path / "a.bin", Events([0, 5], [3, side - 1], [2, 1], [0, 1], (256, 256, 2)))
    assert main(["data", "show", str(tmp_path / "a.bin"), "--out", str(tmp_path), "--frames", "2"]) == 0
    assert f"sensor {told} from the events; give another with --sensor WxH" in capsys.readouterr().out


def test_show_of_other_files_without_a_sensor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = Events([0, 5], [3, 200], [2, 201], [0, 1], (256, 256, 2))
    np.save(tmp_path / "a.npy", events.to_structured())
    assert main(["data", "show", str(tmp_path / "a.npy"), "--out", str(tmp_path), "--frames", "2"]) == 0
    assert "sensor 304x240 guessed" in capsys.readouterr().out
    units = Events(range(20), [9] * 20, [0] * 20, [1] * 20, (64, 1, 2))
    write_nmnist_1d(tmp_path / "a.bs1", units)
    assert main(["data", "show", str(tmp_path / "a.bs1"), "--out", str(tmp_path)]) == 0
    assert "sensor 64x1 guessed" in capsys.readouterr().out


def test_show_of_one_recording_of_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["labels"] = np.array([4, 5])
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            column = file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
            column[0], column[1] = np.ones(1, kind), np.ones(3, kind)
    arguments = ["data", "show", str(tmp_path / "a.h5"), "--out", str(tmp_path), "--index"]
    assert main([*arguments, "1"]) == 0
    assert "700x1x1" in capsys.readouterr().out
    assert main([*arguments, "2"]) == 2
    assert "[0, 1]" in capsys.readouterr().err


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
        (["bench", "--workers", "-1"], "--workers: got -1"),
        (["bench", "--batch-size", "0"], "--batch-size: got 0"),
        (["bench", "--samples", "0"], "--samples: got 0"),
        (["show", "digits", "--frames", "0"], "--frames: got 0"),
        (["show", "digits", "--groups", "9"], "--groups: got 9, expected together with --cloud only"),
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
