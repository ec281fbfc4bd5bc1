"""NMNIST and EventFolder: the published layout, parts of it, and what is not it."""

from __future__ import annotations

import pickle
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from snnkit.data import (
    DATASETS,
    LIMITS,
    NMNIST,
    DroppedEventsWarning,
    EventFolder,
    Events,
    collate,
    holdout,
    read_nmnist,
    to_frames,
    write_nmnist,
)
from snnkit.errors import ConfigError, FormatError, InputTypeError, LimitError


@pytest.fixture
def tree(tmp_path, random_events):
    """Train: 3 of digit 0, 2 of digit 7. Test: 1 of digit 3."""
    for i, (name, digit) in enumerate(
        [("00012", 0), ("00003", 0), ("00100", 0), ("00001", 7), ("00002", 7), ("00009", 3)]
    ):
        folder = tmp_path / ("Test" if digit == 3 else "Train") / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        write_nmnist(folder / f"{name}.bin", random_events(50 + i, seed=i))
    (tmp_path / "Train" / "0" / ".hidden.bin").write_bytes(b"x")
    (tmp_path / "Train" / "0" / "notes.txt").write_text("x")
    (tmp_path / "Train" / ".DS_Store").write_bytes(b"x")
    return tmp_path


def test_published_layout(tree):
    train, test = NMNIST(tree), NMNIST(tree, "test")
    assert [p.rsplit("/", 3)[1:] for p in train.paths] == [
        ["Train", "0", "00003.bin"],
        ["Train", "0", "00012.bin"],
        ["Train", "0", "00100.bin"],
        ["Train", "7", "00001.bin"],
        ["Train", "7", "00002.bin"],
    ]
    assert train.labels.tolist() == [0, 0, 0, 7, 7]
    assert test.labels.tolist() == [3]
    assert (train.num_classes, train.in_channels, train.img_size, train.T) == (10, 2, 32, 8)
    assert repr(test) == "NMNIST(1 recordings on 34x34x2, 10 classes, T=8)"


def test_frames_of_a_recording(tree):
    data = NMNIST(tree, T=6, size=34)
    e = data.events(1)
    assert e == read_nmnist(data.paths[1], duration_us=315_000)
    assert e.t_span == (0, 315_000)
    frames, label = data[1]
    assert torch.equal(frames, to_frames(e, T=6))
    assert label == 0
    all_frames, labels = data.tensors()
    assert all_frames.shape == (5, 6, 2, 34, 34)
    assert all_frames.sum() == sum(len(data.events(i)) for i in range(5))
    assert torch.equal(all_frames[1], frames)
    assert labels.tolist() == data.labels.tolist()


@pytest.mark.parametrize("size", [1, 32, 33, 34, 36, 40])
def test_size_crops_or_pads_around_the_centre(tree, size):
    whole = NMNIST(tree, size=None)[2][0]
    frames = NMNIST(tree, size=size)[2][0]
    assert frames.shape[2:] == (size, size)
    if size >= 34:
        low = (size - 34) // 2
        assert torch.equal(frames[..., low : low + 34, low : low + 34], whole)
        assert frames.sum() == whole.sum()
    else:
        low = -((size - 34) // 2)
        assert torch.equal(frames, whole[..., low : low + size, low : low + size])


def test_long_recording_extends_its_own_interval(tree, random_events):
    long = random_events(20).with_(t=[336_000] * 20, t_span=None)
    write_nmnist(tree / "Test" / "3" / "00010.bin", long)
    data = NMNIST(tree, "test")
    assert data.events(1).t_span == (0, 336_001)
    assert data[1][0][-1].sum() > 0


def test_any_part_of_the_layout(tree):
    both = NMNIST.from_folder(tree)
    assert both.labels.tolist() == [3]  # the test part, unless told otherwise
    assert NMNIST.from_folder(tree, split="train", T=3).T == 3
    assert NMNIST.from_folder(tree / "Train").labels.tolist() == [0, 0, 0, 7, 7]
    (tree / "Test").rename(tree.parent / (tree.name + "-test"))
    assert NMNIST.from_folder(tree).labels.tolist() == [0, 0, 0, 7, 7]
    (tree / "Train").rename(tree / "train")
    assert len(NMNIST(tree)) == 5


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda t: NMNIST(t / "nowhere"), ("nowhere", "No such file", "Expected layout")),
        (lambda t: NMNIST(t / "Train"), ("no folder 'Train'", "'0', '7'", "Train/<digit>/<id>.bin")),
        (lambda t: NMNIST.from_folder(t / "empty"), ("no folder 'Test'", "no folders", "downloaded")),
        (lambda t: NMNIST(t / "other", None), ("['cats']", "no classes", "<class>/<name>.bin", "'9'")),
        (lambda t: NMNIST(t / "empty", None), ("no recording", "'.bin'", "<class>/<name>.bin")),
        (lambda t: NMNIST(t / "Train" / "0" / "notes.txt"), ("notes.txt", "Not a directory")),
        (lambda t: NMNIST("a\0b"), ("null",)),
    ],
)
def test_wrong_layout(tree, make, parts):
    (tree / "empty").mkdir()
    (tree / "other" / "cats").mkdir(parents=True)
    with pytest.raises(FormatError) as caught:
        make(tree)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"split": "val"}, ("NMNIST.split", "'val'")),
        ({"on_truncated": "skip"}, ("NMNIST.on_truncated", "'skip'", "'drop'")),
        ({"on_unsorted": "drop"}, ("NMNIST.on_unsorted", "'sort'")),
        ({"T": 0}, ("T", "got 0")),
        ({"size": 0}, ("NMNIST.size", "got 0")),
        ({"size": 32.0}, ("NMNIST.size", "32.0")),
        ({"polarity": "none"}, ("polarity", "'none'")),
    ],
)
def test_bad_arguments(tree, arguments, parts):
    with pytest.raises(ConfigError) as caught:
        NMNIST(tree, **arguments)
    for part in parts:
        assert part in str(caught.value)


def test_root_is_a_path(tree):
    for root in (None, 3, b"x"):
        with pytest.raises(InputTypeError, match="expected a path"):
            NMNIST(root)


def test_malformed_recording_is_named_when_it_is_read(tree):
    bad = tree / "Train" / "7" / "00001.bin"
    bad.write_bytes(bad.read_bytes()[:-2])
    data = NMNIST(tree)
    assert data[0][1] == 0
    for read in (lambda: data[3], data.tensors):
        with pytest.raises(FormatError, match=r"00001\.bin.*3 of 5 bytes") as caught:
            read()
        assert caught.value.path == str(bad)
    with pytest.warns(DroppedEventsWarning, match="3 trailing bytes"):
        NMNIST(tree, on_truncated="drop")[3]


def test_error_crosses_the_border_of_a_worker(tree):
    (tree / "Train" / "0" / "00003.bin").write_bytes(b"12")
    loader = DataLoader(NMNIST(tree), batch_size=2, collate_fn=collate, num_workers=1)
    with pytest.raises(FormatError, match=r"FormatError: .*00003\.bin.*2 of 5 bytes"):
        next(iter(loader))


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_workers_read_the_same(tree, workers):
    data = NMNIST(tree)
    batches = list(DataLoader(data, batch_size=2, collate_fn=collate, num_workers=workers))
    assert torch.equal(torch.cat([b.x for b in batches], 1), data.tensors()[0].transpose(0, 1))
    assert torch.cat([b.y for b in batches]).tolist() == data.labels.tolist()


def test_pickle_and_repeat(tree):
    data = NMNIST(tree, T=3)
    other = pickle.loads(pickle.dumps(data))
    assert other.paths == data.paths == NMNIST(tree).paths
    assert torch.equal(other[4][0], data[4][0])


def test_whole_set_is_limited(tree, monkeypatch):
    monkeypatch.setattr(LIMITS, "frame_cells", 5 * 8 * 2 * 32 * 32 - 1)
    with pytest.raises(LimitError, match=r"NMNIST\.tensors: cells: 81920 exceeds"):
        NMNIST(tree).tensors()
    assert NMNIST(tree)[0][0].shape == (8, 2, 32, 32)


def test_other_classes_and_sensors(tmp_path, random_events):
    for name in ("wave", "clap"):
        (tmp_path / name).mkdir()
        write_nmnist(tmp_path / name / "1.bs2", random_events(30, size=(128, 64, 2)))
    reader = partial(read_nmnist, sensor_size=(128, 64, 2))
    data = EventFolder(tmp_path, reader=reader, sensor_size=(128, 64, 2), suffix=".bs2")
    assert data.classes == ("clap", "wave")
    assert data.labels.tolist() == [0, 1]
    assert data[0][0].shape == (8, 2, 64, 128)
    with pytest.raises(ConfigError, match=r"frames are 128x64, not square.*size="):
        _ = data.img_size
    ordered = EventFolder(
        tmp_path, reader=reader, sensor_size=(128, 64, 2), suffix=".bs2", classes=["wave", "clap"], size=64
    )
    assert ordered.labels.tolist() == [0, 1]
    assert "wave" in ordered.paths[0]
    assert ordered.img_size == 64
    wrong = EventFolder(tmp_path, reader=reader, sensor_size=(64, 128, 2), suffix=".bs2")
    with pytest.raises(ConfigError, match=r"1\.bs2.*sensor \(128, 64, 2\).*expected \(64, 128, 2\)"):
        wrong[0]
    with pytest.raises(ConfigError, match=r"EventFolder\.reader"):
        EventFolder(tmp_path, reader="nmnist", sensor_size=(128, 64, 2))


def test_registered():
    assert DATASETS.get("nmnist") is NMNIST
    assert set(DATASETS.names()) >= {"digits", "nmnist"}


@pytest.mark.data
def test_sample_recordings(recordings):
    """Statistics of the 800 training recordings."""
    data = NMNIST(recordings / "nmnist_mini", T=6, size=34)
    assert data.labels.bincount().tolist() == [79, 98, 81, 73, 81, 72, 73, 86, 73, 84]
    frames, labels = data.tensors()
    counts = frames.sum((1, 2, 3, 4))
    assert counts.mean().item() == pytest.approx(4101, abs=1)
    assert counts.std(correction=0).item() == pytest.approx(1168, abs=2)
    assert (counts.min(), counts.max(), counts.median()) == (1112, 7152, pytest.approx(4137, abs=5))
    by_class = [round(counts[labels == c].mean().item()) for c in range(10)]
    assert by_class == [5555, 2560, 4706, 4889, 3596, 4223, 4187, 3662, 4456, 3715]
    assert (frames[:, :, 1].sum() / frames.sum()).item() == pytest.approx(0.5, abs=0.005)
    saccades = frames.sum((0, 2, 3, 4)).view(3, 2).sum(1) / frames.sum()
    assert saccades.tolist() == pytest.approx([0.358, 0.326, 0.317], abs=0.012)
    cropped = NMNIST(recordings / "nmnist_mini", T=6).tensors()[0]
    assert 0.99 < (cropped.sum() / frames.sum()).item() < 1
    train, held = holdout(data)
    assert (len(train), len(held)) == (635, 165)
    assert len(NMNIST(recordings / "nmnist_mini", "test")) == 40
    assert isinstance(data.events(0), Events)
