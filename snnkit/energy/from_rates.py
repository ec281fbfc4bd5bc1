"""Energy from published tables: dense operations and firing rates instead of a traced model.

A table is a CSV file or a list of dicts. Columns: ``row``, ``name``, and by the kind of row

    ========= ==================================================================================
    "layer"   ``dense_ops`` (over all T steps) with ``firing_rate_percent``, or ``sop`` (already
              multiplied by the rate)
    "ssa"     ``q_rate``, ``k_rate``, ``v_rate`` as shares: spiking self-attention
    "total"   ``macs`` and ``acs`` of a whole network
    ========= ==================================================================================

Lines of a file that start with ``#`` are comments.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal

from ..checks import choice, integer
from ..errors import FormatError, InputTypeError, quote, require
from .profile import Profile
from .profile_file import load_profile
from .report import Line, Report

__all__ = ["from_rates"]

_NUMBERS = ("dense_ops", "firing_rate_percent", "sop", "q_rate", "k_rate", "v_rate", "macs", "acs")
_COLUMNS = {"row", "name", *_NUMBERS}
_LIMIT = 64 << 20


def from_rates(
    table: str | PathLike[str] | Iterable[Mapping[str, Any]],
    preset: Literal["spikingformer"] = "spikingformer",
    *,
    heads: int | None = None,
    head_dim: int | None = None,
    tokens: int | None = None,
    T: int = 4,
    hardware: str | PathLike[str] | Profile = "45nm-fp32",
) -> Report:
    """Price a published table the way its authors did.

    Preset "spikingformer" (script of the Spikingformer repository, arXiv 2304.11954): a layer whose rate
    is exactly 100 % costs MACs, any other ``AC = dense * rate``; a self-attention row costs
    ``AC = T H N d_h^2 (min(f_k, f_v) + f_q)``. Batch norm, pooling, neurons, residuals and memory are
    not part of it, and ``min`` stands for the true coincidences: published numbers, not exact counts.

    Args:
        table: CSV file, or rows as dicts, see the module.
        heads, head_dim, tokens: H, d_h and N of the attention; needed if the table has "ssa" rows.
        T: time steps.
        hardware: prices of MAC and AC.

    Returns:
        A Report with terms "mac" and "ac"; ``report.macs`` and ``report.acs`` are the counts.

    Raises:
        FormatError: a missing file or column, a value that is no number, a rate outside 0..100 %, or a
            row that gives both ``sop`` and a rate: the rate would be applied twice.
        ConfigError: unknown preset, sizes < 1 or missing. InputTypeError: rows that are no dicts.
    """
    choice("from_rates.preset", preset, ("spikingformer",))
    for name, value in (("heads", heads), ("head_dim", head_dim), ("tokens", tokens), ("T", T)):
        if value is not None:
            integer(f"from_rates.{name}", value)
    profile = load_profile(hardware)
    prices = [profile.price(op, profile.arithmetic, profile.bits) for op in ("mul", "acc")]
    require(None not in prices, "from_rates.hardware", profile.id, "a profile with prices for add and mul")
    mul, add = (price[0] for price in prices if price is not None)
    pj = {"mac": mul + add, "ac": add}
    attention = None
    if heads and head_dim and tokens:
        attention = T * heads * tokens * head_dim**2

    lines = []
    if isinstance(table, (str, PathLike)):
        path, rows = fspath(table), iter(_rows(table))
    else:
        path, rows = "table", _given(table)
    for number, row in rows:
        where = f"line {number} ({row.get('name') or '?'})"
        for term, count in _counts(path, where, row, attention):
            lines.append(Line(row["name"], row["row"], term, count, pj[term], count * pj[term]))
    if not lines:
        raise FormatError(path, "holds no rows.")
    totals = {t: (math.fsum(line.pj for line in lines if line.term == t),) for t in pj}
    return Report(
        kind="snn",
        model=Path(path).stem,
        hardware=profile.id,
        dataflow="compute",
        T=1,
        samples=1,
        lines=tuple(lines),
        step_pj=totals,
        assumptions=(
            f"published rates, preset {preset}: MAC {pj['mac']:.4g} pJ, AC {pj['ac']:.4g} pJ, T = {T}",
            "operations = dense slots, padding included, x rate; attention by min() of rates",
            "batch norm, pooling, neurons, residuals and memory are not included",
        ),
        ground=f"{profile.id}; published rates",
    )


def _given(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows handed over as dicts, in the form of a file."""
    if isinstance(rows, (bytes, Mapping)) or not isinstance(rows, Iterable):
        raise InputTypeError(
            f"from_rates.table: got {type(rows).__name__}, expected a path or a list of dicts."
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InputTypeError(f"from_rates.table: row {number} is {type(row).__name__}, expected a dict.")
        if not {"row", "name"} <= set(row) <= _COLUMNS:
            keys = quote(sorted(map(str, row)))
            raise FormatError(
                "table", f"row {number}: {keys}, expected row, name and some of {sorted(_COLUMNS)}."
            )
        yield number, {key: "" if value is None else str(value) for key, value in row.items()}


def _rows(path: str | PathLike[str]) -> list[tuple[int, dict[str, str]]]:
    try:
        if Path(path).stat().st_size > _LIMIT:
            raise FormatError(path, f"larger than {_LIMIT} bytes, no table of layers.")
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read: {error}") from error
    numbered = [
        (i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")
    ]
    try:
        cells = list(csv.reader((line for _, line in numbered), strict=True))
    except csv.Error as error:
        raise FormatError(path, f"not a CSV file: {error}") from error
    if not cells:
        raise FormatError(path, "is empty, expected a header.")
    header = [c.strip() for c in cells[0]]
    if not {"row", "name"} <= set(header) or not set(header) <= _COLUMNS or len(set(header)) != len(header):
        raise FormatError(path, f"columns {header}, expected row, name and some of {sorted(_COLUMNS)}.")
    result = []
    for (number, _), values in zip(numbered[1:], cells[1:], strict=True):
        if len(values) != len(header):
            raise FormatError(path, f"line {number}: {len(values)} values, the header has {len(header)}.")
        result.append((number, dict(zip(header, (v.strip() for v in values), strict=True))))
    return result


def _number(path: str | PathLike[str], where: str, row: dict[str, str], name: str, top: float) -> float:
    text = row.get(name, "")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= top:
        raise FormatError(path, f"{where}: {name} = {text[:50]!r}, expected a number from 0 to {top:g}.")
    return value


def _counts(
    path: str | PathLike[str], where: str, row: dict[str, str], attention: int | None
) -> Iterator[tuple[str, float]]:
    """(term, count) of one row."""
    kind = row["row"]
    if kind == "total":
        for term in ("mac", "ac"):
            if row.get(f"{term}s"):
                yield term, _number(path, where, row, f"{term}s", 1e30)
    elif kind == "ssa":
        if attention is None:
            raise FormatError(path, f"{where}: self-attention.", hint="Pass heads, head_dim and tokens.")
        q, k, v = (_number(path, where, row, f"{n}_rate", 1.0) for n in "qkv")
        yield "ac", attention * (min(k, v) + q)
    elif kind == "layer":
        yield _layer(path, where, row)
    else:
        raise FormatError(path, f'{where}: row = {kind[:50]!r}, expected "layer", "ssa" or "total".')


def _layer(path: str | PathLike[str], where: str, row: dict[str, str]) -> tuple[str, float]:
    if row.get("sop"):
        if row.get("firing_rate_percent"):
            raise FormatError(
                path,
                f"{where}: gives both sop and firing_rate_percent; the rate would be applied twice.",
                hint="Keep sop alone if it is already multiplied by the rate, else dense_ops with the rate.",
            )
        return "ac", _number(path, where, row, "sop", 1e30)
    rate = _number(path, where, row, "firing_rate_percent", 100.0)
    dense = _number(path, where, row, "dense_ops", 1e30)
    return ("mac", dense) if rate == 100 else ("ac", dense * rate / 100)
