"""The registry: registration, lookup, suggestions."""

from __future__ import annotations

import pytest

from snnkit.errors import ConfigError, UnknownNameError
from snnkit.registry import Registry, closest


@pytest.fixture
def shapes() -> Registry:
    registry = Registry("shape")
    registry.register("square")(lambda side: side * side)
    registry.register("circle")(lambda radius: 3 * radius * radius)
    return registry


def test_lookup(shapes: Registry) -> None:
    assert shapes.get("square")(3) == 9
    assert "square" in shapes
    assert "cube" not in shapes
    assert list(shapes) == shapes.names() == ["circle", "square"]
    assert len(shapes) == 2


def test_patterns(shapes: Registry) -> None:
    assert shapes.names("s*") == ["square"]
    assert shapes.names("*[le]") == ["circle", "square"]
    assert shapes.names("S*") == []


def test_decorator_returns_its_argument(shapes: Registry) -> None:
    @shapes.register("cube")
    class Cube:
        pass

    assert shapes.get("cube") is Cube
    assert Cube.__name__ == "Cube"


def test_a_name_is_given_once(shapes: Registry) -> None:
    with pytest.raises(ConfigError, match="shape 'square' is registered twice"):
        shapes.register("square")(abs)
    assert shapes.get("square")(3) == 9
    shapes.register("abs")(abs)
    shapes.register("abs")(abs)  # the same factory again, as when a module is reloaded


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sqare", "unknown shape 'sqare'; did you mean 'square'? Available: circle, square."),
        ("SQUARE", "unknown shape 'SQUARE'; did you mean 'square'? Available: circle, square."),
        ("zzz", "unknown shape 'zzz'. Available: circle, square."),
        ("", "unknown shape ''. Available: circle, square."),
        (3, "unknown shape 3. Available: circle, square."),
        (None, "unknown shape None. Available: circle, square."),
    ],
)
def test_unknown_names(shapes: Registry, name: object, text: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        shapes.get(name)
    assert str(caught.value) == text
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, ConfigError)


def test_hostile_names_are_cut(shapes: Registry) -> None:
    with pytest.raises(UnknownNameError) as caught:
        shapes.get("\x1b[31m" + "x" * 100_000)
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)
    with pytest.raises(UnknownNameError):
        shapes.get(["square"])


def test_an_empty_registry() -> None:
    with pytest.raises(UnknownNameError, match="unknown thing 'x'"):
        Registry("thing").get("x")


def test_closest() -> None:
    assert closest("taw", ["tau", "beta"]) == "; did you mean 'tau'?"
    assert closest("taw", []) == "."
    assert closest(7, ["tau"]) == "."
