"""Reads hardware profiles: TOML files in which each number carries unit, bits, source and evidence.

Anyone can write one and pass its path::

    id = "mychip"
    title = "what it is"          # and scope: what its prices include
    arithmetic = "int"            # what operations are priced as by default: "float" or "int"
    bits = 8                      # default width of weights, activations and states
    [[op]]                        # any of add, acc, mul, cmp, and, shift, exp, div, sqrt, hop
    name = "add"
    dtype = "int"
    bits = 8
    value = 0.03
    unit = "pJ"
    source = "where the number is from"
    [[mem]]                       # levels by capacity; the one without capacity holds everything
    level = "sram"
    capacity_bytes = 65536
    access_bits = 64
    value = 20.0
    unit = "pJ"
    source = "..."

A chip that is known by its price per event has ``[[event]]`` tables (name "synop", "neuron", "spike" or
"mac", with value, unit, source) instead of ``[[op]]`` and ``[[mem]]``, and no ``arithmetic`` or ``bits``.

Optional: ``[[scaling]]`` power laws for other widths, ``[options]`` policies of
:func:`snnkit.energy.price`, ``base`` (a shipped profile whose tables are taken over), ``low``/``high``
bounds, ``evidence``, ``note``. Untrusted input: unknown keys, missing sources, NaN, negative values,
unknown units and oversized files raise ProfileError.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from ..checks import is_integer, is_number
from ..errors import ConfigError, InputTypeError, ProfileError, UnknownNameError, quote
from ..registry import closest
from .policies import check_policy
from .profile import EventPrice, MemoryLevel, OpPrice, Profile

__all__ = ["list_profiles", "load_profile"]

UNITS = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3}
OPS = ("add", "acc", "mul", "cmp", "and", "shift", "exp", "div", "sqrt", "hop")
EVENTS = ("synop", "neuron", "spike", "mac")
SCOPES = ("operation", "synapse", "system")
EVIDENCE = ("confirmed", "read", "printed", "quoted", "inferred")
MAX_BYTES = 1 << 20


def list_profiles() -> list[str]:
    """Names of the shipped profiles."""
    return list(_shipped())


@cache
def _shipped() -> tuple[str, ...]:
    folder = files("snnkit.energy") / "profiles"
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load_profile(name: str | PathLike[str] | Profile) -> Profile:
    """A profile by shipped name, or by the path of a TOML file.

    Raises:
        UnknownNameError: no such shipped profile, and not a path that ends in ".toml".
        ProfileError: the file is missing, malformed, or holds a number that cannot be trusted.
        InputTypeError: neither a name nor a path.
    """
    if isinstance(name, Profile):
        return name
    if not isinstance(name, (str, PathLike)):
        raise InputTypeError(
            f"hardware: got {type(name).__name__}, expected a profile name or the path of a TOML file."
        )
    if isinstance(name, str) and not name.endswith(".toml"):
        if name not in list_profiles():
            raise UnknownNameError(
                f"unknown hardware profile {quote(name)}{closest(name, list_profiles())} "
                f"Available: {', '.join(list_profiles())}; or the path of a .toml file."
            )
        return _load_shipped(name)
    path = Path(name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ProfileError(f"profile {quote(str(path))}: larger than {MAX_BYTES} bytes, not a profile.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise ProfileError(f"profile {quote(str(path))} cannot be read: {error}. Check the path.") from error
    return _parse(data, str(path))


@cache
def _load_shipped(name: str) -> Profile:
    return _parse((files("snnkit.energy") / "profiles" / f"{name}.toml").read_bytes(), name)


# -- reading -------------------------------------------------------------------------------------------


def _parse(data: bytes, where: str) -> Profile:
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise ProfileError(f"profile {quote(where)} is not valid TOML: {quote(str(error))}.") from error
    return _profile(_Table(table, f"profile {quote(where)}"))


class _Table:
    """A TOML table that is read key by key; what is left at the end is unknown."""

    def __init__(self, table: Any, where: str) -> None:
        if not isinstance(table, dict):
            raise ProfileError(f"{where}: got {type(table).__name__}, expected a table.")
        self.rest, self.where = dict(table), where

    def text(self, key: str, default: str | None = None, allowed: tuple[str, ...] = ()) -> str:
        value = self.rest.pop(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.error(key, value, "a non-empty string")
        if allowed and value not in allowed:
            raise self.error(key, value, f"one of {', '.join(allowed)}")
        return value

    def number(self, key: str, default: float | None = None, *, positive: bool = False) -> float | None:
        value = self.rest.pop(key, default)
        if value is None:
            return None
        if not is_number(value) or not 0 <= value <= 1e300 or (positive and value == 0):
            raise self.error(key, value, f"a finite number {'> 0' if positive else '>= 0'}")
        return float(value)

    def required(self, key: str, *, positive: bool = False) -> float:
        if key not in self.rest:
            raise ProfileError(f"{self.where}: {key} is missing.")
        value = self.number(key, positive=positive)
        assert value is not None
        return value

    def whole(self, key: str, *, optional: bool = False) -> int | None:
        if optional and key not in self.rest:
            return None
        value = self.rest.pop(key, None)
        if not is_integer(value) or not 0 < value <= 1 << 62:
            raise self.error(key, value, "a positive integer")
        return int(value)

    def tables(self, key: str) -> list[_Table]:
        value = self.rest.pop(key, [])
        if not isinstance(value, list):
            raise self.error(key, value, f"[[{key}]] tables")
        return [_Table(entry, f"{self.where}, {key} {i + 1}") for i, entry in enumerate(value)]

    def close(self) -> None:
        if self.rest:
            raise ProfileError(
                f"{self.where}: unknown key {quote(sorted(map(str, self.rest))[0])}. Remove it."
            )

    def error(self, key: str, value: object, allowed: str) -> ProfileError:
        return ProfileError(f"{self.where}: {key} = {quote(value)}, expected {allowed}.")

    def energy(self) -> dict[str, Any]:
        """``value`` with ``unit``, or ``pj``; the source; bounds; evidence and note."""
        if ("value" in self.rest) == ("pj" in self.rest):
            raise ProfileError(f"{self.where}: give the energy once, as value with unit, or as pj.")
        factor = UNITS[self.text("unit", None, tuple(UNITS))] if "value" in self.rest else 1.0
        pj = self.required("value" if "value" in self.rest else "pj") * factor
        if "source" not in self.rest:
            raise ProfileError(f'{self.where}: a number without a source. Add source = "...".')
        low, high = self.number("low"), self.number("high")
        if (low is not None and low * factor > pj) or (high is not None and high * factor < pj):
            raise ProfileError(f"{self.where}: the value lies outside of low..high.")
        return {
            "pj": pj,
            "source": self.text("source"),
            "low": None if low is None else low * factor,
            "high": None if high is None else high * factor,
            "evidence": self.text("evidence", "", ("", *EVIDENCE)),
            "note": self.text("note", ""),
        }


def _profile(table: _Table) -> Profile:
    name = table.text("id")
    base = None
    if "base" in table.rest:
        base = load_profile(table.text("base", None, tuple(n for n in list_profiles() if n != name)))
    events = tuple(_event(t) for t in table.tables("event"))
    arithmetic: Any = base.arithmetic if base else "int" if events else None
    arithmetic = table.text("arithmetic", arithmetic, ("float", "int"))
    known = base.bits if base else 1 if events else 0
    bits = table.whole("bits", optional=known > 0) or known
    ops = tuple(_op(t, law=False) for t in table.tables("op"))
    laws = tuple(_op(t, law=True) for t in table.tables("scaling"))
    memory = tuple(_level(t) for t in table.tables("mem"))
    options = _options(_Table(table.rest.pop("options", {}), f"{table.where}, options"))
    profile = Profile(
        id=name,
        arithmetic=arithmetic,
        bits=bits,
        ops=ops + (base.ops if base else ()),
        memory=memory or (base.memory if base else ()),
        scaling=laws + (base.scaling if base else ()),
        events=events or (base.events if base else ()),
        options={**(base.options if base else {}), **options},
        title=table.text("title", ""),
        scope=table.text("scope", base.scope if base else "operation", SCOPES),
        node_nm=table.number("node_nm", base.node_nm if base else None, positive=True),
        note=table.text("note", ""),
    )
    table.close()
    if bool(profile.ops or profile.scaling) == bool(profile.events):
        raise ProfileError(f"{table.where}: give prices either as [[op]] tables or as [[event]] tables.")
    if events and (memory or ops):
        raise ProfileError(f"{table.where}: the price of an event includes memory and operations.")
    unknown = set(profile.options.get("levels", {}).values()) - {m.level for m in profile.memory}
    if unknown:
        raise ProfileError(f"{table.where}, options: levels names {quote(min(unknown))}, no [[mem]] level.")
    return profile


def _op(table: _Table, *, law: bool) -> OpPrice:
    width = table.whole("ref_bits" if law else "bits")
    assert width is not None
    price = OpPrice(
        name=table.text("name", None, OPS),
        dtype=table.text("dtype", None, ("float", "int")),
        bits=width,
        exponent=table.required("exponent") if law else None,
        **table.energy(),
    )
    table.close()
    if price.exponent is not None and price.exponent > 8:
        raise ProfileError(f"{table.where}: exponent = {price.exponent:g}, expected 0..8.")
    return price


def _level(table: _Table) -> MemoryLevel:
    access = table.whole("access_bits")
    assert access is not None
    level = MemoryLevel(
        level=table.text("level"),
        access_bits=access,
        capacity_bytes=table.whole("capacity_bytes", optional=True),
        **table.energy(),
    )
    table.close()
    return level


def _event(table: _Table) -> EventPrice:
    price = EventPrice(name=table.text("name", None, EVENTS), **table.energy())
    table.close()
    return price


def _options(table: _Table) -> dict[str, Any]:
    try:
        return {
            name: check_policy(f"{table.where}: {name}", name, value) for name, value in table.rest.items()
        }
    except ConfigError as error:
        raise ProfileError(str(error)) from error
