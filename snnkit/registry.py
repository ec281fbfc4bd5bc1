"""Names for factories: one small class behind every ``list_*`` and ``create_*``.

A registry holds factories, never instances. An unknown name raises with the closest known one.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any, Generic, TypeVar

from .errors import ConfigError, InputTypeError, UnknownNameError, quote

__all__ = ["Registry", "closest"]

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
Factory = TypeVar("Factory", bound=Callable[..., object])


class Registry(Generic[Factory]):
    """Maps lower-case names to factories of one kind.

    Args:
        kind: what is registered, used in messages ("neuron", "model", ...).

    Example:
        >>> shapes = Registry("shape")
        >>> @shapes.register("square")
        ... def square(side): return side * side
        >>> shapes.get("square")(3)
        9
        >>> shapes.get("sqare")
        Traceback (most recent call last):
        snnkit.errors.UnknownNameError: unknown shape 'sqare'; did you mean 'square'? Available: square.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._factories: dict[str, Factory] = {}

    def register(self, name: str) -> Callable[[Factory], Factory]:
        """Class or function decorator that files its argument under ``name``.

        Raises:
            ConfigError: not a lower-case str, or the name is taken by another factory.
        """

        if not isinstance(name, str) or not name or name != name.lower():
            raise ConfigError(f"{self.kind}: got name {quote(name)}, expected a lower-case str.")

        def add(factory: Factory) -> Factory:
            if self._factories.setdefault(name, factory) is not factory:
                raise ConfigError(f"{self.kind} {name!r} is registered twice; choose another name.")
            return factory

        return add

    def get(self, name: str) -> Factory:
        """The factory called ``name``.

        Raises:
            UnknownNameError: with the closest known name and all available ones.
        """
        if isinstance(name, str) and name in self._factories:
            return self._factories[name]
        raise UnknownNameError(
            f"unknown {self.kind} {quote(name)}{closest(name, self._factories)} "
            f"Available: {', '.join(self.names())}."
        )

    def make(self, name: str, /, **arguments: Any) -> Any:
        """What the factory called ``name`` makes of ``arguments``, which are held against its signature.

        Raises:
            UnknownNameError: no such factory.
            ConfigError: an argument that it does not have, or one that it cannot do without.
        """
        factory = self.get(name)
        known = inspect.signature(factory).parameters
        for key in arguments:
            if key not in known:
                raise ConfigError(
                    f"{self.kind} {name!r} has no argument {quote(key)}{closest(key, known)} "
                    f"Arguments: {', '.join(known) or 'none'}."
                )
        missing = [k for k, p in known.items() if p.default is p.empty and p.kind in _NAMED]
        missing = [k for k in missing if k not in arguments]
        if missing:
            raise ConfigError(f"{self.kind} {name!r} needs {', '.join(missing)}: give {missing[0]}=...")
        return factory(**arguments)

    def names(self, pattern: str = "*") -> list[str]:
        """Sorted names that match the shell-style ``pattern``.

        Raises:
            InputTypeError: the pattern is not a str.
        """
        if not isinstance(pattern, str):
            raise InputTypeError(f"{self.kind} names: got {quote(pattern)}, expected a pattern as 'sdt_*'.")
        return sorted(name for name in self._factories if fnmatchcase(name, pattern))

    def __contains__(self, name: object) -> bool:
        return name in self._factories

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._factories)


def closest(name: object, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the known name nearest to ``name``, else ``"."``."""

    match = difflib.get_close_matches(str(name)[:100].lower(), list(known), n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else "."
