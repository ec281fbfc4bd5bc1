"""DigitsEvents: the published procedure, fixed splits, one cache for all processes."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from snnkit.data import DATASETS, CacheWarning, Camera, DigitsEvents, collate, holdout, to_frames
from snnkit.data import digits as digits_module
from snnkit.data.digits import film
from snnkit.errors import ConfigError, InputTypeError, MissingDependencyError


@pytest.fixture(scope="module")
def images():
    from sklearn.datasets import load_digits

    return load_digits().images / 16


def fingerprint(dataset: DigitsEvents) -> str:
    """Hash of all events and labels."""
    parts = [getattr(dataset.events(i), n).tobytes() for i in range(0, len(dataset), 7) for n in "txyp"]
    return hashlib.sha256(b"".join(parts) + dataset.labels.numpy().tobytes()).hexdigest()


def test_first_three_digits_on_the_large_sensor(images):
    """Without spread of thresholds: golden counts within 1 %."""
    got = film(images[:3], 34, 1000, Camera(threshold_sigma=0))
    parts = [slice(got.ptr[i], got.ptr[i + 1]) for i in range(3)]
    assert [p.stop - p.start for p in parts] == pytest.approx([4801, 3963, 4427], rel=0.01)
    assert [int(got.p[p].sum()) for p in parts] == pytest.approx([2377, 1940, 2172], rel=0.01)
    assert got.t.min() == pytest.approx(14_436, rel=0.01)
    assert 314_000 < got.t.max() < 315_000


def test_small_sensor_fine_steps(images):
    """dt 1 ms: 598 +- 58 events, ON share .515, over all samples; every third here."""
    counts = np.diff(film(images[::3], 16, 1000, Camera()).ptr)
    assert counts.mean() == pytest.approx(598, rel=0.01)
    assert counts.std() == pytest.approx(58, rel=0.1)


def test_whole_small_set(digits_cache):
    """dt 5 ms: 586 +- 55 events."""
    splits = [DigitsEvents(s, cache_dir=digits_cache) for s in ("train", "test")]
    assert [len(s) for s in splits] == [1437, 360]
    counts = np.array([len(s.events(i)) for s in splits for i in range(len(s))])
    assert counts.mean() == pytest.approx(586, rel=0.01)
    assert counts.std() == pytest.approx(55, rel=0.05)
    labels = torch.cat([s.labels for s in splits])
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    share = np.mean([s.events(i).p.mean() for s in splits for i in range(len(s))])
    assert share == pytest.approx(0.515, abs=0.005)


def test_steps_agree_within_three_percent(images):
    for size in (16, 34):
        fine, coarse = (len(film(images[:40], size, dt, Camera()).t) for dt in (1000, 5000))
        assert coarse == pytest.approx(fine, rel=0.03)


@pytest.mark.slow
def test_large_sensor_statistics(images):
    """C .35: 4263 +- 398 (3372..5414) on the first 600; C .2: 8924, C .15: 12 375."""
    from sklearn.datasets import load_digits

    recordings = film(images[:600], 34, 1000, Camera())
    counts, labels = np.diff(recordings.ptr), load_digits().target[:600]
    assert counts.mean() == pytest.approx(4263, rel=0.01)
    assert counts.std() == pytest.approx(398, rel=0.05)
    assert (counts.min(), counts.max()) == pytest.approx((3372, 5414), rel=0.02)
    assert recordings.p.mean() == pytest.approx(0.512, abs=0.003)
    by_class = [counts[labels == c].mean() for c in range(10)]
    assert by_class == pytest.approx([4791, 3804, 4348, 4446, 3819, 4553, 4138, 4191, 4034, 4436], rel=0.01)
    for threshold, mean, tolerance in ((0.2, 8924, 0.01), (0.15, 12_375, 0.04)):  # small C: sigma / C counts
        counts = np.diff(film(images[::4], 34, 1000, Camera(threshold)).ptr)
        assert counts.mean() == pytest.approx(mean, rel=tolerance)


def test_items_are_frames_of_the_events(digits_cache):
    data = DigitsEvents("test", T=5, cache_dir=digits_cache)
    frames, label = data[3]
    assert frames.shape == (5, 2, 16, 16)
    assert frames.dtype == torch.float32
    assert type(label) is int
    e = data.events(3).validate()
    assert torch.equal(frames, to_frames(e, T=5))
    assert frames.sum() == len(e)
    assert e.t_span == (0, 315_000)
    assert e.info == {"source_index": 1440}
    assert torch.equal(data[-1][0], data[359][0])
    assert (data.num_classes, data.in_channels, data.img_size, data.T) == (10, 2, 16, 5)
    assert repr(data) == "DigitsEvents(360 recordings on 16x16x2, 10 classes, T=5)"


def test_tensors_are_all_items(digits_cache):
    data = DigitsEvents("test", cache_dir=digits_cache)
    frames, labels = data.tensors()
    assert frames.shape == (360, 8, 2, 16, 16)
    assert frames.sum() == sum(len(data.events(i)) for i in range(360))
    for i in (0, 100, 359):
        assert torch.equal(frames[i], data[i][0])
        assert labels[i] == data[i][1]
    labels[0] += 1  # a copy
    assert labels[0] != data.labels[0]


def test_channels_follow_the_polarity(digits_cache):
    data = DigitsEvents("test", polarity="merge", binary=True, cache_dir=digits_cache)
    assert data.in_channels == 1
    assert data[0][0].shape == (8, 1, 16, 16)
    assert data[0][0].max() == 1
    three = DigitsEvents("test", polarity="with_sum", cache_dir=digits_cache)
    assert three.in_channels == 3
    assert three[0][0].shape == (8, 3, 16, 16)


def test_split_is_stratified_by_holdout(digits_cache):
    data = DigitsEvents("train", cache_dir=digits_cache)
    train, held = holdout(data, folds=5)
    assert len(train) + len(held) == 1437
    assert data.labels[held].bincount().min() >= 28


def test_wrong_index(digits_cache):
    data = DigitsEvents("test", cache_dir=digits_cache)
    for i in (360, -361):
        with pytest.raises(IndexError, match=f"index {i} out of range for 360 samples"):
            data[i]
    for i in (1.0, "0", None, slice(3)):
        with pytest.raises(InputTypeError, match="expected an int"):
            data[i]
    assert data[torch.tensor(3)][1] == data[np.int64(3)][1] == data[3][1]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"split": "val"}, ("DigitsEvents.split", "'val'", "'train' or 'test'")),
        ({"size": 28}, ("DigitsEvents.size", "28", "16 or 34")),
        ({"size": 16.0}, ("DigitsEvents.size", "16.0")),
        ({"dt_us": 4000}, ("DigitsEvents.dt_us", "4000", "divides 105000", "5000")),
        ({"dt_us": 1}, ("DigitsEvents.dt_us", "got 1,")),
        ({"noise": "v2e"}, ("DigitsEvents.noise", "'v2e'", "bool")),
        ({"threshold": -1.0}, ("Camera.threshold", "-1.0")),
        ({"seed": 0.5}, ("Camera.seed", "0.5")),
        ({"T": 0}, ("T", "got 0", "int > 0")),
        ({"T": None}, ("DigitsEvents.T", "None")),
        ({"polarity": "both"}, ("polarity", "'both'")),
    ],
)
def test_bad_arguments(digits_cache, arguments, parts):
    with pytest.raises(ConfigError) as caught:
        DigitsEvents(**{"cache_dir": digits_cache} | arguments)
    for part in parts:
        assert part in str(caught.value)


def test_every_setting_that_changes_events_has_its_own_entry(tmp_path, images, monkeypatch):
    monkeypatch.setattr(digits_module, "_load_images", lambda: (images[:1440], np.zeros(1440, np.int64)))
    monkeypatch.setattr(digits_module, "film", lambda i, s, dt, camera: film(i[:1], 16, 105_000, camera))
    seen = set()
    for settings in (
        {},
        {"dt_us": 3000},
        {"threshold": 0.3},
        {"threshold_sigma": 0.0},
        {"noise": True},
        {"seed": 1},
        {"size": 34},
    ):
        before = set(os.listdir(tmp_path))
        DigitsEvents(cache_dir=tmp_path, **settings)
        seen |= set(os.listdir(tmp_path)) - before
        assert len(set(os.listdir(tmp_path)) - before) == 1, settings
    monkeypatch.setattr(digits_module, "_PROCEDURE", 999)
    DigitsEvents(cache_dir=tmp_path)
    assert len(os.listdir(tmp_path)) == len(seen) + 1


def test_binning_does_not_touch_the_cache(digits_cache, monkeypatch):
    DigitsEvents(cache_dir=digits_cache)
    monkeypatch.setattr(digits_module, "_build", None)  # would fail if called
    assert DigitsEvents(T=3, polarity="signed", threshold=0.35, cache_dir=digits_cache)[0][0].shape[0] == 3


def test_noise_adds_and_removes_events(images):
    noisy = film(images[:50], 16, 5000, Camera(**digits_module._NOISE))
    clean = film(images[:50], 16, 5000, Camera())
    assert len(noisy.t) != len(clean.t)
    assert len(noisy.t) == pytest.approx(len(clean.t), rel=0.05)


def test_corrupt_cache_is_made_again(tmp_path):
    want = fingerprint(DigitsEvents("test", cache_dir=tmp_path))
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 4
    path.write_bytes(damaged)
    with pytest.warns(CacheWarning, match="made again") as caught:
        assert fingerprint(DigitsEvents("test", cache_dir=tmp_path)) == want
    assert len(caught) == 1
    assert path.read_bytes() == content


def test_group_size_does_not_matter(images, monkeypatch):
    whole = film(images[:30], 16, 5000, Camera())
    monkeypatch.setattr(digits_module, "_PIXELS_AT_ONCE", 7 * 256)
    parts = film(images[:30], 16, 5000, Camera())
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def test_another_process_makes_the_same_data_set(tmp_path, digits_cache, processes):
    DigitsEvents(cache_dir=digits_cache)
    worker = processes.Process(target=DigitsEvents, kwargs={"cache_dir": tmp_path})
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    (theirs,) = tmp_path.iterdir()
    assert theirs.read_bytes() == (digits_cache / theirs.name).read_bytes()


def test_eight_processes_fill_one_cache(tmp_path, processes):
    settings = {"dt_us": 35_000, "cache_dir": tmp_path}
    workers = [processes.Process(target=DigitsEvents, kwargs=settings) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(os.listdir(tmp_path)) == 1
    assert len(DigitsEvents(**settings)) == 1437  # verified; a warning would be an error here


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_workers_read_the_same(digits_cache, workers):
    data = DigitsEvents("test", cache_dir=digits_cache)
    loader = DataLoader(data, batch_size=100, collate_fn=collate, num_workers=workers)
    x = torch.cat([batch.x for batch in loader], 1)
    assert torch.equal(x, data.tensors()[0].transpose(0, 1))


def test_pickle(digits_cache):
    data = DigitsEvents("test", T=4, cache_dir=digits_cache)
    other = pickle.loads(pickle.dumps(data))
    assert fingerprint(other) == fingerprint(data)
    assert torch.equal(other[5][0], data[5][0])
    assert len(pickle.dumps(data)) < 3e6  # its own split only


def test_without_scikit_learn(tmp_path, digits_cache, monkeypatch):
    DigitsEvents(cache_dir=digits_cache)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    message = r'DigitsEvents needs scikit-learn: pip install "snnkit\[train\]"'
    with pytest.raises(MissingDependencyError, match=message):
        DigitsEvents(cache_dir=tmp_path)
    assert os.listdir(tmp_path) == []
    assert len(DigitsEvents(cache_dir=digits_cache)) == 1437  # the cache is enough


def test_default_cache_comes_from_the_environment(digits_cache, monkeypatch):
    monkeypatch.setenv("SNNKIT_CACHE", str(digits_cache))
    monkeypatch.setattr(digits_module, "_build", None)
    assert len(DigitsEvents()) == 1437


def test_registered():
    assert DATASETS.get("digits") is DigitsEvents
