"""From files in the published format to an accuracy: both protocols, frames of 10 ms, mel bands."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.delay_published import PUBLISHED_MEL, frames, load, main
from snnkit.data import SHD
from snnkit.errors import ConfigError
from snnkit.train.delay_recipes import DELAY_RECIPES

h5py = pytest.importorskip("h5py")


def write(path: Path, number: int, seed: int) -> None:
    """``number`` recordings of two classes: low units fire, or high ones."""
    draw = np.random.default_rng(seed)
    labels = np.arange(number) % 2
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (number,), h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", (number,), h5py.vlen_dtype(np.uint16))
        for i, label in enumerate(labels):
            times[i] = np.sort(draw.random(60)).astype(np.float32) * 0.2
            units[i] = draw.integers(0, 350, 60) + 350 * label
        file["labels"] = labels.astype(np.uint16)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, name in enumerate(("shd_train", "shd_test", "ssc_train", "ssc_valid", "ssc_test")):
        write(tmp_path / f"{name}.h5", 20 if "train" in name else 6, i)
    for number, word in enumerate(("no", "yes")):
        (tmp_path / word).mkdir()
        for i in range(8):
            n = np.arange(4000)
            with wave.open(str(tmp_path / word / f"a_nohash_{i}.wav"), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes((9000 * np.sin(n * (0.1 + 0.2 * number + 0.01 * i))).astype("<i2").tobytes())
    for name, takes in (("validation", (0, 1)), ("testing", (2, 3))):
        lines = [f"{word}/a_nohash_{i}.wav" for word in ("no", "yes") for i in takes]
        (tmp_path / f"{name}_list.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.filterwarnings("ignore:delays. .*rounded:UserWarning")
@pytest.mark.parametrize(
    ("recipe", "protocol"),
    [("shd", "val-split"), ("shd", "test-selected"), ("ssc", "val-split"), ("gsc", "val-split")],
)
def test_from_files_to_an_accuracy(recipe: str, protocol: str, root: Path) -> None:
    out = root / "out" / "row.json"
    epochs = 3 if recipe == "shd" else 1
    options = ["--recipe", recipe, "--protocol", protocol, "--epochs", str(epochs), "--out", str(out)]
    main([str(root), *options, "--interp", "ste"])
    row = json.loads(out.read_text())
    assert (row["recipe"], row["protocol"]) == (recipe, protocol)
    assert 1 <= row["epoch"] <= epochs
    assert row["test"] == row["test, fractional"]
    if protocol == "test-selected":
        assert row["test"] == row["chosen by"]


def test_sets_of_both_protocols(root: Path) -> None:
    shd, ssc = DELAY_RECIPES["shd"], DELAY_RECIPES["ssc"]
    held = load(shd, root, "val-split")
    assert [len(held[name][1]) for name in ("train", "choose", "test")] == [16, 4, 6]
    selected = load(shd, root, "test-selected")
    assert [len(selected[name][1]) for name in ("train", "choose", "test")] == [20, 6, 6]
    assert selected["choose"] is selected["test"]
    assert [len(load(ssc, root, "val-split")[name][1]) for name in ("train", "choose", "test")] == [20, 6, 6]
    with pytest.raises(ConfigError, match="protocol"):
        load(ssc, root, "test-selected")
    gsc = load(DELAY_RECIPES["gsc"], root, "val-split")
    assert [len(gsc[name][1]) for name in ("train", "choose", "test")] == [8, 4, 4]
    deaf = load(DELAY_RECIPES["gsc"], root, "val-split", PUBLISHED_MEL)["train"][0][0]
    assert deaf.shape == gsc["train"][0][0].shape == (101, 140)
    assert bool((deaf[:, -53:] == -100).all())


def test_frames_are_counts_of_ten_milliseconds(root: Path) -> None:
    events = SHD(root).events(3)
    wanted = torch.zeros(int(events.t.max()) // 10_000 + 1, 140, dtype=torch.uint8)
    for t, unit in zip(events.t.tolist(), events.x.tolist(), strict=True):
        wanted[t // 10_000, unit // 5] += 1
    assert torch.equal(frames(events, 10.0), wanted)
