"""Loss and accuracy over epochs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, InputTypeError, quote
from .style import clean, color, legend, new_axes, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["training_curves"]

_SPLITS = ("train", "val", "test")
_NAMES = {"train": "training", "val": "validation", "test": "test"}


def training_curves(rows: Iterable[Mapping[str, Any]], *, ax: Axes | None = None) -> Axes:
    """Loss above, accuracy below, one line per split, over epochs.

    Args:
        rows: dicts with "epoch" and any of "train_loss", "val_loss", "train_acc", "val_accuracy", ...
            (also "val/acc"). Values may be strings, empty or missing, as ``csv.DictReader`` gives them
            from a Lightning metrics file; rows of one epoch are merged. Keys that end in "_step" and
            other columns are left alone. Accuracies are fractions, shown in percent.
        ax: where to draw; it is divided in two if there are both losses and accuracies. None: a new
            figure.

    Returns:
        the Axes of the loss (of the accuracy, if no row holds a loss). The accuracy below it is
        ``ax.figure.axes[-1]``.

    Raises:
        InputTypeError: rows are not dicts of numbers. ConfigError: no row holds an epoch and a value.
    """
    curves: dict[str, dict[str, dict[float, float]]] = {"loss": {}, "accuracy": {}}
    for row in rows:
        if not isinstance(row, Mapping):
            raise InputTypeError(f"plot.training_curves: got a row {quote(row)}, expected a dict.")
        epoch = _number(row, "epoch")
        if epoch is None:
            continue
        for key in row:
            which = _which(key)
            value = None if which is None else _number(row, key)
            if which is not None and value is not None:
                quantity, split = which
                curves[quantity].setdefault(split, {})[epoch] = value
    drawn = {quantity: lines for quantity, lines in curves.items() if lines}
    if not drawn:
        raise ConfigError(
            "plot.training_curves: found nothing to draw, expected rows with 'epoch' and, say, 'train_loss' "
            "and 'val_acc'. Pass the rows of metrics.csv: list(csv.DictReader(open(path)))."
        )

    first = new_axes(ax, 5.0, 1.3 + 1.7 * len(drawn))
    panels = [first] if len(drawn) == 1 else [first, _split(first, ours=ax is None)]
    for panel, (quantity, lines) in zip(panels, drawn.items(), strict=True):
        factor = 100 if quantity == "accuracy" else 1
        for split in [s for s in _SPLITS if s in lines]:
            epochs = sorted(lines[split])
            panel.plot(
                epochs,
                [factor * lines[split][e] for e in epochs],
                color=color(_SPLITS.index(split)),
                marker="o" if len(epochs) <= 30 else None,
                markersize=3,
                linewidth=1.5,
                label=_NAMES[split],
            )
        panel.set_ylabel("accuracy (%)" if quantity == "accuracy" else "loss")
        panel.locator_params(axis="x", integer=True)
        clean(panel)
    if len(panels) == 2:
        first.tick_params(labelbottom=False)
    panels[-1].set_xlabel("epoch")
    widest = max(panels, key=lambda p: len(p.lines))
    handles, labels = widest.get_legend_handles_labels()
    legend(first, handles, labels, columns=len(labels))
    return first


def _which(key: str) -> tuple[str, str] | None:
    """("loss" | "accuracy", split) of a column, or None."""
    match = re.fullmatch(r"(train|val|test)[_/](loss|acc|accuracy)(_epoch)?", key) if key else None
    return (("loss" if match[2] == "loss" else "accuracy"), match[1]) if match else None


def _number(row: Mapping[str, Any], key: str) -> float | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(f"plot.training_curves: {key} = {quote(value)}, expected a number.") from error


def _split(ax: Axes, *, ours: bool) -> Axes:
    """Halve ``ax``: it keeps the upper part, the lower one is returned and shares its x axis."""
    fonts = style() if ours else nullcontext()
    spec = ax.get_subplotspec()
    if spec is None:
        box = ax.get_position()
        ax.set_position((box.x0, box.y0 + 0.54 * box.height, box.width, 0.46 * box.height))
        with fonts:
            return ax.figure.add_axes((box.x0, box.y0, box.width, 0.46 * box.height), sharex=ax)
    halves = spec.subgridspec(2, 1)
    ax.set_subplotspec(halves[0])
    with fonts:
        return ax.figure.add_subplot(halves[1], sharex=ax)
