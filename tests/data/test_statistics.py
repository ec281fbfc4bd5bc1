"""Numbers of a recording and findings of a data set."""

from __future__ import annotations

import math

import numpy as np
import pytest

from snnkit.data import (
    DigitsEvents,
    Events,
    check_dataset,
    check_files,
    event_files,
    read_nmnist,
    statistics,
    write_nmnist,
)
from snnkit.errors import InputTypeError


def test_numbers_by_hand():
    e = Events([0, 5, 5, 20_000], [3, 1, 2, 3], [0, 0, 1, 0], [1, 0, 1, 1], (4, 2, 2), (0, 100_000))
    s = statistics(e)
    assert (s.events, s.duration_us, s.first_us, s.last_us) == (4, 100_000, 0, 20_000)
    assert s.rate_hz == 40
    assert s.peak_hz == 300
    assert s.on_share == 0.75
    assert (s.pixels, s.dead, s.active) == (8, 5, 3)
    assert s.hot == ()
    assert s.simultaneous == 1


def test_hot_pixels_stand_out(random_events):
    e = random_events(5000)
    x, y = e.x.copy(), e.y.copy()
    x[::10], y[::10] = 7, 9
    s = statistics(e.with_(x=x, y=y))
    assert [(x, y) for x, y, _ in s.hot] == [(7, 9)]
    assert s.hot[0][2] >= 500
    assert statistics(e).hot == ()


def test_nothing_has_no_rates():
    s = statistics(Events([], [], [], [], (4, 2, 1)))
    assert s.events == s.peak_hz == s.simultaneous == 0
    assert s.first_us is None
    assert math.isnan(s.rate_hz)
    assert math.isnan(s.on_share)
    assert s.dead == 8
    with pytest.raises(InputTypeError, match="statistics"):
        statistics(np.zeros(3))


def test_findings(tmp_path, random_events):
    for i, events in enumerate([random_events(50, seed=1), random_events(0), random_events(50, seed=1)]):
        write_nmnist(tmp_path / f"{i}.bin", events)
    (tmp_path / "3.bin").write_bytes((tmp_path / "0.bin").read_bytes()[:-2])
    write_nmnist(tmp_path / "deep" / "4.bin", random_events(50, seed=2))
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "5.bin").write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("no recording")
    paths = event_files(tmp_path)
    names = [path[len(str(tmp_path)) + 1 :] for path in paths]
    assert names == ["0.bin", "1.bin", "2.bin", "3.bin", "deep/4.bin"]
    found = list(check_files(paths, read_nmnist))
    kinds = [[f.kind for f in part] for part in found]
    assert kinds == [[], ["empty"], ["twice"], ["unreadable"], []]
    assert "0.bin" in found[2][0].message
    assert "truncated" in found[3][0].message or "5" in found[3][0].message

    def lenient(path):
        return read_nmnist(path, on_truncated="drop")

    kinds = [[f.kind for f in part] for part in check_files(paths, lenient)]
    assert kinds[3] == ["dropped"]


def test_a_whole_data_set(digits_cache):
    found = [
        f for part in check_dataset(DigitsEvents("test", cache_dir=digits_cache), "digits") for f in part
    ]
    assert found == []
