"""Recipes train, runs are complete, checkpoints resume exactly, bad configurations are refused."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch

import snnkit
from snnkit.errors import CheckpointError, ConfigError, NumericsError, UnknownNameError
from snnkit.train import (
    AtomicCheckpointIO,
    EpochSampler,
    FrameAugment,
    adamw_cosine,
    evaluate,
    newest_checkpoint,
    parameter_groups,
    read_metrics,
    recipe_path,
    train,
    wilson_interval,
)

SMALL = [
    "--model.settings={width: 16, depth: 1, heads: 2}",
    "--data.settings={T: 2}",
    "--data.batch_size=256",
]

PLAIN = ["--model.loss_settings={label_smoothing: 0.1}"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One cache for all runs of this module."""
    folder = str(tmp_path_factory.mktemp("cache"))
    os.environ["SNNKIT_CACHE"] = folder
    return folder


@pytest.fixture(scope="module")
def run(cache: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two short epochs with validation."""
    out = tmp_path_factory.mktemp("run")
    train("digits", out, [*SMALL, "--trainer.max_epochs=2", "--data.folds=5"])
    return out


def test_run_folder_is_complete(run: Path) -> None:
    assert {p.name for p in run.iterdir()} == {
        "checkpoints",
        "config.yaml",
        "metrics.csv",
        "model.safetensors",
    }
    rows = read_metrics(run / "metrics.csv")
    assert [row["epoch"] for row in rows] == [0, 1]
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= rows[0].keys()
    rates = [v for k, v in rows[1].items() if k.startswith("rate/")]
    assert len(rates) == 12
    assert all(0 <= rate <= 4 for rate in rates), "counts of up to four spikes"
    assert len(list((run / "checkpoints").glob("*.ckpt"))) == 2


def test_resolved_configuration_trains_again_to_the_same_losses(run: Path, tmp_path: Path) -> None:
    train(str(run / "config.yaml"), tmp_path)
    assert read_metrics(tmp_path / "metrics.csv") == read_metrics(run / "metrics.csv")


def test_evaluation_of_a_run(run: Path) -> None:
    result = evaluate(run)
    assert result.total == 360
    assert sum(c for c, _ in result.by_class.values()) == result.correct
    low, high = result.interval
    assert 0 <= low < result.accuracy < high <= 1


def test_saved_model_equals_the_trained_one(cache: str, tmp_path: Path) -> None:
    model, data = train("digits", tmp_path, [*SMALL, "--trainer.max_epochs=1"])
    x = data.open("test").tensors()[0][:8].transpose(0, 1)
    with torch.no_grad():
        expected = model.eval()(x)
        assert torch.equal(snnkit.load_model(tmp_path / "model.safetensors", readout="per_step")(x), expected)
        torch.testing.assert_close(snnkit.load_model(tmp_path / "model.safetensors")(x), expected.mean(0))


def test_kill_and_resume_repeat_the_uninterrupted_run(cache: str, tmp_path: Path) -> None:
    epochs = 4
    code = (
        "import sys; from snnkit.train import train; "
        f"settings = {[*SMALL, f'--trainer.max_epochs={epochs}']!r}; "
        "train('digits', sys.argv[1], settings, resume=sys.argv[2] == '1')"
    )
    environment = os.environ | {"SNNKIT_CACHE": cache, "OMP_NUM_THREADS": "1"}

    def start(out: Path, resume: bool) -> subprocess.Popen:
        command = [sys.executable, "-c", code, str(out), str(int(resume))]
        log = open(f"{out}.log", "ab")  # noqa: SIM115 - the process owns it
        with log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole, False).wait() == 0
    process = start(killed, False)
    while len(read_metrics(killed / "metrics.csv")) < 2:
        assert process.poll() is None, Path(f"{killed}.log").read_text()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (killed / "model.safetensors").exists(), "the run ended before it could be killed"
    resumed = start(killed, True)
    assert resumed.wait() == 0, Path(f"{killed}.log").read_text()
    assert (killed / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    a, b = (snnkit.load_model(p / "model.safetensors").state_dict() for p in (whole, killed))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_damaged_checkpoint_is_skipped_and_kept(tmp_path: Path) -> None:
    io = AtomicCheckpointIO()
    io.save_checkpoint({"epoch": 1}, tmp_path / "a.ckpt")
    time.sleep(0.01)
    broken = tmp_path / "b.ckpt"
    broken.write_bytes((tmp_path / "a.ckpt").read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"damaged checkpoint.*b\.ckpt"):
        assert newest_checkpoint(tmp_path) == tmp_path / "a.ckpt"
    assert broken.exists()
    with pytest.raises(CheckpointError, match=r"b\.ckpt.*resume"):
        io.load_checkpoint(broken)


def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.system, (f"touch {tmp_path}/canary",)

    torch.save({"x": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(CheckpointError, match="not a readable training checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "evil.ckpt")
    assert not (tmp_path / "canary").exists()


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    io, path = AtomicCheckpointIO(), tmp_path / "a.ckpt"
    io.save_checkpoint({"epoch": 1}, path)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        io.save_checkpoint({"epoch": 2}, path)
    assert io.load_checkpoint(path) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("--model.lrr=1", r"model\.lr"),
        ("--modle.lr=1", "model"),
        ("--trainer.max_epoch=1", r"trainer\.max_epochs"),
        ("--model.lr=fast", "fast"),
        ("--model.name=spikformer_tset", "spikformer_test"),
        ("--data.dataset=digit", "digits"),
        ("--model.settings={widht: 8}", "width"),
        ("--data.batch_size=0", "batch_size"),
        ("--model.augment={degrees: -1}", "degrees"),
        ("--model.loss=tett", "tet"),
        ("--model.loss_settings={lamm: 1}", "lam"),
        ("--model.augment={degree: 1}", "degrees"),
        ("--model.settings={readout: max}", "readout"),
        ("--trainer.max_epochs=0", "max_epochs"),
    ],
)
def test_bad_configuration_is_refused_by_name(override: str, match: str, cache: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=match):
        train("digits", tmp_path / "out", [override])
    assert not (tmp_path / "out").exists(), "nothing is written for a refused configuration"


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'digits'"):
        recipe_path("digit")


def test_a_loss_that_is_not_finite_stops_the_run(cache: str, tmp_path: Path) -> None:
    with pytest.raises(NumericsError, match=r"loss is nan at step"):
        train("digits", tmp_path, [*SMALL, "--model.lr=1e30", "--trainer.gradient_clip_val=null"])


def test_silent_layers_are_named(cache: str, tmp_path: Path) -> None:
    dead = "--model.neuron={default: lif, stem: {name: lif, threshold: 1000.0}}"
    with pytest.warns(UserWarning, match=r"no spike in epoch 0 from: embeds\.0\.convs\.0\.neuron"):
        train("digits", tmp_path, [*SMALL, dead, "--trainer.max_epochs=1"])


def test_bf16_autocast_trains(cache: str, tmp_path: Path) -> None:
    short = ["--trainer.max_epochs=3", "--data.batch_size=48", "--trainer.precision=bf16-mixed"]
    train("digits", tmp_path, [*SMALL, *short])
    losses = [row["train_loss"] for row in read_metrics(tmp_path / "metrics.csv")]
    assert losses[2] < losses[0] - 0.1


def test_mixed_batches_a_readout_and_another_layout(cache: str, tmp_path: Path) -> None:
    options = ["--trainer.max_epochs=1", "--model.mixing={mixup: 0.5, cutmix: 1.0}", "--model.readout=mean"]
    train(
        "digits", tmp_path, [*SMALL, *options, "--model.channels_last=true", "--model.loss=mean_ce", *PLAIN]
    )
    assert read_metrics(tmp_path / "metrics.csv")[0]["train_loss"] < 4
    assert evaluate(tmp_path).total == 360
    with pytest.raises(ConfigError, match="cutmix"):
        train("digits", tmp_path / "a", [*SMALL, "--model.mixing={cutmixx: 1}"])


def test_metrics_are_one_row_per_epoch(run: Path) -> None:
    with open(run / "metrics.csv", newline="") as file:
        assert len(list(csv.reader(file))) == 3


# -- parts -------------------------------------------------------------------------------------------


def test_sampler_depends_on_seed_and_epoch_only() -> None:
    sampler = EpochSampler(100, seed=3, shuffle=True)
    first = list(sampler)
    assert sorted(first) == list(range(100))
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_parameter_groups_spare_vectors() -> None:
    net = snnkit.create_model("sdt_test", neuron={"name": "lif", "learn_tau": True})
    decay, plain = parameter_groups(net, 0.1)
    assert {p.ndim for p in plain["params"]} <= {0, 1}
    assert min(p.ndim for p in decay["params"]) >= 2
    assert len(decay["params"]) + len(plain["params"]) == len(list(net.parameters()))
    assert plain["weight_decay"] == 0


def test_schedule_warms_up_and_falls_as_a_cosine() -> None:
    optimizer, schedule = adamw_cosine(
        torch.nn.Linear(1, 1), lr=1.0, weight_decay=0, steps=100, warmup_steps=9
    )
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert max(rates) == pytest.approx(rates[9]) == pytest.approx(1.0)
    assert all(a >= b for a, b in pairwise(rates[9:]))
    assert rates[-1] < 0.012


def test_augmentation_without_motion_is_identity_and_generators_decide() -> None:
    x = torch.rand(3, 4, 2, 16, 16)
    assert FrameAugment()(x, torch.Generator()) is x
    augment = FrameAugment(degrees=20, translate=0.1, scale=0.2, shear=0.2, drop=0.3)
    one, two = (augment(x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, augment(x, torch.Generator().manual_seed(2)))


def test_augmentation_moves_all_steps_of_a_sample_alike() -> None:
    x = torch.rand(1, 4, 2, 16, 16).expand(3, -1, -1, -1, -1)
    out = FrameAugment(degrees=20, translate=0.1)(x, torch.Generator().manual_seed(0))
    assert torch.equal(out[0], out[2])
    assert not torch.allclose(out[:, 0], x[:, 0])


def test_augmentation_translates_by_the_stated_share() -> None:
    x = torch.zeros(1, 200, 1, 16, 16)
    x[..., 8, 8] = 1
    out = FrameAugment(translate=0.25)(x, torch.Generator().manual_seed(0))[0, :, 0]
    columns = (out.sum(1) * torch.arange(16)).sum(-1)
    assert 3.4 < (columns - 8).abs().max() <= 4.0


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0.0, 0.27754), (10, 10, 0.72246, 1.0), (350, 360, 0.94961, 0.98484)],
)
def test_wilson_interval(correct: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=2e-5)


def test_summary_of_the_saved_model_names_its_data(run: Path) -> None:
    from snnkit.models import read_metadata

    info = read_metadata(run / "model.safetensors")
    assert info["info"]["data"] == {
        "dataset": "digits",
        "root": None,
        "settings": {"T": 2},
        "transforms": [],
    }
    assert json.dumps(info["model"])


def test_the_rate_penalty_lowers_rates(cache: str, tmp_path: Path) -> None:
    means = []
    for weight in (0.0, 30.0):
        out = tmp_path / str(weight)
        options = ["--trainer.max_epochs=2", "--data.batch_size=48", f"--model.rate_weight={weight}"]
        train("digits", out, [*SMALL, *options, "--model.rate_target=0.02"])
        row = read_metrics(out / "metrics.csv")[-1]
        rates = [v for k, v in row.items() if k.startswith("rate/")]
        means.append(sum(rates) / len(rates))
    assert means[1] < 0.8 * means[0]


@pytest.mark.parametrize(
    ("module", "code", "extra"),
    [
        ("lightning", "import snnkit.train", "train"),
        (
            "tensorboard",
            "from snnkit.train import train; train('digits', 'out', tensorboard=True)",
            "tensorboard",
        ),
        ("sklearn", "from snnkit.data import DigitsEvents; DigitsEvents(cache_dir='cache')", "train"),
    ],
)
def test_a_missing_extra_is_named_with_its_install_line(
    module: str, code: str, extra: str, tmp_path: Path
) -> None:
    blocked = f"import sys; sys.modules[{module!r}] = None; sys.modules['tensorboardX'] = None; {code}"
    environment = os.environ | {"PYTHONPATH": str(Path(snnkit.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", blocked], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f'pip install "snnkit[{extra}]"' in done.stderr
    assert "MissingDependencyError" in done.stderr


def test_a_folder_with_a_run_is_refused_unless_overwritten(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "copy"
    shutil.copytree(run, out)
    with pytest.raises(ConfigError, match=r"holds a run already.*--resume.*--overwrite"):
        train("digits", out, [*SMALL, "--trainer.max_epochs=1"])
    assert len(read_metrics(out / "metrics.csv")) == 2
    train("digits", out, [*SMALL, "--trainer.max_epochs=1"], overwrite=True)
    rows = read_metrics(out / "metrics.csv")
    assert len(rows) == 1
    assert "val_loss" not in rows[0]


def test_resuming_another_configuration_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copy"
    shutil.copytree(run, out)
    before = (out / "config.yaml").read_bytes()
    options = [*SMALL, "--trainer.max_epochs=3", "--data.folds=5", "--model.lr=1e-9"]
    with pytest.raises(ConfigError, match=r"model\.lr = 1e-09 \(was"):
        train("digits", out, options, resume=True)
    assert (out / "config.yaml").read_bytes() == before


def test_rates_are_those_of_training_alone(cache: str, tmp_path: Path) -> None:
    rates = []
    for folds in (0, 5):
        out, options = tmp_path / str(folds), ["--trainer.limit_train_batches=1", f"--data.folds={folds}"]
        train("digits", out, [*SMALL, *options, "--trainer.max_epochs=1"])
        rates.append(read_metrics(out / "metrics.csv")[0]["rate/embeds.0.convs.0.neuron"])
    assert 0.5 < rates[0] / rates[1] < 2, "other samples, but none in evaluation mode"
