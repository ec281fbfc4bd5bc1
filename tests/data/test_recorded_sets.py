"""Published data sets in miniature: layout, splits and labels, and what is said when they are absent."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from snnkit.data import (
    CIFAR10DVS,
    DATASETS,
    NCARS,
    SHD,
    SSC,
    DVSGesture,
    Events,
    Framing,
    NCaltech101,
    Transformed,
    hashed_split,
    write_dat,
    write_nmnist,
)
from snnkit.data.transforms import FlipX
from snnkit.errors import ConfigError, FormatError, ShapeError

# -- split -----------------------------------------------------------------------------------------


def test_hashed_split_is_fixed():
    """The rule of the docstring, worked out on the command line."""
    names = [f"a/{i}" for i in range(10)]
    train, test = hashed_split(names, [0] * 10, share=0.3)
    assert test == sorted(test)
    assert sorted(train + test) == list(range(10))
    assert test == [2, 6, 7]  # printf 0/a/2 | sha256sum, ...
    assert hashed_split(names, [0] * 10, share=0.3, seed=1) != (train, test)


def test_hashed_split_keeps_class_shares_and_neighbours_do_not_matter():
    names = [f"{c}/{i}" for c in "ab" for i in range(50)]
    labels = [0] * 50 + [1] * 50
    _, test = hashed_split(names, labels)
    assert [sum(labels[i] == c for i in test) for c in (0, 1)] == [5, 5]
    _, alone = hashed_split(names[50:], labels[50:])
    assert [i + 50 for i in alone] == [i for i in test if i >= 50]
    with pytest.raises(ShapeError, match="100 names and 1 labels"):
        hashed_split(names, [0])
    for bad in ({"share": 1.5}, {"seed": -1}):
        with pytest.raises(ConfigError, match="hashed_split"):
            hashed_split(names, labels, **bad)


# -- folders of objects ----------------------------------------------------------------------------


def test_ncaltech101(tmp_path, random_events):
    marks = Events([5, 9, 20], [3, 200, 17], [4, 150, 17], [1, 0, 1], (240, 180, 2))
    for name in ("airplanes", "yin_yang"):
        for i in range(20):
            write_nmnist(tmp_path / name / f"image_{i:04}.bin", random_events(20 + i, size=(240, 180, 2)))
    path = tmp_path / "airplanes" / "image_0000.bin"
    write_nmnist(path, marks)
    record = path.read_bytes()
    path.write_bytes(record[:5] + bytes([0, 240, 0, 0, 7]) + record[5:])
    both = NCaltech101(tmp_path, None)
    assert len(both) == 40
    assert both.classes == ("airplanes", "yin_yang")
    assert both.events(0).t.tolist() == [5, 9 + 8192, 20 + 8192]
    train, test = NCaltech101(tmp_path), NCaltech101(tmp_path, "test")
    assert (len(train), len(test)) == (36, 4)
    assert not set(train.paths) & set(test.paths)
    assert test.labels.tolist() == [0, 0, 1, 1]
    assert train[0][0].shape == (8, 2, 192, 192)
    with pytest.raises(ConfigError, match=r"NCaltech101\.split"):
        NCaltech101(tmp_path, "val")


def aedat2(path: Path, t: list[int], x: list[int], y: list[int], p: list[int]) -> None:
    """A DVS128 file of three lines of header, as jAER writes them."""
    words = [(127 - yi) << 8 | (127 - xi) << 1 | (1 - pi) for xi, yi, pi in zip(x, y, p, strict=True)]
    body = b"".join(struct.pack(">II", word, ti) for word, ti in zip(words, t, strict=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"#!AER-DAT2.0\r\n# a comment\r\n" + body)


def test_cifar10dvs(tmp_path):
    for label, name in enumerate(CIFAR10DVS.CLASSES):
        for i in range(10):
            aedat2(tmp_path / name / f"cifar10_{name}_{i}.aedat", [1, 5], [label, 127], [i, 0], [1, 0])
    train, test = CIFAR10DVS(tmp_path), CIFAR10DVS(tmp_path, "test")
    assert (len(train), len(test)) == (90, 10)
    assert test.labels.tolist() == list(range(10))
    e = train.events(int(np.flatnonzero(train.labels == 3)[0]))
    assert (e.x.tolist(), e.y[1], e.p.tolist()) == ([3, 127], 0, [1, 0])
    assert train.num_classes == 10
    (tmp_path / "bus").mkdir()
    with pytest.raises(FormatError, match=r"bus.*no classes"):
        CIFAR10DVS(tmp_path)


def test_ncars(tmp_path, random_events):
    for part in ("n-cars_train", "n-cars_test"):
        for name in ("cars", "background"):
            write_dat_to(tmp_path / part / name / "obj_0_td.dat", random_events(30, size=(60, 50, 2)))
    train = NCARS(tmp_path)
    assert (len(train), train.num_classes, train.labels.tolist()) == (2, 2, [0, 1])
    assert "cars" in train.paths[1]
    assert train.events(0).sensor_size == (120, 100, 2)
    assert train[1][0].sum() == 30
    assert len(NCARS(tmp_path, "test")) == 2
    (tmp_path / "other_train").mkdir()
    with pytest.raises(FormatError, match=r"expected one folder with 'train'.*n-cars_train"):
        NCARS(tmp_path)


def write_dat_to(path: Path, events: Events) -> None:
    path.parent.mkdir(parents=True)
    write_dat(path, events)


# -- gestures --------------------------------------------------------------------------------------


def aedat3(path: Path, t: list[int]) -> None:
    """One packet of ON events at x = y = number of the event."""
    events = b"".join(struct.pack("<Ii", 1 | 1 << 1 | i << 2 | i << 17, ti) for i, ti in enumerate(t))
    packet = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(t), len(t), len(t))
    path.write_bytes(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n" + packet + events)


@pytest.fixture
def gestures(tmp_path) -> Path:
    for user, light in (("01", "led"), ("23", "lab"), ("24", "fluorescent")):
        aedat3(tmp_path / f"user{user}_{light}.aedat", [10, 20, 30, 40, 50])
        rows = "class,startTime_usec,endTime_usec\n3,10,30\n11,25,60\n"
        (tmp_path / f"user{user}_{light}_labels.csv").write_text(rows)
    (tmp_path / "README.txt").write_text("not a recording")
    return tmp_path


def test_gestures_are_cut_by_their_label_file(gestures):
    train, test = DVSGesture(gestures), DVSGesture(gestures, "test")
    assert (len(train), len(test), train.num_classes) == (4, 2, 11)
    assert train.labels.tolist() == [2, 10, 2, 10]
    first, second = train.events(0), train.events(1)
    assert first.t.tolist() == [10, 20]
    assert first.t_span == (10, 30)
    assert second.t.tolist() == [30, 40, 50]
    assert second.t_span == (25, 60)
    assert second.info["path"].endswith("user01_led.aedat")
    assert train[3][0].shape == (16, 2, 128, 128)
    assert train[3][0].sum() == 3
    swapped = FlipX(1.0, swap=DVSGesture.FLIP_SWAP).labelled(first, 1)
    assert swapped[1] == 2
    assert swapped[0].x.tolist() == [127, 126]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the columns"),
        ("a,b,c\n1,2,3\n", "expected the columns"),
        ("class,startTime_usec,endTime_usec\n12,1,2\n", "line 2"),
        ("class,startTime_usec,endTime_usec\n1,1,2\n1,5,5\n", "line 3"),
        ("class,startTime_usec,endTime_usec\n1,1\n", "line 2"),
        ("class,startTime_usec,endTime_usec\n1,-1,5\n", "line 2"),
        ("class,startTime_usec,endTime_usec\n1,1,99999999999999999\n", "line 2"),
    ],
)
def test_bad_label_files_are_refused(gestures, text, message):
    (gestures / "user01_led_labels.csv").write_text(text)
    with pytest.raises(FormatError, match=message):
        DVSGesture(gestures)


def test_cached_gestures_are_not_decoded_again(gestures, tmp_path, monkeypatch):
    steps, cache = [Framing(T=2)], tmp_path / "cache"
    wanted = [Transformed(DVSGesture(gestures), steps, cache_dir=cache)[i][0] for i in range(4)]
    with monkeypatch.context() as patched:
        patched.setattr(DVSGesture, "events", None)
        seen = Transformed(DVSGesture(gestures), steps, cache_dir=cache)
        assert all(torch.equal(seen[i][0], wanted[i]) for i in range(4))
    assert len({DVSGesture(gestures).fingerprint(i) for i in range(2)}) == 2  # cuts of one file
    aedat3(gestures / "user01_led.aedat", [10, 20, 30, 40, 50, 55])
    assert Transformed(DVSGesture(gestures), steps, cache_dir=cache)[1][0].sum() == wanted[1].sum() + 1


def test_label_file_that_is_missing_huge_or_binary(gestures):
    labels = gestures / "user01_led_labels.csv"
    labels.write_bytes(b"\xff" * 10)
    with pytest.raises(FormatError, match="cannot be read as a label file"):
        DVSGesture(gestures)
    labels.write_bytes(b"1" * (2**20 + 1))
    with pytest.raises(FormatError, match="larger than"):
        DVSGesture(gestures)
    labels.unlink()
    with pytest.raises(FormatError, match=r"labels\.csv.*cannot be read"):
        DVSGesture(gestures)


# -- spikes of speech ------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "prefix", "classes"), [(SHD, "shd", 20), (SSC, "ssc", 35)])
def test_heidelberg(tmp_path, kind, prefix, classes):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / f"{prefix}_test.h5", "w") as file:
        times = file.create_dataset("spikes/times", (2,), h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (2,), h5py.vlen_dtype(np.uint16))
        times[0], units[0] = np.array([0.125, 0.5], np.float16), np.array([3, 699], np.uint16)
        times[1], units[1] = np.array([], np.float16), np.array([], np.uint16)
        file["labels"] = np.array([classes - 1, 0], np.uint16)
    data = kind(tmp_path, "test", T=4)
    assert (len(data), data.num_classes, data.in_channels, data.img_size) == (2, classes, 700, 1)
    assert data.events(0).t.tolist() == [125_000, 500_000]
    frames, label = data[0]
    assert frames.shape == (4, 700, 1, 1)
    assert (label, frames.sum()) == (classes - 1, 2)
    assert data[1][0].sum() == 0
    data._file.close()
    with h5py.File(tmp_path / f"{prefix}_test.h5", "a") as file:
        file["labels"][0] = classes
    with pytest.raises(FormatError, match=f"expected 0..{classes - 1}"):
        kind(tmp_path, "test")
    with pytest.raises(FormatError, match=r"no such file.*zenkelab.*not downloaded"):
        kind(tmp_path, "train")
    with pytest.raises(ConfigError, match="split"):
        kind(tmp_path, "dev")


# -- absent ----------------------------------------------------------------------------------------

FROM_DISK = {
    "nmnist": "Train/<digit>/<id>.bin",
    "ncaltech101": "<class>/image_<number>.bin.*Neuromorphic-Caltech101",
    "cifar10dvs": "cifar10_<class>_<number>.aedat.*figshare",
    "ncars": "n-cars_train.*Prophesee",
    "dvs_gesture": "user<NN>_<light>.aedat.*IBM",
    "shd": "shd_train.h5.*zenkelab.org",
    "ssc": "ssc_valid.h5.*zenkelab.org",
    "gsc": "<word>/<speaker>_nohash_<number>.wav.*speech_commands_v0.02.tar.gz",
    "spoken": "<digit>_<speaker>_<take>.wav.*github.com",
    "mnist": "train-images-idx3-ubyte",
    "fashion_mnist": "train-images-idx3-ubyte",
    "cifar10": "data_batch_1.bin.*binary",
    "cifar100": "train.bin.*binary",
    "image_folder": "<split>/<class>/<name>",
    "modelnet": "<class>/train/<name>.off.*modelnet40_train.txt.*modelnet.cs.princeton.edu",
    "scanobjectnn": "objectdataset_augmentedrot_scale75.h5.*hkust-vgd.github.io",
}


@pytest.mark.parametrize("name", FROM_DISK)
@pytest.mark.parametrize("there", [True, False])
def test_absent_data_say_what_is_expected_from_where(tmp_path, name, there):
    root = tmp_path / "data"
    if there:
        root.mkdir()
    with pytest.raises(FormatError, match=FROM_DISK[name]):
        DATASETS.get(name)(root)


def test_every_data_set_is_tried_here_or_needs_no_files():
    assert set(DATASETS.names()) == {*FROM_DISK, "digits", "shapes", "clouds", "noise"}


def test_registered_sets_take_a_split():
    for name in ("digits", "shapes"):
        with pytest.raises(ConfigError, match="'train' or 'test'"):
            DATASETS.get(name)(split="nothing")
    assert torch.is_tensor(DATASETS.get("shapes")(split="test", n=8)[0][0])
