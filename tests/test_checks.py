"""Checks of hyper-parameters: what passes comes back, what does not is named with its range."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from snnkit.checks import choice, flag, integer, number
from snnkit.errors import ConfigError


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.int64(1)])
def test_numbers_of_every_library(value: Any) -> None:
    assert type(number("x", value, at_least=1)) is float
    assert number("x", value, above=0, at_most=1) == 1.0


@pytest.mark.parametrize(
    ("bounds", "bad", "words"),
    [
        ({"at_least": 1}, 0.999, ">= 1"),
        ({"above": 0}, 0, "> 0"),
        ({"at_most": 1}, 1.001, "<= 1"),
        ({"below": 1}, 1, "< 1"),
        ({"at_least": 0, "at_most": 1}, -0.1, "in [0, 1]"),
        ({"above": 0, "at_most": 1}, 0, "in (0, 1]"),
        ({"at_least": 0, "below": 1}, 1, "in [0, 1)"),
        ({}, "1", "finite number"),
    ],
)
def test_ranges(bounds: dict[str, float], bad: Any, words: str) -> None:
    for value in (bad, math.nan, math.inf, -math.inf, True, None, "1", 1j, 10**400):
        with pytest.raises(ConfigError) as caught:
            number("Part.x", value, **bounds)
        assert "Part.x" in str(caught.value)
        assert words in str(caught.value)


@pytest.mark.parametrize("bad", [0, 6, 1.0, True, "2", None, math.nan])
def test_integers(bad: Any) -> None:
    assert integer("n", np.int64(5), 1, 5) == 5
    with pytest.raises(ConfigError, match=r"n: got .*an int in \[1, 5\]"):
        integer("n", bad, 1, 5)


@pytest.mark.parametrize("bad", [0, 1, "no", None])
def test_flags(bad: Any) -> None:
    assert flag("f", True) is True
    with pytest.raises(ConfigError, match="True or False"):
        flag("f", bad)


@pytest.mark.parametrize("bad", ["c", None, 1, ["a"]])
def test_choices(bad: Any) -> None:
    assert choice("c", "a", ("a", "b")) == "a"
    with pytest.raises(ConfigError, match='"a" or "b"'):
        choice("c", bad, ("a", "b"))
