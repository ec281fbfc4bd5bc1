"""Transforms of recordings in a training configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from snnkit import load_model
from snnkit.data import LIMITS, NMNIST, Events, Transformed, as_configured, write_nmnist
from snnkit.data.transforms import Downsample, EventDrop
from snnkit.errors import ConfigError, LimitError, UnknownNameError
from snnkit.train import EventData, InMemory, OnDemand, evaluate, read_metrics, train
from snnkit.train.evaluate import open_data

DROP = "--data.transforms=[{name: downsample, width: 17, height: 17}, event_drop]"
SMALL = [
    "--model.settings={width: 16, depth: 1, heads: 2, pools: [1, 1, 0, 0]}",
    "--data.settings={T: 2, size: 16}",
    "--data.batch_size=8",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N-MNIST of ten recordings per split, two digits."""
    folder, rng = tmp_path_factory.mktemp("nmnist"), np.random.default_rng(0)
    for part in ("Train", "Test"):
        for i in range(10):
            n = 400 + 50 * i
            x, y, p = rng.integers(0, 34, n), rng.integers(0, 34, n), rng.integers(0, 2, n)
            events = Events(np.sort(rng.integers(0, 315_000, n)), x, y, p, (34, 34, 2))
            write_nmnist(folder / part / str(i % 2) / f"{i:05}.bin", events)
    return folder


def batches(data: EventData, epoch: int) -> list[torch.Tensor]:
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [batch.x for batch in loader]


def test_random_transforms_change_training_samples_only(root: Path) -> None:
    data = EventData("nmnist", str(root), {"T": 2}, folds=5, transforms=["event_drop"])
    plain = EventData("nmnist", str(root), {"T": 2}, folds=5)
    assert isinstance(data.get("train"), OnDemand)
    for part in ("val", "test"):
        assert isinstance(data.get(part), InMemory)
        assert torch.equal(data.get(part).frames, plain.get(part).frames)
    first, again, other = batches(data, 3)[0], batches(data, 3)[0], batches(data, 4)[0]
    assert torch.equal(first, again)
    assert first.sum() < plain.get("train").frames.sum()
    assert first.sum() != other.sum()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_on_demand_equal_those_from_memory(root: Path, workers: int) -> None:
    settings = {"folds": 5, "batch_size": 3, "transforms": [{"name": "denoise", "window_us": 50_000}]}
    kept = EventData("nmnist", str(root), {"T": 2}, **settings)
    read = EventData("nmnist", str(root), {"T": 2}, **settings, in_memory=False, workers=workers)
    assert isinstance(kept.get("train"), InMemory)
    assert isinstance(read.get("val"), OnDemand)
    for a, b in zip(kept.train_dataloader(), read.train_dataloader(), strict=True):
        assert all(torch.equal(u, v) for u, v in zip(a, b, strict=True))


def test_workers_draw_what_one_process_draws(root: Path) -> None:
    alone, helped = (
        EventData("nmnist", str(root), {"T": 2}, batch_size=3, transforms=["event_drop"], workers=workers)
        for workers in (0, 2)
    )
    a, b = alone.train_dataloader(), helped.train_dataloader()
    for epoch in (0, 1):  # the workers live on
        for loader in (a, b):
            loader.sampler.set_epoch(epoch)
        assert all(torch.equal(u.x, v.x) for u, v in zip(a, b, strict=True))


def test_a_recipe_trains_with_them_and_resumes_to_the_same_weights(root: Path, tmp_path: Path) -> None:
    options = [*SMALL, DROP, f"--data.root={root}", "--trainer.max_epochs=3", "--data.folds=0"]
    run, whole = tmp_path / "run", tmp_path / "whole"
    train("nmnist", run, options)
    shutil.copytree(run, whole)
    (run / "checkpoints" / "epoch-002.ckpt").unlink()
    model, _ = train("nmnist", run, options, resume=True)
    assert (whole / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()
    assert len(read_metrics(whole / "metrics.csv")) == model.current_epoch == 3
    a, b = (load_model(folder / "model.safetensors").state_dict() for folder in (whole, run))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert evaluate(whole).total == 10


def test_evaluation_takes_the_transforms_that_are_not_random(root: Path) -> None:
    described = {
        "dataset": "nmnist",
        "root": str(root),
        "settings": {"T": 2, "size": 16},
        "transforms": [{"name": "downsample", "width": 17, "height": 17}, "event_drop"],
    }
    data = open_data(described, None)
    assert isinstance(data, Transformed)
    assert data.steps[:-1] == (Downsample(17, 17),)
    assert (data.in_channels, data.img_size) == (2, 16)
    raw = NMNIST(root, "test", T=2, size=16)
    wanted = torch.stack([raw.representation(Downsample(17, 17)(raw.events(i))) for i in range(10)])
    frames, labels = data.tensors()
    assert torch.equal(frames, wanted)
    assert torch.equal(labels, raw.labels)


def test_nothing_configured_changes_nothing(root: Path) -> None:
    data = NMNIST(root)
    assert as_configured(data, [], training=True) is data
    assert as_configured(data, ["event_drop"], training=False) is data
    assert as_configured(data, ["event_drop"], training=True).steps == (EventDrop(), data.representation)


@pytest.mark.parametrize(
    ("transforms", "error", "message"),
    [
        (["evnt_drop"], UnknownNameError, "did you mean 'event_drop'"),
        ([{"name": "crop", "size": 3}], ConfigError, "transform 'crop' has no argument 'size'.*width"),
        ([{"name": "time_shift"}], ConfigError, "transform 'time_shift' needs max_us"),
        ([{"max_us": 3}], ConfigError, r"data\.transforms: got .*a name, or a dict"),
        ([{"name": "flip_x", "probability": 3}], ConfigError, r"FlipX\.probability"),
    ],
)
def test_refusals(root: Path, transforms: list, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EventData("nmnist", str(root), transforms=transforms).get("train")


def test_images_have_no_events_to_transform(tmp_path: Path, root: Path) -> None:
    with pytest.raises(ConfigError, match="holds no recordings of events"):
        as_configured([1, 2], ["event_drop"], training=True)


def test_what_does_not_fit_into_memory_says_how_to_go_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LIMITS, "frame_cells", 2 * 2 * 32 * 32 * 4)
    data = EventData("nmnist", str(root), {"T": 2})
    with pytest.raises(LimitError, match=r"data\.in_memory=false"):
        data.get("train")
    assert len(EventData("nmnist", str(root), {"T": 2}, in_memory=False).get("train")) == 10


def test_frames_can_be_augmented_in_two_ways(root: Path, tmp_path: Path) -> None:
    options = [*SMALL, f"--data.root={root}", "--trainer.max_epochs=1"]
    model, _ = train("nmnist", tmp_path / "a", [*options, "--model.augment={name: nda, ops: 2}"])
    assert repr(model.augment).startswith("NDA(ops=2")
    with pytest.raises(ConfigError, match=r"model\.augment\.name: got 'ndaa'"):
        train("nmnist", tmp_path / "b", [*options, "--model.augment={name: ndaa}"])
