"""Membrane potential of a few neurons over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputTypeError, ShapeError
from .style import GREY, INK, PALETTE, clean, color, legend, new_axes, note, to_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from ..neurons import Neuron

__all__ = ["membrane", "membrane_trace"]


def membrane(
    potential: Any, spikes: Any = None, threshold: float | None = None, *, ax: Axes | None = None
) -> Axes:
    """Potential over time, its threshold as a dashed line, spikes as ticks above.

    Args:
        potential: ``[T]`` or ``[T, N]`` for a few neurons (at most 7); :func:`membrane_trace` gives the
            potential before reset, which is the one that crosses the threshold.
        spikes: same shape; None: not shown.
        threshold: firing level; None: not shown.
        ax: where to draw; None: a new figure.

    Raises:
        InputTypeError, ShapeError: not an array of that shape, or more neurons than colours.
    """
    v = to_array(potential, "membrane", ndim=(1, 2), axes="[T] or [T, N]")
    if v.ndim == 2 and v.shape[1] > len(PALETTE):
        raise ShapeError(
            f"plot.membrane: got {v.shape[1]} neurons, expected at most {len(PALETTE)}, more lines cannot be "
            "told apart. Select some: potential[:, :4]."
        )
    s = None if spikes is None else to_array(spikes, "membrane.spikes", ndim=(1, 2), axes="[T] or [T, N]")
    if s is not None and s.shape != v.shape:
        raise ShapeError(
            f"plot.membrane: spikes have shape {s.shape}, the potential {v.shape}; expected the same."
        )
    v = v.reshape(len(v), -1)
    ax = new_axes(ax, 6.0, 2.6)
    t = np.arange(len(v))
    marker = "o" if len(v) <= 60 else None
    for n, trace in enumerate(v.T):
        ax.plot(t, trace, color=color(n), linewidth=1.4, marker=marker, markersize=3, label=f"neuron {n}")
    finite = v[np.isfinite(v)]
    levels = [*finite, *([] if threshold is None else [threshold])] or [0.0]
    low, high = min(levels), max(levels)
    span = (high - low) or 1.0
    low, high = low - 0.06 * span, high + 0.06 * span
    if threshold is not None:
        ax.axhline(threshold, color=GREY, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        note(ax, "threshold", (1, threshold), beyond_axes=True, color=GREY)
    if s is not None:
        row = 0.09 * span
        for n, fired in enumerate(s.reshape(len(v), -1).T):
            at = t[fired != 0]
            ink = INK if v.shape[1] == 1 else color(n)
            ax.vlines(at, high + 0.25 * row, high + row, colors=ink, linewidth=1.6)
            high += row
        note(ax, "spikes", (1, high - 0.4 * row * v.shape[1]), beyond_axes=True, color=GREY)
        high += 0.25 * row
    ax.set_ylim(low, high)
    ax.set_xlim(-0.5, len(v) - 0.5)
    ax.set_xlabel("time (steps)")
    ax.set_ylabel("membrane potential (a.u.)")
    ax.locator_params(axis="x", integer=True)
    if v.shape[1] > 1:
        legend(ax, columns=min(v.shape[1], 4))
    clean(ax)
    return ax


def membrane_trace(neuron: Neuron, x: Tensor) -> tuple[Tensor, Tensor]:
    """Potential before reset and spikes of ``neuron`` for input ``x``, by its own step function.

    Args:
        neuron: a LIF or IF of any setting, or any neuron whose state has a field ``v`` (then v is
            returned as it stands after each step).
        x: ``[T, B, *]``, T >= 1.

    Returns:
        ``(potential, out)``, both ``[T, B, *]``, without gradient.

    Raises:
        InputTypeError: not a neuron with a potential; and as the neuron itself.
        ShapeError: T = 0.

    Example:
        >>> v, spikes = membrane_trace(snnkit.LIF(tau=2.0), torch.full((3, 1), 1.5))
        >>> v.flatten().tolist(), spikes.flatten().tolist()
        ([0.75, 1.125, 0.75], [0.0, 1.0, 0.0])
    """
    import torch

    from ..neurons import LIF, Neuron, lif_step
    from ..sequence import as_sequence, state_dtype

    where = "plot.membrane_trace"
    if not isinstance(neuron, Neuron) or "v" not in getattr(getattr(neuron, "State", None), "_fields", ()):
        raise InputTypeError(f"{where}: got {type(neuron).__name__}, expected a Neuron with a potential v.")
    x = as_sequence(x, where)
    if x.shape[0] == 0:
        raise ShapeError(f"{where}: got shape {tuple(x.shape)}, expected at least one step.")
    x = x.to(state_dtype(x.dtype))
    potentials, outs = [], []
    with torch.no_grad():
        state = neuron.initial_state(x[0])
        for x_t in x:
            before = state
            out, state = neuron.step(x_t, before)
            v = state.v
            if isinstance(neuron, LIF) and not neuron.dynamics.delayed:
                free = neuron.dynamics._replace(reset="none")
                v = lif_step(x_t, before.v, *neuron._operands(x_t), free)[1]
            potentials.append(v)
            outs.append(out)
        return torch.stack(potentials), torch.stack(outs)
