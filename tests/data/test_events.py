"""The container: its invariants, and what it says about data that break them."""

from __future__ import annotations

import copy
import doctest
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snnkit.data import LIMITS, DroppedEventsWarning, Events, events, frames
from snnkit.errors import ConfigError, DTypeError, InputTypeError, LimitError, ShapeError

GOOD: dict[str, Any] = {
    "t": [0, 5, 5, 9],
    "x": [3, 1, 2, 0],
    "y": [0, 0, 1, 1],
    "p": [1, 0, 1, 1],
    "sensor_size": (4, 2, 2),
}


def test_columns_have_fixed_types_and_cannot_be_written():
    e = Events(**GOOD)
    assert [getattr(e, n).dtype for n in "txyp"] == [np.int64, np.uint16, np.uint16, np.uint8]
    for name in "txyp":
        with pytest.raises(ValueError, match="read-only"):
            getattr(e, name)[0] = 1
    with pytest.raises(AttributeError, match="with_"):
        e.t = np.zeros(4)
    with pytest.raises(AttributeError, match="cannot be changed"):
        del e.t
    assert e.t_span == (0, 10)
    assert len(e) == 4
    assert repr(e) == "Events(4 events on 4x2x2, t 0..9 of [0, 10) µs, ON 75.0 %)"
    assert repr(Events([], [], [], [], (4, 2, 2))) == "Events(0 events on 4x2x2, t of [0, 0) µs)"


def test_caller_keeps_its_arrays():
    t = np.array([0, 5, 5, 9], np.int64)
    whole = np.arange(8, dtype=np.uint16)
    view = whole[:4]
    view.flags.writeable = False  # read-only itself, but its memory is not
    e = Events(t, view, [0] * 4, [0] * 4, (4, 1, 2))
    t[0], whole[0] = 99, 99
    assert t.flags.writeable
    assert e.t[0] == 0
    assert e.x[0] == 0


def test_frozen_arrays_are_shared_not_copied():
    e = Events(**GOOD)
    again = e.with_(t_span=(0, 100))
    assert all(np.shares_memory(getattr(e, n), getattr(again, n)) for n in "txyp")
    assert again.t_span == (0, 100)
    assert e.t_span == (0, 10)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.uint64])
def test_any_integer_type_is_accepted(kind):
    e = Events(*(np.array(GOOD[n], kind) for n in "txy"), np.array(GOOD["p"], bool), GOOD["sensor_size"])
    assert e == Events(**GOOD)
    assert Events(*(torch.tensor(GOOD[n]) for n in "txyp"), GOOD["sensor_size"]) == e


@pytest.mark.parametrize(
    ("change", "error", "parts"),
    [
        ({"t": [0.0, 1.0, 2.0, 3.0]}, DTypeError, ("Events.t", "float64", "integers", "rint")),
        ({"x": [0.5, 1, 2, 3]}, DTypeError, ("Events.x", "float64")),
        ({"x": [True, False, True, False]}, DTypeError, ("Events.x", "bool")),
        ({"t": ["a", "b", "c", "d"]}, DTypeError, ("Events.t",)),
        ({"t": [[1, 2], [3]]}, InputTypeError, ("Events.t", "list", "array")),
        ({"t": None}, DTypeError, ("Events.t", "object")),
        ({"t": [0, 1]}, ShapeError, ("'t': (2,)", "'x': (4,)", "equal length")),
        ({n: [[v] for v in GOOD[n]] for n in "txyp"}, ShapeError, ("(4, 1)", "[N]")),
        ({"t": 3}, ShapeError, ("'t': ()",)),
        ({"x": [3, 200, 2, 0]}, ConfigError, ("event 1", "x = 200", "0..3", "4x2x2", "1 of 4", "drop")),
        ({"x": [3, -1, 2, 0]}, ConfigError, ("event 1", "x = -1", "0..3")),
        ({"y": [0, 0, 1, 2]}, ConfigError, ("event 3", "y = 2", "0..1")),
        ({"p": [1, 0, -1, 2]}, ConfigError, ("event 2", "p = -1", "0..1", "2 of 4")),
        ({"x": [9, 1, 2, 0], "y": [7, 0, 1, 1]}, ConfigError, ("x = 9", "y = 7", "1 of 4")),
        ({"sensor_size": (4, 2, 1)}, ConfigError, ("p = 1", "0..0")),
        ({"t": [0, 5, 4, 9]}, ConfigError, ("event 2", "4 µs", "5 µs", "non-decreasing", "sort")),
        ({"t_span": (0, 9)}, ConfigError, ("t_span", "(0, 9)", "0..9", "slice_time")),
        ({"t_span": (1, 10)}, ConfigError, ("t_span", "(1, 10)")),
        ({"t_span": (10, 0)}, ConfigError, ("t_span", "start <= end")),
        ({"t_span": (0, 10.5)}, ConfigError, ("t_span", "integers")),
        ({"t_span": 10}, ConfigError, ("t_span", "2 integers")),
        ({"sensor_size": (4, 2)}, ConfigError, ("sensor_size", "3 integers", "(W, H, P)")),
        ({"sensor_size": (4, 0, 2)}, ConfigError, ("sensor_size", "(4, 0, 2)")),
        ({"sensor_size": (4, 2, 3)}, ConfigError, ("sensor_size", "P = 1 or 2")),
        ({"sensor_size": (70000, 2, 2)}, ConfigError, ("sensor_size", "65536")),
        ({"sensor_size": "4x2"}, ConfigError, ("sensor_size", "3 integers")),
        ({"t": [0, 1, 2, 2**62]}, LimitError, ("time_span_us", str(2**62 + 1), "LIMITS")),
        ({"t": [2**62] * 4}, ConfigError, ("t_span", "2**62")),
    ],
)
def test_broken_invariants_are_named(change, error, parts):
    with pytest.raises(error) as caught:
        Events(**(GOOD | change))
    for part in parts:
        assert part in str(caught.value)


def test_times_beyond_int64_are_refused():
    with pytest.raises(ConfigError, match="int64"):
        Events(**(GOOD | {"t": np.full(4, 2**63, np.uint64)}))


def test_number_of_events_is_limited(monkeypatch):
    monkeypatch.setattr(LIMITS, "events", 3)
    with pytest.raises(LimitError, match=r"4 exceeds the limit events = 3.*LIMITS\.events = 4"):
        Events(**GOOD)


def test_policies_repair_and_count():
    with pytest.warns(DroppedEventsWarning, match="dropped 2 of 5 events"):
        e = Events.from_arrays(
            [0, 1, 2, 3, 4], [0, 9, 1, 2, 3], [0, 0, 0, 0, -1], [1] * 5, (4, 2, 2), on_out_of_range="drop"
        )
    assert e.t.tolist() == [0, 2, 3]
    assert e.info["dropped"] == {"out_of_range": 2}
    with pytest.warns(
        DroppedEventsWarning, match="sorted 4 events by time, which went back 2 times"
    ) as caught:
        e = Events.from_arrays([5, 1, 5, 0], [0, 1, 2, 3], [0] * 4, [1] * 4, (4, 2, 2), on_unsorted="sort")
    assert caught[0].filename == __file__
    assert e.t.tolist() == [0, 1, 5, 5]
    assert e.x.tolist() == [3, 1, 0, 2]  # equal times keep their order
    assert e.info["dropped"] == {}
    assert Events.from_arrays(**GOOD, on_unsorted="sort", info={"a": 1}).info == {"a": 1, "dropped": {}}


def test_policies_are_errors_by_default_and_known_by_name():
    with pytest.raises(ConfigError, match="x = 9"):
        Events.from_arrays([0], [9], [0], [1], (4, 2, 2), on_unsorted="sort")
    warned = pytest.warns(DroppedEventsWarning, match="dropped 1")
    with warned, pytest.raises(ConfigError, match="event 3 has t = 1"):  # counted as in the input
        Events.from_arrays([0, 1, 2, 1], [0, 9, 0, 0], [0] * 4, [1] * 4, (4, 2, 2), on_out_of_range="drop")
    for name in ("on_out_of_range", "on_unsorted"):
        with pytest.raises(ConfigError, match=f"from_arrays.{name}: got 'ignore'.*'error'"):
            Events.from_arrays(**GOOD, **{name: "ignore"})


@given(st.lists(st.integers(0, 50), max_size=40), st.lists(st.integers(-5, 60), max_size=4))
def test_slices_partition_the_recording(times, cuts):
    t = sorted(times)
    e = Events(t, [0] * len(t), [0] * len(t), [1] * len(t), (1, 1, 2), (0, 51))
    edges = [-10, *sorted(cuts), 70]
    parts = [e.slice_time(a, b) for a, b in pairwise(edges)]
    assert np.concatenate([part.t for part in parts]).tolist() == t
    assert all(a <= b for a, b in (part.validate().t_span for part in parts))
    assert parts[0].t_span[0] == 0
    assert parts[-1].t_span[1] == 51


def test_slice_shares_memory_and_keeps_time():
    e = Events(**GOOD)
    part = e.slice_time(5, 9)
    assert part.t.tolist() == [5, 5]
    assert part.t_span == (5, 9)
    assert np.shares_memory(part.x, e.x)
    for bad, message in (((9, 5), "start <= end"), ((0.5, 9), "integers")):
        with pytest.raises(ConfigError, match=message):
            e.slice_time(*bad)


def test_structured_round_trip():
    e = Events(**GOOD, t_span=(0, 20))
    array = e.to_structured()
    assert array.dtype == np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1")])
    array["x"][0] = 2  # a copy
    assert e.x[0] == 3
    assert Events.from_structured(e.to_structured(), (4, 2, 2), (0, 20)) == e
    other = np.zeros(2, [("x", "<i4"), ("t", "<i8"), ("p", "?")])  # another order, 1-D, bool
    other["p"][1] = True
    assert Events.from_structured(other, (4, 1, 2)).p.tolist() == [0, 1]


def test_structured_needs_its_fields():
    with pytest.raises(InputTypeError, match=r"'t', 'x'\).*t, x, p"):
        Events.from_structured(np.zeros(2, [("t", "<i8"), ("x", "<i2")]), (4, 1, 2))
    with pytest.raises(InputTypeError, match="structured array"):
        Events.from_structured(np.zeros(2), (4, 1, 2))
    with pytest.raises(ConfigError, match="32768"):
        Events([0], [40000], [0], [0], (65536, 1, 1)).to_structured()


def test_pickle_and_deepcopy_stay_read_only():
    e = Events(**GOOD, info={"path": "a"})
    for other in (pickle.loads(pickle.dumps(e)), copy.deepcopy(e), copy.copy(e)):
        assert other == e
        assert other.info == e.info
        assert not any(getattr(other, n).flags.writeable for n in "txyp")


def test_equality():
    e = Events(**GOOD)
    assert e == Events(**GOOD, info={"a": 1})
    assert e != e.with_(p=[0, 0, 1, 1])
    assert e != e.with_(t_span=(0, 11))
    assert e != "events"


def test_with_checks_again():
    e = Events(**GOOD)
    assert e.with_(x=e.x // 2, sensor_size=(2, 2, 2)).sensor_size == (2, 2, 2)
    with pytest.raises(ConfigError, match="x = 3"):
        e.with_(sensor_size=(2, 2, 2))
    with pytest.raises(ConfigError, match=r"with_.*'tspan'.*t_span"):
        e.with_(tspan=(0, 1))


def test_validate_finds_damage():
    e = Events(**GOOD)
    assert e.validate() is e
    for name, damage in (("t", e.t[::-1]), ("x", e.x + 4), ("t_span", (0, 3)), ("sensor_size", (4, 2))):
        broken = copy.copy(e)
        object.__setattr__(broken, name, damage)
        with pytest.raises(ConfigError):
            broken.validate()


@pytest.mark.parametrize("module", [events, frames])
def test_docstrings_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
