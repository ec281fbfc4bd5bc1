"""What all pictures share: colours, fonts, a clean frame, arrays from tensors, files."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ..errors import ConfigError, InputTypeError, ShapeError, quote, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ALERT",
    "GREY",
    "INK",
    "OFF",
    "ON",
    "PALETTE",
    "clean",
    "color",
    "legend",
    "need_rows",
    "new_axes",
    "note",
    "save",
    "style",
    "to_array",
    "to_number",
]

# Okabe & Ito, "Color Universal Design" (2008): distinct for every common colour vision.
# Its yellow is left out (too pale on white); grey closes the list.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
INK, GREY, ALERT = "#1A1A1A", "#6B6B6B", "#D55E00"
ON, OFF = "#0072B2", "#D55E00"

_RC = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.linewidth": 0.8,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}


def style() -> AbstractContextManager[Any]:
    """Context in which new Axes get our fonts and colours; settings of the caller come back after it."""
    import matplotlib as mpl

    return mpl.rc_context(_RC)


def new_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """``ax`` itself, or the Axes of a new figure of that size in inches."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    with style():
        return plt.subplots(figsize=(width, height), layout="constrained")[1]


def clean(ax: Axes, *, row_ticks: bool = True) -> None:
    """Remove the frame on the upper and right side; without ``row_ticks`` also the marks on the left."""
    ax.spines[["top", "right"]].set_visible(False)
    if not row_ticks:
        ax.tick_params(axis="y", length=0)


def legend(ax: Axes, *args: Any, columns: int) -> None:
    """A frameless legend above the Axes, where it covers no data."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}
    if any(ax.get_legend_handles_labels()[1]) or args:
        ax.legend(*args, frameon=False, ncols=columns, fontsize=9, labelcolor=INK, **place)


def note(ax: Axes, text: str, at: tuple[float, float], *, beyond_axes: bool = False, **font: Any) -> None:
    """A short text right of the point ``at``; with ``beyond_axes``, ``at[0]`` is a fraction of the width."""
    look: dict[str, Any] = {"fontsize": 9, "color": INK} | font
    ax.annotate(
        text,
        at,
        xycoords=("axes fraction", "data") if beyond_axes else "data",
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        **look,
    )


def color(index: int) -> str:
    """The palette colour with that number, from the start again after the last."""
    return PALETTE[index % len(PALETTE)]


def to_array(x: Any, where: str, *, ndim: tuple[int, int], axes: str) -> np.ndarray:
    """A tensor, array or list of numbers as a float64 array with ``ndim = (least, most)`` axes.

    Raises:
        InputTypeError: not numbers. ShapeError: wrong rank, or no element.
    """
    if hasattr(x, "detach"):
        x = x.detach().cpu().double().numpy()
    try:
        array = np.asarray(x, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputTypeError(
            f"plot.{where}: got {type(x).__name__}, expected a real tensor or array {axes}."
        ) from error
    if not ndim[0] <= array.ndim <= ndim[1] or array.size == 0:
        raise ShapeError(
            f"plot.{where}: got shape {array.shape}, expected {axes} with at least one element. "
            "Select one sample or reshape first."
        )
    return array


def to_number(value: Any, where: str) -> float:
    """A float from a number or one-element tensor; finite and >= 0."""
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"plot.{where}: got {quote(value)}, expected a number.") from error
    if not 0 <= number < float("inf"):
        raise ConfigError(f"plot.{where}: got {number}, expected a finite number >= 0.")
    return number


def need_rows(rows: Any, where: str, what: str) -> None:
    """Refuse an empty or non-mapping argument."""
    if not isinstance(rows, Mapping):
        raise InputTypeError(f"plot.{where}: got {type(rows).__name__}, expected a dict {what}.")
    if not rows:
        raise ConfigError(f"plot.{where}: got an empty dict, expected {what} with at least one entry.")


def save(ax: Axes, path: str | os.PathLike[str], *, dpi: int = 200) -> Path:
    """Write the figure of ``ax`` to ``path`` and close it; the suffix chooses the format.

    The file appears whole or not at all. Missing folders are made.

    Returns:
        the path.

    Raises:
        ConfigError: a suffix that names no picture format.
    """
    import matplotlib.pyplot as plt

    path, figure = Path(path), cast(Any, ax.figure)
    known = sorted(figure.canvas.get_supported_filetypes())
    require(path.suffix[1:].lower() in known, "plot.save: suffix", path.suffix, f"one of {', '.join(known)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
    try:
        figure.savefig(part, dpi=dpi, facecolor="white")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
        plt.close(figure)
    return path
