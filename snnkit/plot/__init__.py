"""Pictures of spikes, potentials, rates, event frames, energy and training.

Every function takes ``ax`` (None: a new figure), draws one idea into it and returns the Axes. None of
them calls ``show``; with no display they work all the same. :func:`save` writes a figure to a file::

    ax = snnkit.plot.raster(spikes)
    snnkit.plot.save(ax, "raster.png")

matplotlib is imported when the first picture is drawn, not before.
"""

from .cloud import cloud, event_raster
from .curves import training_curves
from .delays import delay_histogram, delay_kernels
from .energy import energy_breakdown, energy_comparison, energy_over_rate, energy_over_time
from .events import frames
from .grid import heat_map
from .points import point_groups, turn
from .potential import membrane, membrane_trace
from .rates import firing_rates
from .recording import animate, overview
from .spikes import raster
from .style import PALETTE, save

__all__ = [
    "PALETTE",
    "animate",
    "cloud",
    "delay_histogram",
    "delay_kernels",
    "energy_breakdown",
    "energy_comparison",
    "energy_over_rate",
    "energy_over_time",
    "event_raster",
    "firing_rates",
    "frames",
    "heat_map",
    "membrane",
    "membrane_trace",
    "overview",
    "point_groups",
    "raster",
    "save",
    "training_curves",
    "turn",
]
