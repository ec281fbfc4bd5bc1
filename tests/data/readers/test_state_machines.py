"""EVT 2.0 and EVT 3.0 against decoders that go word by word, on words nobody would record."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reader_samples import HEADER_2, HEADER_3, evt2_word_by_word, evt3_word_by_word, rows

from snnkit.data import DroppedEventsWarning, read_dat, read_evt2, read_evt3, readers
from snnkit.data.readers import source
from snnkit.errors import ConfigError, FormatError

WIDE = (2048, 2048, 2)
ORACLES = {
    "evt2": (read_evt2, HEADER_2, evt2_word_by_word, "<u4"),
    "evt3": (read_evt3, HEADER_3, evt3_word_by_word, "<u2"),
}


@pytest.fixture
def agree(tmp_path, monkeypatch):
    """``agree(name, words, block_bytes)``: reader and oracle find the same events, sorted or not."""

    def check(name: str, words: np.ndarray, block: int = 2**19) -> int:
        read, header, oracle, dtype = ORACLES[name]
        body = words.astype(dtype).tobytes()
        path = tmp_path / "a.raw"
        path.write_bytes(header + body)
        monkeypatch.setattr(source, "_BLOCK_BYTES", block * (12 if name == "evt3" else 1))
        wanted, dropped = oracle(body)
        on_sensor = [row for row in wanted if row[1] < 2048]
        if len(on_sensor) < len(wanted):
            dropped["out_of_range"] = len(wanted) - len(on_sensor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DroppedEventsWarning)
            e = read(path, WIDE, on_out_of_range="drop", on_unsorted="sort")
        assert rows(e) == sorted(on_sensor, key=lambda row: row[0])
        assert e.info["dropped"] == dropped
        return len(e)

    return check


def random_words(name: str, n: int, seed: int) -> np.ndarray:
    """Words of all kinds; the times mostly go on, as in a recording."""
    rng = np.random.default_rng(seed)
    if name == "evt2":
        kind = rng.choice([0, 1, 8, 10, 14, 15], n, p=[0.4, 0.4, 0.14, 0.02, 0.02, 0.02])
        value = rng.integers(0, 2**28, n)
        rises = kind == 8
        value[rises] = np.cumsum(rng.integers(0, 2**24, rises.sum())) % 2**28
        return (kind << 28 | value).astype(np.uint32)
    kind = rng.choice(
        [0, 2, 3, 4, 5, 6, 7, 8, 10, 14, 15],
        n,
        p=[0.1, 0.3, 0.1, 0.15, 0.1, 0.1, 0.03, 0.03, 0.03, 0.03, 0.03],
    )
    value = rng.integers(0, 2**12, n)
    rises = kind == 8
    value[rises] = np.cumsum(rng.integers(0, 300, rises.sum())) % 2**12
    return (kind << 12 | value).astype(np.uint16)


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("block", [4, 12, 40, 1000, 2**19])
def test_random_words(agree, name, block):
    total = sum(
        agree(name, random_words(name, n, seed), block) for seed, n in enumerate((0, 1, 7, 300, 3000))
    )
    assert total > 1000


@pytest.mark.parametrize("name", ORACLES)
def test_time_wraps(agree, name):
    words = random_words(name, 30_000, 5)
    assert agree(name, words) > 10_000


@given(
    st.lists(st.tuples(st.sampled_from([0, 2, 3, 4, 5, 6, 8]), st.integers(0, 4095)), max_size=40),
    st.integers(1, 5),
)
@settings(max_examples=400, deadline=None)
def test_evt3_against_its_oracle(tmp_path_factory, words, block):
    body = np.array([k << 12 | v for k, v in words], "<u2").tobytes()
    path = tmp_path_factory.getbasetemp() / "evt3.raw"
    path.write_bytes(HEADER_3 + body)
    wanted, dropped = evt3_word_by_word(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_BLOCK_BYTES", 24 * block)
        try:
            e = read_evt3(path, WIDE)
        except FormatError as error:
            reason = error.reason
        else:
            assert rows(e) == wanted
            assert e.info["dropped"] == dropped
            return
    t = [row[0] for row in wanted]
    assert ("goes back" in reason and t != sorted(t)) or (
        "out of range" in reason and max(r[1] for r in wanted) > 2047
    )


def test_evt3_by_hand(tmp_path):
    """Vectors walk on by their width, also where no bit is set; TIME_LOW is absolute."""
    words = [
        0x8001,
        0x6010,
        0x0005,
        0x3864,
        0x4003,
        0x4000,
        0x5081,
        0x6020,
        0x2007,
        0x8002,
        0x2808,
        0x6001,
        0x2009,
    ]
    path = tmp_path / "a.raw"
    path.write_bytes(HEADER_3 + np.array(words, "<u2").tobytes())
    e = read_evt3(path, (640, 480, 2))
    assert rows(e) == [
        (4112, 100, 5, 1),
        (4112, 101, 5, 1),
        (4112, 124, 5, 1),
        (4112, 131, 5, 1),
        (4128, 7, 5, 0),
        (8192, 8, 5, 1),  # a new TIME_HIGH begins at low = 0
        (8193, 9, 5, 0),
    ]


@pytest.mark.parametrize(("name", "word"), [("evt2", 0x50000001), ("evt3", 0x1000), ("evt3", 0xB123)])
def test_undefined_words(tmp_path, name, word):
    read, header, _, dtype = ORACLES[name]
    words = random_words(name, 200, 1)[:50].astype(dtype)
    path = tmp_path / "a.raw"
    path.write_bytes(header + np.insert(words, 20, word).tobytes())
    with pytest.raises(FormatError, match=f"{word:#x} is of type.*not defined") as caught:
        read(path, WIDE)
    assert caught.value.offset == len(header) + 20 * words.itemsize
    with pytest.warns(DroppedEventsWarning) as seen:
        e = read(path, WIDE, on_out_of_range="drop", on_unsorted="sort")
    assert "dropped 1 words" in str(seen[0].message)
    assert e.info["dropped"]["undefined_words"] == 1


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        (b"% evt 3.0\n% geometry 320x240\n", (320, 240, 2)),
        (b"% evt 3.0\n% format EVT3;height=720;width=1280\n", (1280, 720, 2)),
        (b"% evt 3.0\n% Width 12\n% Height 34\n", (12, 34, 2)),
        (b"% evt 3.0\n% plugin_name hal_plugin_gen41_evk3\n", (1280, 720, 2)),
        (b"% format EVT3;width=64;height=32\r\n% end\r\n", (64, 32, 2)),
    ],
)
def test_sensor_of_the_header(tmp_path, lines, size):
    path = tmp_path / "a.raw"
    path.write_bytes(lines)
    assert read_evt3(path).sensor_size == size
    assert read_evt3(path, (8, 4, 2)).sensor_size == (8, 4, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"% evt 3.0\n", "does not tell the size of the sensor.*sensor_size="),
        (b"% evt 2.0\n% geometry 4x4\n", "expected the encoding EVT3.*names 'EVT2'"),
        (b"% evt 2.1\n% geometry 4x4\n", "names 'EVT21'"),
        (b"% geometry 4x4\n", "no header names one"),
        (b"\x00\x10", "no header names one"),
        (b"% evt 3.0\n% geometry 99999x99999\n", "99999x99999"),
        (b"% evt 3.0\n% geometry 0x0\n", "0x0"),
        (b"% evt 3.0", "no end"),
    ],
)
def test_headers_that_do_not_fit(tmp_path, content, message):
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_evt3(path)


def test_header_without_end(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(b"%" + b"a" * (2**20 + 5))
    with pytest.raises(FormatError, match="no end within 1048576 bytes"):
        read_evt3(path)
    path.write_bytes(HEADER_3)
    with pytest.raises(ConfigError, match="2048"):
        read_evt3(path, (4096, 4, 2))


def test_body_that_begins_like_a_header(tmp_path):
    """A word 0x25 = % behind the header is data: it is no text."""
    path = tmp_path / "a.raw"
    body = np.array([8 << 28, 0x10000025, 0x10000125], "<u4")[[1, 0, 2]].tobytes()
    path.write_bytes(b"% evt 2.0\n% geometry 64x64\n" + body)
    e = read_evt2(path, (64, 512, 2))
    assert rows(e) == [(0, 0, 0x125, 1)]
    assert e.info["dropped"] == {"before_time": 1}


def test_dat_time_wraps(tmp_path):
    path = tmp_path / "a.dat"
    records = np.array([[2**32 - 5, 1], [3, 2], [7, 3]], "<u4")
    path.write_bytes(b"% Data\n" + bytes([0, 8]) + records.tobytes())
    assert read_dat(path).t.tolist() == [2**32 - 5, 2**32 + 3, 2**32 + 7]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x08", "header of lines that begin with %"),
        (b"% Data\n", "ends ahead"),
        (b"% Data\n\x00", "ends ahead"),
        (b"% Data\n\x05\x08", "type 0 or 12 and size 8, got 5 and 8"),
        (b"% Data\n\x0c\x10", "got 12 and 16"),
        (b"% evt 3.0\n\x00\x08", "names EVT3"),
        (b"% Width 99999\n% Height 3\n\x00\x08", "99999x3"),
    ],
)
def test_dat_headers_that_do_not_fit(tmp_path, content, message):
    path = tmp_path / "a.dat"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_dat(path)


def test_clock_and_hold():
    clock = readers.recording.Clock(8)
    assert clock(np.array([250, 3, 2, 255])).tolist() == [250, 259, 258, 511]
    assert clock(np.array([], int)).tolist() == []
    assert clock(np.array([1])).tolist() == [513]
    held = readers.recording.hold(np.array([7, 8]), np.array([1, 3]), 5, -1)
    assert held.tolist() == [-1, 7, 7, 8, 8]
