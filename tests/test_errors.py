"""The exception tree: bases, messages, pickling."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest

from snnkit import errors
from snnkit.errors import (
    ConfigError,
    FormatError,
    MissingDependencyError,
    SnnkitError,
    UnknownNameError,
    quote,
    require,
)

BUILTIN = {
    "InputTypeError": TypeError,
    "DTypeError": TypeError,
    "ShapeError": ValueError,
    "StateShapeError": RuntimeError,
    "DeviceError": RuntimeError,
    "StreamError": RuntimeError,
    "NumericsError": ArithmeticError,
    "ConfigError": ValueError,
    "UnknownNameError": KeyError,
    "ProfileError": ValueError,
    "FormatError": ValueError,
    "LimitError": ValueError,
    "CheckpointError": RuntimeError,
    "UntrustedFileError": RuntimeError,
    "MissingDependencyError": ImportError,
    "BackendError": RuntimeError,
    "QuantConfigError": ValueError,
    "NotCalibratedError": RuntimeError,
    "SpikeDrivenError": RuntimeError,
    "AccumulatorOverflowError": ArithmeticError,
}
PARENT = {
    "DTypeError": "InputTypeError",
    "UnknownNameError": "ConfigError",
    "ProfileError": "ConfigError",
    "QuantConfigError": "ConfigError",
    "UntrustedFileError": "CheckpointError",
}
KINDS = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
]


def example(kind: type[SnnkitError]) -> SnnkitError:
    if issubclass(kind, FormatError):
        return kind("a.bin", "7 bytes, expected a multiple of 5.", offset=5, hint="Download it again.")
    if issubclass(kind, MissingDependencyError):
        return kind("lightning", extra="train", purpose="Training")
    return kind("LIF.tau: got 0, expected >= 1.")


def test_the_tree_is_complete() -> None:
    assert {kind.__name__ for kind in KINDS} == {*BUILTIN, "SnnkitError"}
    assert {kind.__name__ for kind in KINDS} <= set(errors.__all__)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_bases(kind: type[SnnkitError]) -> None:
    assert issubclass(kind, SnnkitError)
    if kind is not SnnkitError:
        assert issubclass(kind, BUILTIN[kind.__name__])
        assert issubclass(kind, getattr(errors, PARENT.get(kind.__name__, "SnnkitError")))


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_the_docstring_draws_the_tree(kind: type[SnnkitError]) -> None:
    line = next(
        line for line in (errors.__doc__ or "").splitlines() if re.search(rf"\b{kind.__name__}\b", line)
    )
    drawn = re.search(r"\((\w+)\)", line)
    if drawn:
        assert issubclass(kind, getattr(__import__("builtins"), drawn[1]))
    depth = (len(line) - len(line.lstrip(" │├└─"))) // 4
    assert depth == len([base for base in kind.__mro__ if issubclass(base, SnnkitError)])


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.__name__)
def test_pickling(kind: type[SnnkitError]) -> None:
    """Data-loader workers send exceptions as pickles."""
    error = example(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    for name in ("path", "offset", "reason", "hint", "package", "extra"):
        assert getattr(again, name, None) == getattr(error, name, None)


def test_format_error() -> None:
    error = example(FormatError)
    assert str(error) == "'a.bin' at byte 5: 7 bytes, expected a multiple of 5. Download it again."
    assert (error.path, error.offset) == ("a.bin", 5)
    assert str(FormatError(Path("b"), "empty")) == "'b': empty"
    hostile = str(FormatError("\x1b[2J" + 1000 * "x", "empty"))
    assert "\x1b" not in hostile
    assert len(hostile) < 250


def test_missing_dependency() -> None:
    error = example(MissingDependencyError)
    assert str(error) == 'Training needs lightning: pip install "snnkit[train]"'
    assert (error.package, error.extra) == ("lightning", "train")


def test_unknown_name_is_readable() -> None:
    """KeyError would show its message in quotes."""
    assert str(UnknownNameError("unknown neuron 'x'.")) == "unknown neuron 'x'."


def test_quote() -> None:
    assert quote("a\nb") == r"'a\nb'"
    assert len(quote("x" * 1000)) == 200
    assert quote("x" * 1000).endswith("...")
    assert quote(3.5) == "3.5"
    assert len(quote("x" * 1000, limit=50)) == 50


def test_require() -> None:
    require(True, "here", 1, "anything")
    with pytest.raises(ConfigError) as caught:
        require(False, "LIF.tau", 0, "a number >= 1", "Use tau=1 for no memory.")
    assert str(caught.value) == "LIF.tau: got 0, expected a number >= 1. Use tau=1 for no memory."


def test_exceptions_are_raised_with_their_class_not_bare() -> None:
    """Nothing in snnkit raises a plain builtin on user input, and no error is raised without a message.

    Allowed: abstract methods (TypeError), the protocols of attributes and sequences, the disk.
    """
    allowed = {"TypeError", "AttributeError", "IndexError", "OSError", "SystemExit", "KeyboardInterrupt"}
    builtin = {
        name for name in dir(__import__("builtins")) if name.endswith(("Error", "Exception", "Interrupt"))
    }
    found = []
    for path in sorted(Path(errors.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Raise) or node.exc is None:
                continue
            call = node.exc if isinstance(node.exc, ast.Call) else None
            name = getattr(call.func if call else node.exc, "id", "")
            if name in builtin - allowed or (call and not call.args and not call.keywords):
                found.append(f"{path.name}:{node.lineno} {name}")
    assert not found
