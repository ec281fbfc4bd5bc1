"""Speech Commands from files in the published layout; mel features from their definition."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from snnkit.data import DATASETS, LogMel, SpeechCommands
from snnkit.data.commands import WORDS
from snnkit.data.mel import _filters, _halved
from snnkit.errors import ConfigError, DTypeError, FormatError, InputTypeError, ShapeError

RATE = 16_000
FILES = {
    "yes/aa_nohash_0.wav": "train",
    "yes/ab_nohash_0.wav": "valid",
    "yes/ac_nohash_1.wav": "test",
    "no/aa_nohash_0.wav": "train",
    "zero/ab_nohash_0.wav": "valid",
    "backward/ad_nohash_0.wav": "test",
}


def tone(hz: float, seconds: float = 0.4) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)


def write(path: Path, samples: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for i, name in enumerate(FILES):
        write(tmp_path / name, tone(200.0 * (i + 1)))
    write(tmp_path / "_background_noise_" / "hum.wav", tone(50, 3.0))
    for split, file in (("valid", "validation_list.txt"), ("test", "testing_list.txt")):
        listed = [name for name, of in FILES.items() if of == split]
        (tmp_path / file).write_text("\n".join(listed) + "\n")
    (tmp_path / "LICENSE").write_text("x")
    return tmp_path


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_splits_follow_the_lists(split: str, root: Path) -> None:
    data = DATASETS.get("gsc")(root, split)
    names = sorted(name for name, of in FILES.items() if of == split)
    assert data.paths == [str(root / name) for name in names]
    assert [WORDS[label] for label in data.labels] == [name.split("/")[0] for name in names]
    frames, label = data[1]
    assert frames.shape == (data.T, data.in_channels, data.img_size, data.img_size) == (101, 140, 1, 1)
    assert label == data.labels[1]
    assert torch.equal(data.tensors()[0][1], frames)
    assert tuple(sorted(WORDS)) == WORDS
    assert data.num_classes == 35


def test_files_that_do_not_fit(root: Path) -> None:
    with pytest.raises(ConfigError, match="'train', 'valid' or 'test'"):
        SpeechCommands(root, "training")
    with pytest.raises(InputTypeError, match="LogMel"):
        SpeechCommands(root, mel=140)
    write(root / "yes" / "slow_nohash_0.wav", tone(300), 8000)
    with pytest.raises(FormatError, match=r"rate = 8000, expected 16000"):
        SpeechCommands(root)[2]
    (root / "maybe").mkdir()
    with pytest.raises(FormatError, match="'maybe' is none of the 35 words"):
        SpeechCommands(root)
    (root / "maybe").rmdir()
    both = root / "testing_list.txt"
    both.write_text("yes/ab_nohash_0.wav\n")
    with pytest.raises(FormatError, match=r"1 files stand in both lists, as 'yes/ab_nohash_0\.wav'"):
        SpeechCommands(root)
    both.write_text("yes/none.wav\n../secret.wav\n")
    with pytest.raises(FormatError, match=r"names 2 files that are not there, as '\.\./secret\.wav'"):
        SpeechCommands(root)
    both.unlink()
    with pytest.raises(FormatError, match=r"testing_list.txt.*cannot be read as a list"):
        SpeechCommands(root)


def test_features_are_those_of_the_definition() -> None:
    """Frames and bands one by one, from the equations on top of the file."""
    mel = LogMel(bands=12, low_hz=100)
    sound = np.random.default_rng(0).integers(-9000, 9000, RATE).astype(np.int16)
    s = _halved(torch.from_numpy(sound / 32768).float()).double().numpy()
    s = np.concatenate([s[128:0:-1], s, s[-2:-130:-1]])
    w = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    edges = 700 * (10 ** (np.linspace(*(2595 * math.log10(1 + f / 700) for f in (100, 4000)), 14) / 2595) - 1)
    got = mel(sound)
    assert got.shape == (101, 12)
    for k, m in ((0, 0), (0, 11), (50, 3), (100, 7)):
        power = np.abs(np.fft.rfft(w * s[80 * k : 80 * k + 256])) ** 2
        total = 0.0
        for f, p in enumerate(power):
            hz, (a, b, c) = f * 8000 / 256, edges[m : m + 3]
            total += p * max(0.0, min((hz - a) / (b - a), (c - hz) / (c - b)))
        assert got[k, m].item() == pytest.approx(10 * math.log10(total), abs=2e-3)


def test_a_tone_is_loudest_in_its_band_and_short_sounds_end_in_silence() -> None:
    mel = LogMel()
    heard = mel(tone(1000))
    centre = 700 * (10 ** ((2595 * math.log10(1 + 50 / 700) + 14.69 * (heard[20].argmax() + 1)) / 2595) - 1)
    assert abs(centre - 1000) < 40
    assert bool((heard[45:] == -100).all())
    assert torch.equal(mel(tone(1000, 1.5)), mel(tone(1000, 1.5)[:RATE]))
    quiet = mel(tone(5000))[20].max()  # above the half of 8 kHz: it must not be heard as 3 kHz
    assert quiet < heard[20].max() - 40


def test_half_rate_keeps_what_is_below_4_khz() -> None:
    n = np.arange(RATE)
    sound = torch.from_numpy(np.sin(2 * np.pi * 900 * n / RATE)).float()
    got = _halved(sound)
    assert len(got) == RATE // 2
    assert (got - sound[::2])[20:-20].abs().max() < 2e-3


def test_bands_that_hear_nothing() -> None:
    def deaf(mel: LogMel) -> int:
        return int((_filters(mel).amax(0) == 0).sum())

    assert deaf(LogMel(high_hz=14_000)) == 53
    assert deaf(LogMel()) == 7  # low bands that lie between two frequencies of the window
    for settings in ({"bands": 0}, {"low_hz": -1.0}, {"high_hz": 20.0}, {"high_hz": 17_000}):
        with pytest.raises(ConfigError, match="LogMel"):
            LogMel(**settings)


def test_sounds_that_would_be_misread() -> None:
    for floats in (tone(300) / 32768, torch.zeros(9), [1, 2]):
        with pytest.raises(DTypeError, match="expected a NumPy array of int16"):
            LogMel()(floats)
    with pytest.raises(ShapeError, match=r"\(9, 2\), expected \[N\]"):
        LogMel()(np.zeros((9, 2), np.int16))
