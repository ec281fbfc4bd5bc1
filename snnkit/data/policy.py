"""What happens to events that break a rule: an error, or an explicit and counted repair."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from typing import Literal, NoReturn, TypedDict, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import require

__all__ = [
    "Columns",
    "DroppedEventsWarning",
    "OnBad",
    "OnUnsorted",
    "Policies",
    "check_policies",
    "report",
    "sift",
]

OnBad = Literal["error", "drop"]
OnUnsorted = Literal["error", "sort"]
Columns = tuple[NDArray, NDArray, NDArray, NDArray]  # t, x, y, p of equal length, integers
Fail = Callable[[int, str, str], NoReturn]  # index of the first bad event, reason, hint


_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Policies(TypedDict, total=False):
    """What every reader does about input that breaks a rule; "error", the default, raises FormatError.

    Whatever is dropped is counted in ``Events.info["dropped"]`` and warned about.

    Keys:
        on_truncated: "drop" keeps the whole records of a file that ends inside of one.
        on_out_of_range: "drop" removes events off the sensor, and words the format does not define.
        on_unsorted: "sort" sorts by time, stable.
    """

    on_truncated: OnBad
    on_out_of_range: OnBad
    on_unsorted: OnUnsorted


class DroppedEventsWarning(UserWarning):
    """Events or bytes were dropped or reordered because the caller asked for it; says how many."""


def check_policies(
    where: str, *, on_truncated: str = "error", on_out_of_range: str = "error", on_unsorted: str = "error"
) -> None:
    """Raise ConfigError for a policy that does not exist."""
    for name, value, kind in (
        ("on_truncated", on_truncated, OnBad),
        ("on_out_of_range", on_out_of_range, OnBad),
        ("on_unsorted", on_unsorted, OnUnsorted),
    ):
        choices = get_args(kind)
        require(
            isinstance(value, str) and value in choices,
            f"{where}.{name}",
            value,
            " or ".join(map(repr, choices)),
        )


def report(where: str, message: str) -> None:
    """Warn about something dropped; the warning points at the caller of snnkit."""
    depth, frame = 1, sys._getframe()
    while frame.f_back and frame.f_code.co_filename.startswith(_PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(f"{where}: {message}", DroppedEventsWarning, stacklevel=depth)


def sift(
    columns: Columns,
    sensor_size: tuple[int, int, int],
    *,
    on_out_of_range: OnBad,
    on_unsorted: OnUnsorted,
    where: str,
    fail: Fail,
) -> tuple[Columns, dict[str, int]]:
    """Hold events against the sensor and the order of time.

    Out-of-range events go first, so that a stray record does not make its neighbours look unsorted.
    The sort is stable. Nothing is copied if all events are in order.

    Args:
        columns: t, x, y, p; not written to.
        sensor_size: (W, H, P).
        where: prefix of warnings.
        fail: raises the error of the caller's kind; gets the index in the given columns.

    Returns:
        columns, and what was dropped by reason ({} if nothing was).
    """
    dropped: dict[str, int] = {}
    size = "x".join(map(str, sensor_size))
    bad = _outside(columns, sensor_size)
    if bad is not None:
        count, first = int(bad.sum()), int(bad.argmax())
        if on_out_of_range == "error":
            fail(
                first,
                f"event {first} has {_what(columns, sensor_size, first)} on a sensor of size {size}; "
                f"{count} of {bad.size} events are out of range.",
                'Give the right sensor_size, or drop them with on_out_of_range="drop".',
            )
        t, x, y, p = (c[~bad] for c in columns)
        columns = (t, x, y, p)
        dropped["out_of_range"] = count
        report(where, f"dropped {count} of {bad.size} events outside of the sensor {size}.")

    t = columns[0]
    back = t[1:] < t[:-1]
    if back.any():
        count, first = int(back.sum()), int(back.argmax()) + 1
        if on_unsorted == "error":
            index = first if bad is None else int(np.flatnonzero(~bad)[first])
            fail(
                index,
                f"event {index} has t = {t[first]} µs, earlier than the one ahead of it ({t[first - 1]} µs); "
                f"time goes back {count} times.",
                'Expected non-decreasing times; sort them with on_unsorted="sort".',
            )
        order = np.argsort(t, kind="stable")
        t, x, y, p = (c[order] for c in columns)
        columns = (t, x, y, p)
        report(where, f"sorted {t.size} events by time, which went back {count} times.")
    return columns, dropped


def _outside(columns: Columns, sensor_size: tuple[int, int, int]) -> NDArray | None:
    """Mask of events off the sensor; None, without building one, if there are none."""
    bad = None
    for values, size in zip(columns[1:], sensor_size, strict=True):
        if values.size and (values.min() < 0 or values.max() >= size):
            outside = (values < 0) | (values >= size)
            bad = outside if bad is None else bad | outside
    return bad


def _what(columns: Columns, sensor_size: tuple[int, int, int], i: int) -> str:
    parts = [
        f"{name} = {values[i]}, allowed 0..{size - 1},"
        for name, values, size in zip("xyp", columns[1:], sensor_size, strict=True)
        if not 0 <= values[i] < size
    ]
    return " and ".join(parts).rstrip(",")
