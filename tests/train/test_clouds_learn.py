"""Networks on clouds are trained, saved and evaluated by the ordinary commands."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from snnkit.data import Batch
from snnkit.models import create_model, load_model, save_model
from snnkit.train import EventData, InMemory, evaluate, predict, train
from snnkit.train.bill import energy_of
from snnkit.train.evaluate import by_recording


def test_clouds_in_memory_have_no_time_axis() -> None:
    points, labels = torch.rand(5, 16, 3), torch.arange(5)
    batch = InMemory(points, labels).__getitems__([3, 1])
    assert isinstance(batch, Batch)
    assert torch.equal(batch.x, points[[3, 1]])
    assert batch.mask is None


def test_sizes_come_from_the_data() -> None:
    data = EventData("shapes", settings={"n": 16, "points": 64}, batch_size=8)
    assert (data.in_channels, data.img_size, data.num_classes) == (3, 64, 10)
    assert next(iter(data.train_dataloader())).x.shape == (8, 64, 3)


def test_one_epoch(tmp_path: Path) -> None:
    settings = ["--data.settings.n=32", "--trainer.max_epochs=1", "--model.name=spikepoint_micro"]
    small = ["--model.settings={coding: direct, T: 2}", "--data.settings={n: 32, points: 32}"]
    model, data = train("shapes", tmp_path / "run", [*settings, *small, "--trainer.accelerator=cpu"])
    result = evaluate(tmp_path / "run")
    assert result.total == 32
    points, labels = data.open("test").tensors()
    saved = load_model(tmp_path / "run" / "model.safetensors")
    assert result.correct == int((predict(saved, points) == labels).sum())
    reports = energy_of(model.net, points[:3])
    assert reports["snn"].samples == 3
    assert reports["snn"].T == 2


@pytest.mark.slow
def test_shapes_are_learned(tmp_path: Path) -> None:
    """Five points below what the recipe reaches on the test shapes (docs/points.md) are left to chance."""
    train("shapes", tmp_path / "run", ["--trainer.accelerator=cpu"])
    assert evaluate(tmp_path / "run").accuracy > 0.94


def test_windows_of_a_recording_vote() -> None:
    logits = torch.tensor([[0.0, 3.0], [2.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    labels, recordings = torch.tensor([1, 1, 0, 1]), torch.tensor([4, 4, 7, 9])
    mean, truth = by_recording(logits, labels, recordings)
    assert mean.tolist() == [[1, 1.5], [2, 0], [0, 1]]
    assert truth.tolist() == [1, 0, 1]
    assert by_recording(logits, labels, None)[0] is logits


def test_accuracy_of_windows_is_that_of_recordings(tmp_path: Path) -> None:
    net = create_model("spikepoint_micro", coding="direct", T=1)
    settings = {"of": "digits", "points": 32, "window_us": 105_000}
    save_model(net, tmp_path / "net.safetensors", {"data": {"dataset": "clouds", "settings": settings}})
    assert evaluate(tmp_path / "net.safetensors").total == 360
