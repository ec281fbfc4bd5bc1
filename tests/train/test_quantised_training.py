"""A short quantised training, its file, and the command that compresses a float model."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from snnkit import quant
from snnkit.cli import main
from snnkit.energy import price
from snnkit.errors import ConfigError, UnknownNameError
from snnkit.train import (
    Classifier,
    QuantizationSchedule,
    evaluate,
    open_model,
    quantization,
    read_metrics,
    train,
)
from snnkit.train.bill import trace_of
from snnkit.train.compress import as_stored, compress

SMALL = [
    "--model.settings={width: 16, depth: 1, heads: 2, ratio: 2, pools: [0, 1, 1, 1]}",
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=3",
    "--data.settings={size: 16, T: 2}",
]


@pytest.fixture(scope="module")
def float_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "float"
    train("digits", out, SMALL)
    return out


def test_train_from_a_float_model(
    float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [*SMALL, f"--model.start_from={float_run}", "--model.quant_schedule.still_norms=0"]
    model, _ = train("digits+qat", tmp_path / "q", [*settings, "--model.quant.weight_bits=3"])
    assert "oscillation" in read_metrics(tmp_path / "q" / "metrics.csv")[0]
    net, _ = open_model(tmp_path / "q")
    assert [q.bits for _, _, q in quant.quantized_layers(net)][:2] == [8, 3]
    assert model.lr == 4e-4  # of the second recipe; the rest is that of the first
    assert model.loss_settings == {"lam": 0.0, "label_smoothing": 0.1}
    for a, b in zip(net.state_dict().values(), model.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert evaluate(tmp_path / "q").total == 360
    rows = compress(tmp_path / "q", bits=2, samples=4)
    assert [row.name for row in rows] == ["quantised"]
    assert "3, 8 bits and taken as it is" in capsys.readouterr().out


def test_unknown_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="weight_bits"):
        train("digits+qat", tmp_path / "q", [*SMALL, "--model.quant={weight_bit: 4}"])


def test_a_recipe_that_adds_needs_one_to_add_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names no model.*digits\+qat"):
        train("qat", tmp_path / "q")
    with pytest.raises(UnknownNameError, match="did you mean 'qat'"):
        train("digits+qta", tmp_path / "q")


@pytest.mark.filterwarnings("ignore:model.quant without model.start_from")
def test_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of the recipe reach the callback: the last half of the epochs is annealed."""
    made: list[quant.CGA] = []
    monkeypatch.setattr(quantization, "CGA", lambda net, range: made.append(quant.CGA(net, range)) or made[0])
    schedule = ["--model.quant_schedule={still_norms: 0, annealing: 0.5, range: 0.1}"]
    train("digits+qat", tmp_path / "q", [*SMALL, *schedule])
    assert len(made) == 1
    with pytest.raises(ConfigError, match="anneal"):
        train("digits+qat", tmp_path / "r", [*SMALL, "--model.quant_schedule={anneal: 0.5}"])
    with pytest.raises(ConfigError, match=r"without model\.quant"):
        train("digits", tmp_path / "r", [*SMALL, *schedule])


@pytest.mark.parametrize(
    ("epochs", "share", "wanted"), [(6, 0.1, 1), (10, 0.1, 1), (28, 0.1, 3), (4, 0.0, 0)]
)
def test_norms_are_still_at_the_end(epochs: int, share: float, wanted: int) -> None:
    class Part(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm1d(2)

    callback, still = QuantizationSchedule(still_norms=share), 0
    for epoch in range(epochs):
        net = Part().train()
        callback.on_train_epoch_start(SimpleNamespace(max_epochs=epochs, current_epoch=epoch), net)
        still += not net.norm.training
    assert still == wanted


def test_from_random_weights_is_said() -> None:
    with pytest.warns(UserWarning, match="random ones, at a learning rate of 0.001"):
        Classifier("sdt_test", lr=1e-3, quant={"weight_bits": 4})


@pytest.mark.filterwarnings("ignore:model.quant without model.start_from")
def test_resumed_training_repeats_the_uninterrupted_one(tmp_path: Path) -> None:
    """Which weights are held, and what was seen of their oscillations, is part of a checkpoint."""
    whole, cut = tmp_path / "whole", tmp_path / "run"
    settings = [*SMALL, "--trainer.max_epochs=4", "--model.lr=2e-2", "--model.warmup_epochs=0"]
    settings.append("--model.quant_schedule={annealing: 0.75, range: 0.1}")
    train("digits+qat", cut, settings)
    shutil.copytree(cut, whole)
    (cut / "checkpoints" / "epoch-003.ckpt").unlink()
    (cut / "model.safetensors").unlink()
    train("digits+qat", cut, settings, resume=True)
    assert (cut / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert read_metrics(cut / "metrics.csv")[-1]["oscillation"] > 0
    a, b = (open_model(run)[0].state_dict() for run in (whole, cut))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_energy_is_that_of_stored_widths(float_run: Path) -> None:
    """Float weights are read in 32 bits, also where the hardware would have 8."""
    net, _ = open_model(float_run)
    counted = trace_of(net, (torch.rand(2, 2, 2, 16, 16) < 0.2).float())
    whole = price(counted, "45nm-int8", **as_stored(net)).total_pj
    assert whole > price(counted, "45nm-int8", state_bits=32).total_pj
    assert as_stored(quant.quantize(net, 4)) == {"state_bits": 32, "weight_bits": None}


def test_command(float_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "small.safetensors"
    args = ["quantize", "--checkpoint", str(float_run), "--bits", "3", "--samples", "4"]
    assert main([*args, "--integer", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("float", "quantised", "integer", "spike-driven", "uJ", "kB"))
    logits = quant.load_integer(out)(torch.zeros(2, 3, 2, 16, 16))
    assert logits.shape == (3, 10)
    assert main(["evaluate", "--checkpoint", str(out)]) == 2
    assert "load_integer" in capsys.readouterr().err
    assert main(["quantize", "--checkpoint", str(float_run), "--bits", "32"]) == 2
    assert "[1, 8]" in capsys.readouterr().err
