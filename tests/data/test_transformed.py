"""Data sets through transforms: reproducible by anyone, cached by everyone."""

from __future__ import annotations

import os
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import snnkit.data.transformed as module
from snnkit.data import (
    CacheWarning,
    EventFolder,
    Events,
    Framing,
    Transformed,
    collate,
    collate_events,
    read_nmnist,
    write_nmnist,
)
from snnkit.data.transforms import CropTime, Denoise, Downsample, EventCloud, EventDrop, FlipX, VoxelGrid
from snnkit.errors import ConfigError, InputTypeError

SENSOR = (34, 34, 2)


@pytest.fixture
def folder(tmp_path, random_events):
    for label in "ab":
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(3):
            path = tmp_path / "data" / label / f"{i}.bin"
            write_nmnist(path, random_events(300, seed=i + 10 * ord(label)))
    return EventFolder(
        tmp_path / "data", reader=partial(read_nmnist, duration_us=315_000), sensor_size=SENSOR, T=4
    )


def test_items_are_the_steps_in_order(folder):
    steps = [Denoise(50_000), Downsample(17, 17), Framing(T=4)]
    wanted = folder.events(4)
    for step in steps:
        wanted = step(wanted)
    frames, label = Transformed(folder, steps)[4]
    assert torch.equal(frames, wanted)
    assert label == 1
    events, _ = Transformed(folder, [Downsample(17, 17)])[-1]
    assert events == Downsample(17, 17)(folder.events(5))
    assert len(Transformed(folder, [])) == 6


def test_seed_epoch_and_index_decide(folder):
    steps = [EventDrop(), FlipX(), EventCloud(64)]
    one, two = (Transformed(folder, steps, seed=3) for _ in range(2))
    assert all(torch.equal(one[i][0], two[i][0]) for i in (5, 0, 5))
    two.set_epoch(1)
    assert not all(torch.equal(one[i][0], two[i][0]) for i in range(6))
    assert not all(torch.equal(one[i][0], Transformed(folder, steps, seed=4)[i][0]) for i in range(6))
    assert torch.equal(pickle.loads(pickle.dumps(two))[2][0], two[2][0])


def test_labels_follow_the_mirror(folder):
    seen = Transformed(folder, [FlipX(1.0, swap=((0, 1),)), Framing(T=1)])
    assert [seen[i][1] for i in range(6)] == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("cache", [False, True])
def test_workers_make_no_difference(folder, tmp_path, cache, processes):
    steps = [Denoise(50_000), EventDrop(), CropTime(200_000), Framing(T=4)]
    seen = Transformed(folder, steps, seed=1, cache_dir=tmp_path / "cache" if cache else None)
    settings = {"batch_size": 2, "collate_fn": collate}
    alone = list(DataLoader(seen, **settings))
    helped = list(
        DataLoader(seen, num_workers=2, prefetch_factor=1, multiprocessing_context=processes, **settings)
    )
    assert len(alone) == len(helped) == 3
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


def test_recordings_batch_as_they_are(folder):
    batch = next(iter(DataLoader(Transformed(folder, []), batch_size=4, collate_fn=collate_events)))
    assert batch.ptr.tolist() == [0, 300, 600, 900, 1200]
    assert batch.t_span.tolist() == [[0, 315_000]] * 4


# -- cache -----------------------------------------------------------------------------------------


def entries(root):
    return sorted(os.path.join(d, f) for d, _, files in os.walk(root) for f in files)


@pytest.mark.parametrize("steps", [[Denoise(50_000)], [VoxelGrid(3)], [Denoise(50_000), VoxelGrid(3)]])
def test_cached_items_are_the_items(folder, tmp_path, steps, monkeypatch):
    cached = Transformed(folder, steps, cache_dir=tmp_path / "cache")
    wanted = [Transformed(folder, steps)[i][0] for i in range(6)]
    first = [cached[i][0] for i in range(6)]
    assert len(entries(tmp_path / "cache")) == 6
    monkeypatch.setattr(EventFolder, "events", None)  # nothing is read any more
    for a, b, c in zip(wanted, first, [cached[i][0] for i in range(6)], strict=True):
        if isinstance(a, Events):
            assert a == b == c
            assert a.info["dropped"]["denoise"] == c.info["dropped"]["denoise"]
        else:
            assert torch.equal(a, b)
            assert torch.equal(a, c)


def test_random_steps_are_never_kept(folder, tmp_path):
    Transformed(folder, [EventDrop(), Framing(T=2)], cache_dir=tmp_path / "cache")[0]
    assert entries(tmp_path / "cache") == []
    seen = Transformed(folder, [Denoise(50_000), EventDrop()], cache_dir=tmp_path / "cache")
    assert seen[0][0] == Transformed(folder, [Denoise(50_000), EventDrop()])[0][0]
    assert len(entries(tmp_path / "cache")) == 1


def test_whatever_changes_makes_a_new_entry(folder, tmp_path, monkeypatch):
    def number(steps=None, data=folder):
        Transformed(data, steps or [Denoise(50_000)], cache_dir=tmp_path / "cache")[0]
        return len(entries(tmp_path / "cache"))

    assert number() == number() == 1
    assert number([Denoise(50_001)]) == 2
    assert number([Denoise(50_000), Framing(T=2)]) == 3
    monkeypatch.setattr(Denoise, "version", 2)
    assert number() == 4
    monkeypatch.setattr(module, "__version__", "9.9")
    assert number() == 5
    other = EventFolder(folder.path, reader=partial(read_nmnist, duration_us=400_000), sensor_size=SENSOR)
    assert number(data=other) == 6
    events = folder.events(0)
    write_nmnist(folder.paths[0], events.with_(x=np.minimum(events.x + 1, 33)))
    assert number() == 7


def test_steps_that_cannot_tell_their_arguments_are_not_kept(folder, tmp_path):
    """A function prints its address, which another function may have tomorrow."""
    for scale in (1.0, 2.0):
        seen = Transformed(
            folder, [Denoise(50_000), lambda e, k=scale: k * torch.ones(len(e))], cache_dir=tmp_path / "cache"
        )
        assert (seen[0][0] == scale).all()
    assert len(entries(tmp_path / "cache")) == 1  # Denoise alone


def test_a_reader_without_a_name_is_known_by_its_events(folder, tmp_path):
    plain = EventFolder(folder.path, reader=lambda p: read_nmnist(p, duration_us=315_000), sensor_size=SENSOR)
    assert plain.fingerprint(0) != folder.fingerprint(0)
    assert plain.fingerprint(0) != plain.fingerprint(1)
    Transformed(plain, [Denoise(50_000)], cache_dir=tmp_path / "cache")[0]
    assert len(entries(tmp_path / "cache")) == 1


def test_a_broken_entry_is_made_again(folder, tmp_path):
    cached = Transformed(folder, [VoxelGrid(3)], cache_dir=tmp_path / "cache")
    wanted = cached[0][0]
    (path,) = entries(tmp_path / "cache")
    with open(path, "r+b") as file:
        file.seek(200)
        file.write(b"x")
    with pytest.warns(CacheWarning, match="checksum"):
        assert torch.equal(cached[0][0], wanted)
    assert torch.equal(cached[0][0], wanted)


def fill(data, cache) -> None:
    seen = Transformed(data, [Denoise(50_000), VoxelGrid(3)], cache_dir=cache)
    for _ in range(3):
        for i in range(len(seen)):
            assert torch.equal(seen[i][0], VoxelGrid(3)(Denoise(50_000)(data.events(i))))


def test_eight_processes_share_a_cache(folder, tmp_path, processes):
    workers = [processes.Process(target=fill, args=(folder, tmp_path / "cache")) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    assert len(entries(tmp_path / "cache")) == 6
    assert all(name.endswith(".npz") for name in entries(tmp_path / "cache"))


def test_refusals(folder):
    for steps, i in (([3], 0), ([Framing(T=2), FlipX()], 0), ([FlipX(), "x"], 1)):
        with pytest.raises(InputTypeError, match=f"step {i} is .*one representation"):
            Transformed(folder, steps)
    with pytest.raises(InputTypeError, match="expected a data set of events"):
        Transformed([1, 2], [])
    with pytest.raises(ConfigError, match=r"Transformed\.seed"):
        Transformed(folder, [], seed=-1)
    with pytest.raises(IndexError):
        Transformed(folder, [])[6]
