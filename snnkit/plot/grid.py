"""A table of numbers as colours, with the numbers in the cells while they are readable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import require
from .style import INK, need_rows, new_axes, to_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["heat_map"]

_CELLS = 160  # more do not fit their numbers


def heat_map(
    rows: Mapping[str, Sequence[float]],
    columns: Sequence[str],
    *,
    across: str,
    down: str,
    label: str,
    span: tuple[float, float] | None = None,
    even: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Rows of numbers from top to bottom.

    Args:
        rows: name -> one number per column. columns: their names. across, down: what columns and rows are.
        label: what the numbers are.
        span: ends of the colour scale; None: of the numbers.
        even: a value of equality: colours diverge from it, on a logarithmic scale.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError: not a dict of rows. ConfigError: empty, rows of other lengths, negative numbers.
    """
    need_rows(rows, "heat_map", "name -> numbers")
    values = np.array(
        [
            [to_number(v, f"heat_map[{name!r}]") for v in row]
            if len(row) == len(columns)
            else [np.nan] * len(columns)
            for name, row in rows.items()
        ]
    )
    lengths = [len(row) for row in rows.values()]
    require(
        set(lengths) == {len(columns)} != {0}, "heat_map.rows", lengths, f"{len(columns)} numbers in each row"
    )
    ax = new_axes(ax, 6.4, max(2.4, 1.4 + 0.3 * len(rows)))
    look: dict[str, Any]
    if even is None:
        low, high = span or (float(values.min()), float(values.max()))
        look, place = {"cmap": "Blues", "vmin": low, "vmax": high}, (values - low) / ((high - low) or 1.0)
    else:
        from matplotlib.colors import LogNorm

        positive = values[values > 0]
        far = max(float(np.exp(np.abs(np.log(positive / even)).max(initial=0.1))), 1.1)
        look = {"cmap": "RdBu_r", "norm": LogNorm(even / far, even * far)}
        shown = np.maximum(values, even / far)
        place = np.abs(np.log(shown / even)) / np.log(far)
    image = ax.imshow(values, aspect="auto", **look)
    ax.set_xticks(range(len(columns)), list(columns))
    ax.set_yticks(range(len(rows)), list(rows))
    if values.size <= _CELLS:
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:.2g}", ha="center", va="center", fontsize=9,
                    color="white" if place[i, j] > 0.6 else INK)  # fmt: skip
    ax.set_xlabel(across)
    ax.set_ylabel(down)
    ax.figure.colorbar(image, ax=ax, label=label)
    return ax
