"""The command line: help without torch, lists, refusals, and a run from training to the energy bill."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from snnkit.cli import KINDS, build_parser, main


def test_help_neither_imports_torch_nor_takes_long() -> None:
    code = "import sys, snnkit.cli as c; c.build_parser().format_help(); assert 'torch' not in sys.modules"
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        best = min(best, time.perf_counter() - start)
    assert best < 2.0, "an import of torch takes longer than this"


@pytest.mark.parametrize("command", ["demo", "train", "evaluate", "energy", "list", "info"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert f"snnkit {command}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_list(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", kind]) == 0
    names = capsys.readouterr().out.split()
    assert names == sorted(names)
    assert len(names) >= 1


def test_list_with_a_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models", "sdt_8_*"]) == 0
    assert capsys.readouterr().out.split() == ["sdt_8_384", "sdt_8_512", "sdt_8_768"]


def test_names_of_models_are_whole_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["models", "max_former_cifar*"]) == 0
    assert " max_former_cifar_4_384 " in capsys.readouterr().out


def test_info_names_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("snnkit", "torch", "numpy", "devices", "neuron backend"))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["list", "modles"], "did you mean 'models'"),
        (["train", "digit"], "did you mean 'digits'"),
        (["evaluate", "--checkpoint", "nowhere.safetensors"], "no such file"),
        (["energy", "--model", "sdt_tset"], "did you mean 'sdt_test'"),
        (["energy", "--model", "sdt_test", "--compare", "qan"], "did you mean 'qann'"),
        (["energy", "--model", "sdt_test", "--hardware", "45nm-fp23"], "45nm-fp32"),
        (["energy", "--model", "sdt_test", "--data", "digts"], "digits"),
        (["energy", "--model", "sdt_test", "--picture", "pie"], "--picture"),
        (["energy", "--model", "sdt_test", "--dataflow", "magic"], "dataflow"),
        (["energy"], "--checkpoint FOLDER or --model NAME"),
    ],
)
def test_refusals_are_one_line_and_status_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_energy_profiles_are_listed_with_their_scope(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", "profiles"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("45nm-fp32", "lemaire-2022", "keras-loihi", "a synapse", "a system"))


def test_unknown_option_is_refused() -> None:
    with pytest.raises(SystemExit) as done:
        main(["info", "--verbos"])
    assert done.value.code == 2


def test_parser_knows_all_commands() -> None:
    assert all(
        name in build_parser().format_help()
        for name in ("demo", "train", "evaluate", "energy", "list", "info")
    )


def test_train_evaluate_energy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNKIT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    small = ["--model.settings={width: 16, depth: 1, heads: 2}", "--data.settings={T: 2}"]
    assert main(["train", "digits", "--out", str(out), "--epochs", "1", "--seed", "3", *small]) == 0
    assert main(["evaluate", "--checkpoint", str(out)]) == 0
    assert "95 % interval" in capsys.readouterr().out
    files = [tmp_path / name for name in ("e.json", "e.csv", "e.png", "e.md")]
    kinds = ["--json", "--csv", "--plot", "--markdown"]
    options = [word for pair in zip(kinds, map(str, files), strict=True) for word in pair]
    options += ["--samples", "8", "--picture", "sparsity", "--metrics", "--dataflow", "weight_stationary"]
    assert main(["energy", "--checkpoint", str(out), *options]) == 0
    said = capsys.readouterr().out
    assert "as a quantised ANN" in said
    assert "break-even rate" in said or "needs less energy" in said
    assert "membrane updates" in said
    assert "data-flow weight_stationary" in files[3].read_text()
    assert json.loads(files[0].read_text())
    assert all(f.stat().st_size > 200 for f in files)


def test_energy_of_a_model_that_is_not_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["energy", "--model", "sdt_test", "--samples", "2"]) == 0
    said = capsys.readouterr().out
    assert "sdt_test is not trained" in said
    assert "no neuron fired" not in said  # its norms fit the samples
    assert "less energy below a firing rate of" in said
    assert all(len(line) <= 80 for line in said.split("warning:")[0].splitlines())


def test_energy_on_hardware_that_runs_spikes_only(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["energy", "--model", "sdt_test", "--samples", "2", "--hardware", "loihi"]
    assert main(few) == 0
    assert "loihi runs networks of spikes only" in capsys.readouterr().out
    assert main([*few, "--compare", "ann"]) == 2
    assert "runs no network without spikes" in capsys.readouterr().err


def test_demo_leaves_a_complete_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNNKIT_CACHE", str(tmp_path / "cache"))
    assert main(["demo", "--epochs", "1", "--out", str(tmp_path / "demo")]) == 0
    assert "test accuracy" in capsys.readouterr().out
    written = {p.name for p in (tmp_path / "demo").iterdir()}
    assert written >= {
        "model.safetensors",
        "config.yaml",
        "metrics.csv",
        "energy.json",
        "summary.json",
        "checkpoints",
    }
    assert len([name for name in written if name.endswith(".png")]) == 7


def test_energy_of_clouds(capsys: pytest.CaptureFixture[str]) -> None:
    clouds = ["energy", "--model", "spikepoint_micro", "--data", "shapes", "--samples", "2"]
    assert main(clouds) == 0
    plain = capsys.readouterr().out
    assert "no neuron fired" not in plain
    assert "of preprocessing per input are left out" in " ".join(plain.split())
    assert main([*clouds, "--preprocessing"]) == 0
    assert "preprocessing" in capsys.readouterr().out.split("as an ANN")[0]
