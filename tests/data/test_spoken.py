"""Sound to spikes: the filters, the neuron, and the data set made of them."""

from __future__ import annotations

import wave

import numpy as np
import pytest
import torch

from snnkit.data import Cochlea, SpokenDigits
from snnkit.errors import ConfigError, FormatError

RATE = 8000


def tone(hz: float, seconds: float = 0.5) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.int16)


def write(path, samples, rate=RATE, channels=1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def test_centre_frequencies_are_those_of_the_specification():
    f = Cochlea().frequencies
    assert f[[0, 1, 31, 62, 63]].tolist() == pytest.approx([80.0, 92.39, 816.64, 3310.32, 3452.31], abs=0.01)
    assert (np.diff(f) > 0).all()


def test_filters_have_unit_gain_at_their_frequency():
    cochlea = Cochlea()
    gain = np.abs(np.fft.rfft(cochlea.filters(), 8192))
    assert gain.max(1) == pytest.approx(1, abs=0.01)
    assert gain.argmax(1) * RATE / 8192 == pytest.approx(cochlea.frequencies, rel=0.03, abs=8)


def test_convolution_and_average_against_the_definition():
    cochlea = Cochlea(channels=5, duration_ms=40, taps=100)
    rng = np.random.default_rng(0)
    sound = rng.normal(size=200)
    scaled = np.pad(sound * 0.1 / np.sqrt(np.mean(sound**2)), (0, 120))
    for response, got in zip(cochlea.filters(), cochlea.envelopes(sound), strict=True):
        moved = np.convolve(scaled, response)[:320]
        wanted = 30 * (np.maximum(moved, 0) ** 0.6).reshape(40, 8).mean(1)
        assert got == pytest.approx(wanted, abs=1e-9)


def test_neurons_against_a_loop():
    cochlea = Cochlea(channels=8, duration_ms=300)
    sound = tone(700)
    spikes = []
    for unit, current in enumerate(cochlea.envelopes(sound / 32768)):
        v, blind = 0.0, 0
        for k, e in enumerate(current):
            if blind:
                blind -= 1
                continue
            v = np.exp(-1 / 5) * v + (1 - np.exp(-1 / 5)) * e
            if v >= 1:
                spikes.append((k * 1000, unit))
                v, blind = 0.0, 2
    e = cochlea(sound)
    assert list(zip(e.t.tolist(), e.x.tolist(), strict=True)) == sorted(spikes)
    assert len(spikes) > 10
    assert (np.diff(e.t[e.x == 5]) >= 3000).all()


def test_a_tone_excites_its_channel():
    cochlea = Cochlea()
    for hz in (200, 800, 2500):
        e = cochlea(tone(hz))
        busiest = np.bincount(e.x, minlength=64).argmax()
        assert cochlea.frequencies[busiest] == pytest.approx(hz, rel=0.12)


def test_loudness_does_not_matter_and_silence_is_silent():
    assert Cochlea()(tone(500)) == Cochlea()(tone(500).astype(float) / 1000)
    for nothing in (np.zeros(4000, np.int16), np.zeros(0, np.int16)):
        assert len(Cochlea()(nothing)) == 0
    assert Cochlea()(tone(500)).t_span == (0, 1_000_000)
    assert Cochlea()(tone(500, seconds=3)).t.max() < 1_000_000


def test_several_at_once_are_as_each_alone():
    sounds = [tone(300), tone(900, 0.2), np.zeros(10, np.int16)]
    assert Cochlea().listen(sounds) == [Cochlea()(sound) for sound in sounds]


@pytest.mark.parametrize(
    "bad",
    [
        {"channels": 0}, {"low_hz": 0}, {"high_hz": 4001.0}, {"high_hz": 50.0}, {"rate": 8001}, {"taps": 1},
        {"duration_ms": 0}, {"gain": 0}, {"tau_ms": float("nan")},
    ],
)  # fmt: skip
def test_impossible_ears(bad):
    with pytest.raises(ConfigError, match=rf"Cochlea\.{next(iter(bad))}"):
        Cochlea(**bad)


# -- data set --------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for digit in (0, 7):
        for take in (0, 4, 5, 30):
            write(tmp_path / "wav" / f"{digit}_ann_{take}.wav", tone(300 + 100 * digit + take))
    (tmp_path / "wav" / "README.md").write_text("not a sound")
    return tmp_path / "wav"


def test_split_by_take(folder, tmp_path):
    train, test = (SpokenDigits(folder, s, T=10, cache_dir=tmp_path / "c") for s in ("train", "test"))
    assert [p.rsplit("/")[-1] for p in test.paths] == [f"{d}_ann_{k}.wav" for d in (0, 7) for k in (0, 4)]
    assert train.labels.tolist() == [0, 0, 7, 7]
    assert train.speakers == ["ann"] * 4
    frames, label = train[2]
    assert (frames.shape, label) == ((10, 64, 1, 1), 7)
    assert frames.sum() == len(train.events(2)) == len(Cochlea()(tone(1030)))  # 7_ann_30 comes before 7_ann_5
    assert (train.in_channels, train.img_size) == (64, 1)
    assert train.tensors()[0].shape == (4, 10, 64, 1, 1)


def test_divided_folders_are_taken_as_they_are(tmp_path):
    write(tmp_path / "train" / "3_bob_0.wav", tone(300))
    write(tmp_path / "test" / "3_bob_40.wav", tone(400))
    for split in ("train", "test"):
        assert len(SpokenDigits(tmp_path, split, cache_dir=tmp_path / "c")) == 1


def test_spikes_are_kept_until_a_file_changes(folder, tmp_path, monkeypatch):
    kept = tmp_path / "c"
    first = SpokenDigits(folder, cache_dir=kept)
    monkeypatch.setattr(Cochlea, "listen", None)
    assert SpokenDigits(folder, cache_dir=kept).events(1) == first.events(1)
    monkeypatch.undo()
    write(folder / "0_ann_5.wav", tone(2000))
    changed = SpokenDigits(folder, cache_dir=kept)
    assert changed.events(0) == first.events(0)
    assert changed.events(1) != first.events(1)
    assert len(list(kept.iterdir())) == 2


@pytest.mark.parametrize(("settings", "message"), [({"rate": 16000}, "16000"), ({"channels": 2}, "channel")])
def test_other_sounds_are_refused(folder, tmp_path, settings, message):
    write(folder / "0_ann_6.wav", tone(300), **settings)
    with pytest.raises(FormatError, match=message):
        SpokenDigits(folder, cache_dir=tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.data
def test_the_sample_has_the_statistics_of_the_specification(recordings, tmp_path):
    """Every third of the first 300 training files; the specification has 931 +- 336 for 900 files."""
    from snnkit.data import read_wav

    files = sorted((recordings / "fsdd" / "train").glob("*.wav"))[:2700:27]
    spikes = [len(e) for e in Cochlea().listen([read_wav(f, rate=RATE).samples for f in files])]
    assert np.mean(spikes) == pytest.approx(931, rel=0.1)
    assert np.std(spikes) == pytest.approx(336, rel=0.2)


def test_frames_do_not_lose_spikes(folder, tmp_path):
    data = SpokenDigits(folder, T=7, cache_dir=tmp_path / "c")
    assert torch.equal(
        data.tensors()[0].sum((1, 2, 3, 4)), torch.tensor([len(data.events(i)) for i in range(4)])
    )


def test_a_step_as_an_image(folder, tmp_path):
    settings = {"cache_dir": tmp_path / "c"}
    plain = SpokenDigits(folder, T=2 * 16, **settings)[1][0].view(2, 16, 16, 4)  # step, column, row, channel
    data = SpokenDigits(folder, T=2, image=16, **settings)
    assert (data.in_channels, data.img_size) == (1, 16)
    assert torch.equal(data[1][0], plain.sum(-1).transpose(1, 2)[:, None])
    assert data.tensors()[0].shape == (4, 2, 1, 16, 16)
    for bad in (0, 7, 128):
        with pytest.raises(ConfigError, match=r"SpokenDigits\.image"):
            SpokenDigits(folder, image=bad, **settings)
